"""Identifiers that the network issues."""
