"""PAT Warden: no personal access token dies unnoticed."""

__version__ = "0.2.0"
