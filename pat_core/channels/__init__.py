"""Ways to reach an owner."""
