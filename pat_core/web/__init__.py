"""What owners see in a browser."""
