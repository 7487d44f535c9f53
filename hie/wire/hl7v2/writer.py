"""Writing HL7 v2 messages: escapes, segments, headers (HL7 2.5 chapter 2; ITI TF-2: Appendix C.1).

Everything written here uses the recommended delimiters ``|^~\\&``. Values are escaped when they become components;
a field given to ``segment`` is text that is already written.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.times import write_ts
from hie.wire.hl7v2 import charset
from hie.wire.hl7v2.message import DEFAULT_DELIMITERS, Message, unescape

APPLICATION = "HIE"

_ESCAPES = {"|": "\\F\\", "^": "\\S\\", "~": "\\R\\", "\\": "\\E\\", "&": "\\T\\", "\n": "\\.br\\", "\r": "\\.br\\"}
_CONTROL = re.compile(r"\r\n|[\x00-\x1f\x7f]")
_TO_ESCAPE = re.compile(r"\r\n|[|^~\\&\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Parties:
    """Who writes to whom: MSH-3 to MSH-6 as plain namespaces."""

    sending_application: str
    sending_facility: str
    receiving_application: str
    receiving_facility: str

    @property
    def sender(self) -> tuple[str, str]:
        return escape(self.sending_application), escape(self.sending_facility)

    @property
    def receiver(self) -> tuple[str, str]:
        return escape(self.receiving_application), escape(self.receiving_facility)


def escape(value: str) -> str:
    """A value that may stand in a component: delimiters escaped, line ends ``\\.br\\``, other controls ``\\Xhh\\``."""
    return value if value.isalnum() else _TO_ESCAPE.sub(_escaped, value)


def _escaped(match: re.Match[str]) -> str:
    sign = match.group()
    return _ESCAPES.get(sign[-1], f"\\X{ord(sign[-1]):02X}\\")


def components(*values: str) -> str:
    """A repetition from the plain values of its components; empty ones at the end are left out."""
    return "^".join(escape(value) for value in values).rstrip("^")


def repetitions(texts: Iterable[str]) -> str:
    """A field from its written repetitions."""
    return "~".join(texts)


def segment(name: str, fields: Mapping[int, str]) -> str:
    """A segment without its terminator from written fields by number (not MSH). Empty ones at the end are left out."""
    written = [name] + [""] * max(fields, default=0)
    for number, text in fields.items():
        written[number] = text
    while len(written) > 1 and not written[-1]:
        written.pop()
    return "|".join(written)


@lru_cache(maxsize=1024)
def hd(authority: AssigningAuthority) -> str:
    """An assigning authority as the sub-components of CX-4."""
    namespace = escape(authority.namespace)
    return f"{namespace}&{escape(authority.oid)}&ISO" if authority.oid else namespace


def cx(identifier: Identifier) -> str:
    """``id^^^namespace&oid&ISO^type``."""
    parts = (escape(identifier.value), "", "", hd(identifier.assigning_authority), escape(identifier.type_code))
    return "^".join(parts).rstrip("^")


def new_control_id() -> str:
    """A unique MSH-10 of 20 characters (the most that HL7 2.3.1 and 2.5 allow)."""
    return secrets.token_hex(10).upper()


def header(
    *,
    message_type: str,
    version: str,
    sender: tuple[str, str],
    receiver: tuple[str, str],
    control_id: str = "",
    processing_id: str = "P",
    character_set: str = charset.ASCII,
    scheme: str = "",
    country: str = "",
    profile: str = "",
) -> str:
    """MSH. sender and receiver: written (application, facility). message_type and character_set: written MSH-9 and -18.

    control_id: a fresh one where none is given. MSH-7 is now, in Japan Standard Time with its offset.
    """
    fields = {
        2: sender[0],
        3: sender[1],
        4: receiver[0],
        5: receiver[1],
        6: _moment(int(time.time())),
        8: message_type,
        9: control_id or new_control_id(),
        10: processing_id,
        11: version,
        16: country,
        17: "" if character_set == charset.ASCII else character_set,
        19: scheme,
        20: profile,
    }
    return "MSH|^~\\&|" + segment("", fields)[2:]


@lru_cache(maxsize=4)
def _moment(second: int) -> str:
    """A second since 1970 as a TS; many messages are written within one."""
    return write_ts(datetime.fromtimestamp(second, UTC))


def join(segments: Iterable[str], character_set: str) -> bytes:
    """The bytes of a message: every segment ends with CR, all in one character set (a name that ``charset`` knows)."""
    return charset.encode("".join(f"{each}\r" for each in segments), character_set)


def copied(message: Message, text: str) -> str:
    """Raw text of a received message as this writer writes it: its delimiters exchanged for the recommended ones."""
    delimiters = message.delimiters
    if delimiters is DEFAULT_DELIMITERS or delimiters == DEFAULT_DELIMITERS:
        return text if text.isprintable() else _CONTROL.sub(_escaped, text)
    exchange = {
        delimiters.component: "^",
        delimiters.repetition: "~",
        **({delimiters.subcomponent: "&"} if delimiters.subcomponent else {}),
    }
    pieces = re.split("([" + "".join(re.escape(sign) for sign in exchange) + "])", text)
    return "".join(exchange.get(piece) or escape(unescape(piece, delimiters)) for piece in pieces)
