"""Persons, the identifiers they are known by, and who is who (ITI-8, 9, 30)."""
