"""Moments and durations of XML Schema part 2 (3.2.6, 3.2.7), as subscriptions end by them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from hie.values.subscriptions import Duration

_DATE_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,30}))?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_DURATION = re.compile(
    r"P(?=.)(?:(\d{1,6})Y)?(?:(\d{1,6})M)?(?:(\d{1,6})D)?"
    r"(?:T(?=.)(?:(\d{1,6})H)?(?:(\d{1,9})M)?(?:(\d{1,9})(?:\.(\d{1,30}))?S)?)?",
    re.ASCII,
)


def read_moment(text: str) -> datetime | Duration | None:
    """A dateTime in UTC (which it is where it names no zone), or a duration from now on; None where it is neither.

    A duration backwards ends nothing in the future and is none of ours.
    """
    if found := _DURATION.fullmatch(text):
        years, months, days, hours, minutes, seconds = (int(each or 0) for each in found.groups()[:6])
        exact = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, microseconds=_micro(found[7]))
        return Duration(12 * years + months, exact)
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        return None
    try:
        year, month, day, hour, minute, second = (int(each) for each in found.groups()[:6])
        return datetime(year, month, day, hour, minute, second, _micro(found[7]), _zone(found[8])).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def write_moment(moment: datetime | Duration) -> str:
    """The same as text: a dateTime in UTC, or a duration."""
    if isinstance(moment, Duration):
        seconds = f"{moment.exact.seconds}.{moment.exact.microseconds:06}".rstrip("0").rstrip(".")
        return f"P{moment.months}M{moment.exact.days}DT{seconds}S"
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _micro(digits: str | None) -> int:
    return int((digits or "0").ljust(6, "0")[:6])


def _zone(text: str | None) -> timezone:
    """Raises ValueError beyond a day."""
    if text in (None, "Z"):
        return UTC
    assert text is not None
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[4:6]))
    return timezone(-offset if text[0] == "-" else offset)
