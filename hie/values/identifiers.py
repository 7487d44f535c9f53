"""Identifiers and who issued them: HL7 v2 CX and HD, HL7 v3 II, XDS ids (ITI TF-3 table 4.2.3.1.7-2)."""

from __future__ import annotations

import os
import re
import time
import uuid
from dataclasses import dataclass
from hashlib import sha1

OID_PATTERN = re.compile(r"[0-2](\.(0|[1-9]\d*))+", re.ASCII)
UUID_URN_PATTERN = re.compile(r"urn:uuid:[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def is_oid(text: str) -> bool:
    """Whether the text is an ISO object identifier of at most 64 characters (ITI TF-3: 4.2.3.1.7)."""
    return len(text) <= 64 and OID_PATTERN.fullmatch(text) is not None


def is_uuid_urn(text: str) -> bool:
    """Whether the text is ``urn:uuid:`` with a UUID, as an entryUUID has to be."""
    return UUID_URN_PATTERN.fullmatch(text) is not None


def new_uuid_urn() -> str:
    """A fresh random ``urn:uuid:`` in lower case."""
    return f"urn:uuid:{uuid.uuid4()}"


def new_ordered_uuid() -> uuid.UUID:
    """A fresh UUID of version 7 (RFC 9562) that begins with the time, to a quarter of a microsecond.

    For rows that are written all day: they are appended to their index, where random numbers would scatter them.
    """
    return uuid.UUID(new_ordered_hex())


def new_ordered_hex() -> str:
    """The same as 32 hexadecimal digits, for who needs no more than these."""
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = (rest << 12) // 1_000_000
    random = int.from_bytes(os.urandom(8), "big") >> 2
    return f"{milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | random:032x}"


def named_uuid_urn(seed: bytes) -> str:
    """``urn:uuid:`` with the UUID of version 5 (RFC 9562 5.5) of a seed: the bytes of its name space, then the name.

    Written out because a scan asks for a dozen of them for each document.
    """
    text = sha1(seed, usedforsecurity=False).hexdigest()
    return f"urn:uuid:{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"


_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def urn_oid(urn: str) -> str:
    """The OID of a UUID given as ``urn:uuid:``, as ``uuid_oid``."""
    return f"2.25.{int(urn[9:].replace('-', ''), 16)}"


def uuid_oid(value: uuid.UUID) -> str:
    """The OID of a UUID under the arc 2.25 (ITU-T X.667), which nobody has to register."""
    return f"2.25.{value.int}"


def masked(value: str) -> str:
    """The value as a person may see it: the first and last two characters, the rest ``•``; a short one fully masked."""
    hidden = len(value) - 4
    return value[:2] + "•" * hidden + value[-2:] if hidden >= 4 else "•" * len(value)


@dataclass(frozen=True, slots=True)
class AssigningAuthority:
    """Who issued an identifier: HL7 v2 HD. ``oid`` is the universal ID of type ISO; ``namespace`` the local name.

    Either may be empty in a message; rows of ``apps.network`` always have both.
    """

    oid: str = ""
    namespace: str = ""

    def __bool__(self) -> bool:
        return bool(self.oid or self.namespace)

    @property
    def hd(self) -> str:
        """``namespace^oid^ISO`` written with the sub-component separator, as in CX-4."""
        return f"{self.namespace}&{self.oid}&ISO" if self.oid else self.namespace


@dataclass(frozen=True, slots=True)
class Identifier:
    """One identifier of a person or thing: HL7 v2 CX, HL7 v3 II, FHIR Identifier.

    type_code: CX-5 (``PI``, ``MR``, ``NH``) or, in an XDS referenceIdList, the CXi-5 URN.
    """

    value: str
    assigning_authority: AssigningAuthority = AssigningAuthority()
    type_code: str = ""

    @property
    def oid(self) -> str:
        return self.assigning_authority.oid

    @property
    def xds_cx(self) -> str:
        """``ID^^^&OID&ISO``: the form of XDS metadata, without the namespace (ITI TF-3 table 4.2.3.1.7-2)."""
        return f"{self.value}^^^&{self.oid}&ISO"

    @classmethod
    def from_cx(cls, text: str) -> Identifier:
        """Read ``ID^^^NS&OID&ISO^type`` in default delimiters. Missing parts are empty; nothing is checked."""
        parts = text.split("^")
        authority = (parts[3] if len(parts) > 3 else "").split("&")
        return cls(
            value=parts[0],
            assigning_authority=AssigningAuthority(
                oid=authority[1] if len(authority) > 1 else "", namespace=authority[0]
            ),
            type_code=parts[4] if len(parts) > 4 else "",
        )
