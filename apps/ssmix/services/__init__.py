"""The verbs of storages: scan one, add one, check one without registering anything."""

from apps.ssmix.services.checking import Check, check_storage, check_transactions, lines
from apps.ssmix.services.locking import holder_of
from apps.ssmix.services.offering import renew_all
from apps.ssmix.services.quarantine import decide
from apps.ssmix.services.scanning import Progress, ScanRefusedError, is_due, scan
from apps.ssmix.services.storages import add_storage, request_scan

__all__ = [
    "Check",
    "Progress",
    "ScanRefusedError",
    "add_storage",
    "check_storage",
    "check_transactions",
    "decide",
    "holder_of",
    "is_due",
    "lines",
    "renew_all",
    "request_scan",
    "scan",
]
