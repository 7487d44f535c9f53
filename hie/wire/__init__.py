"""Dialects: bytes to values and back. No Django, no socket, no asyncio."""
