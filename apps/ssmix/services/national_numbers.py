"""My Numbers and resident record codes in the files of a storage: such a file is kept out (rule OWN-08).

Found is what a name holds, or what words beside the digits name; order and chart numbers of twelve digits are none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from apps.ids.rules import detect_national_number, names_national_number
from hie.wire.hl7v2.message import Message
from hie.wire.ssmix.content_folders import Part
from hie.wire.ssmix.rules import Deviation

_NAMES = (5, 9)  # fields of PID
_DIGITS = re.compile(r"\d{4}")  # of any width; few names have them
_LONGEST = 256  # bytes that a number and the words around it take


def in_message(message: Message) -> Iterator[Deviation]:
    """Where a message carries such a number: a name, or a segment."""
    for number in _NAMES:
        text = _of_patient(message, number)
        suspect = detect_national_number(text, "name") if _DIGITS.search(text) else None
        if suspect is not None and suspect.refused:
            yield Deviation("OWN-08", f"PID-{number}")
    if _refused(message.text):
        for segment in message.segments:
            if _refused("|".join(segment.fields)):
                yield Deviation("OWN-08", segment.name)
                return
        yield Deviation("OWN-08", "file")


def _of_patient(message: Message, number: int) -> str:
    pid = message.first("PID")
    return pid.field(number) if pid is not None else ""


class Watch:
    """Looks through a file of a content folder as its pieces pass by; only text is looked at."""

    def __init__(self) -> None:
        self.found = False
        self._before = b""
        self._is_text: bool | None = None

    def see(self, chunk: bytes, name: str) -> None:
        """The next piece of a file of this name."""
        if self._is_text is None:
            kind = Part(name, 0, "", "", chunk).mime_type
            self._is_text = kind.startswith(("text/", "x-application/hl7")) or kind == "application/json"
        if self._is_text and not self.found:
            self.found = any(map(_refused, _readings(self._before + chunk)))
            self._before = chunk[-_LONGEST:]


def _readings(raw: bytes) -> Iterator[str]:
    """The text of a piece that may begin and end within a character; what is no UTF-8 may be Japanese."""
    as_utf8 = raw.decode("utf-8", "replace")
    yield as_utf8
    if b"\x1b$" in raw:
        yield raw.decode("iso2022_jp", "ignore")
    if "\ufffd" in as_utf8:
        yield raw.decode("cp932", "ignore")
        yield raw.decode("euc_jp", "ignore")


def _refused(text: str) -> bool:
    suspect = names_national_number(text)
    return suspect is not None and suspect.refused
