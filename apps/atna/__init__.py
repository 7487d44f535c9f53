"""Audit records: kept, searched (ITI-19, ITI-20)."""
