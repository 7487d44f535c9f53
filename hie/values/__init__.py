"""Nouns of the exchange: frozen dataclasses on the standard library alone.

No framework, no socket, no dialect. Two dialects that need the same noun find it here.
"""
