"""The verbs of storages: scan one, add one, check one without registering anything."""

from apps.ssmix.services.scanning import Progress, ScanRefusedError, is_due, scan

__all__ = ["Progress", "ScanRefusedError", "is_due", "scan"]
