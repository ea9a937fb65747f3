"""Read-only views of the rounds of a project."""
