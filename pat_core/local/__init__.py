"""The embedded world: all that a person needs to try PAT Warden without Azure."""
