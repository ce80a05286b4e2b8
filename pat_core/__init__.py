"""PAT Warden: no personal access token dies unnoticed."""

__version__ = "0.1.0"
