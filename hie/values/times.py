"""Points in time as the standards write them: HL7 v2 TS, ebRIM DTM (ITI TF-3 table 4.2.3.1.7-2), Japanese local time.

HL7 DTM in XDS metadata is UTC without a zone; a time without a zone in a hospital's message is Japan Standard Time.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

JST = timezone(timedelta(hours=9), "JST")

_DTM = re.compile(r"(\d{4})(\d{2})?(\d{2})?(\d{2})?(\d{2})?(\d{2})?", re.ASCII)
_TS = re.compile(r"(\d{4}(?:\d{2}){0,5})(?:\.(\d{1,9}))?([+-]\d{4})?")


def is_dtm(text: str) -> bool:
    """Whether the text is ``YYYY[MM[DD[hh[mm[ss]]]]]`` and names a real time (XDS metadata, UTC)."""
    return read_dtm(text) is not None


def read_dtm(text: str) -> datetime | None:
    """The first moment that ``YYYY[MM[DD[hh[mm[ss]]]]]`` covers, in UTC; None where it is no time."""
    match = _DTM.fullmatch(text)
    if match is None:
        return None
    parts = (int(part or first) for part, first in zip(match.groups(), ("", "1", "1", "0", "0", "0"), strict=True))
    year, month, day, hour, minute, second = parts
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def write_dtm(moment: datetime) -> str:
    """``YYYYMMDDhhmmss`` in UTC."""
    return moment.astimezone(UTC).strftime("%Y%m%d%H%M%S")


def pad_dtm(text: str) -> str:
    """A DTM of any precision as 14 digits, its first moment: the form the registry compares and sorts by."""
    return text + "00000101000000"[len(text) :]


def read_ts(text: str) -> datetime | None:
    """The moment of an HL7 v2 TS, aware: its own offset, or JST where it has none. None where it is no time."""
    match = _TS.fullmatch(text.strip())
    if match is None:
        return None
    digits, fraction, offset = match.groups()
    moment = read_dtm(digits)
    if moment is None:
        return None
    zone: timezone = JST
    if offset:
        sign = -1 if offset[0] == "-" else 1
        zone = timezone(sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[3:5])))
    return moment.replace(microsecond=int((fraction or "0").ljust(6, "0")[:6]), tzinfo=zone)


def write_ts(moment: datetime) -> str:
    """``YYYYMMDDhhmmss+0900``: an HL7 v2 TS in Japan Standard Time with its offset."""
    return moment.astimezone(JST).strftime("%Y%m%d%H%M%S+0900")
