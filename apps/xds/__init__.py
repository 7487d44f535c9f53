"""The document registry and repository (ITI-18, 41, 42, 43)."""
