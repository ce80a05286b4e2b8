"""Azure DevOps over HTTP."""
