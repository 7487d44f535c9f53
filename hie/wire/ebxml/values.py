"""The rules of single metadata values (ITI TF-3 table 4.2.3.1.7-2 and the attribute sections of 4.2.3).

A rule takes a value and returns "" where it holds, else what the value has to be: a phrase that follows the name of
the attribute in a finding ("... has to be a DTM"). No rule repeats the value, which may say something of a patient.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from hie.values.documents import APPROVED, OFFLINE, ONLINE
from hie.values.identifiers import is_oid, is_uuid_urn
from hie.values.times import is_dtm

Rule = Callable[[str], str]

LONG_NAME = 256  # characters of a LongName (rim.xsd): a Value of a Slot, a nodeRepresentation, a mimeType

_HASH = re.compile(r"[0-9A-Fa-f]{40}")
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")
_MIME = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+")
_SIZE = re.compile(r"\d+", re.ASCII)
_PATIENT_FIELD = re.compile(r"PID-([1-9]\d?)\|", re.ASCII)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_URI_CHARACTERS = re.compile(r"[^\s<>\"{}|\\^`]+")
_ANY_ARC = re.compile(r"&[3-9]\.")
_CX = "has to be a CX written ID^^^&OID&ISO, without further components"
_URN = re.compile(r"urn:[a-z0-9][a-z0-9-]{0,31}:\S+", re.IGNORECASE)
_MAIL = re.compile(r"[^@\s^]+@[^@\s^]+")

# PID fields that sourcePatientInfo must not have (ITI TF-3: 4.2.3.2.23), and the last one of HL7 v2.5.
_FORBIDDEN_PATIENT_FIELDS = frozenset((2, 4, 12, 19))
_LAST_PATIENT_FIELD = 39


def oid(text: str) -> str:
    """An ISO OID; its first two arcs obey X.660: the first is 0, 1 or 2."""
    return "" if is_oid(text) else "has to be an OID of at most 64 characters, such as 1.2.392.100495"


def uuid_urn(text: str) -> str:
    """An entryUUID."""
    return "" if is_uuid_urn(text) else "has to be a UUID written urn:uuid:xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"


def object_id(text: str) -> str:
    """The id of a submitted object: a UUID, or any name that is unique in the message (ITI TF-3: 4.1.12.3)."""
    if text.lower().startswith("urn:uuid:"):
        return uuid_urn(text)
    return "" if text and not re.search(r"\s", text) else "has to be a urn:uuid: or a name without blanks"


def dtm(text: str) -> str:
    """A time in UTC, of any precision."""
    return "" if is_dtm(text) else "has to be a time YYYY[MM[DD[hh[mm[ss]]]]] in UTC, digits only"


def dtm_to_the_second(text: str) -> str:
    """A time in UTC with seconds."""
    return "" if len(text) == 14 and is_dtm(text) else "has to be a time YYYYMMDDhhmmss in UTC, 14 digits"


def sha1(text: str) -> str:
    """The hex SHA-1 of a document."""
    return "" if _HASH.fullmatch(text) else "has to be a SHA-1 of 40 hexadecimal digits"


def size(text: str) -> str:
    """A number of bytes."""
    return "" if _SIZE.fullmatch(text) else "has to be the number of bytes, digits only"


def language(text: str) -> str:
    """A language tag (RFC 3066)."""
    return "" if _LANGUAGE.fullmatch(text) else "has to be a language tag such as ja or en-US (RFC 3066)"


def mime_type(text: str) -> str:
    """A MIME type without parameters, as long as rim.xsd lets it be (LongName)."""
    good = _MIME.fullmatch(text) is not None and len(text) <= LONG_NAME
    return "" if good else "has to be a MIME type such as text/xml, without parameters"


def uri(text: str) -> str:
    """A URI or a relative reference (RFC 3986)."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return "has to be a URI (RFC 3986)"
    first = text.split("/", 1)[0]
    scheme_is_good = ":" not in first or _SCHEME.fullmatch(first.split(":", 1)[0]) is not None
    good = _URI_CHARACTERS.fullmatch(text) is not None and scheme_is_good and (parts.path or parts.netloc)
    return "" if good else "has to be a URI (RFC 3986)"


def home_community_id(text: str) -> str:
    """``urn:oid:`` and an OID."""
    good = text.startswith("urn:oid:") and is_oid(text[8:])
    return "" if good else "has to be urn:oid: followed by an OID of at most 64 characters"


def unique_id(text: str) -> str:
    """A document's unique id: an opaque text of at most 128 characters (ITI TF-3: 4.2.3.2.26)."""
    return "" if text.strip() and len(text) <= 128 else "has to be a text of 1 to 128 characters"


def title(text: str) -> str:
    """A title of at most 128 characters, however many bytes they take."""
    return "" if len(text) <= 128 else "has to be at most 128 characters long"


def approved(text: str) -> str:
    """The only status in which an object can be submitted."""
    return "" if text == APPROVED else "has to be Approved in a submission"


def slot_value(text: str) -> str:
    """What any Slot value obeys (rim.xsd, LongName)."""
    return "" if len(text) <= LONG_NAME else f"has to be at most {LONG_NAME} characters long"


def slot_name(text: str) -> str:
    """The name of a Slot that is no attribute of the framework: a URN (ITI TF-3: 4.2.3.1.6)."""
    return "" if _URN.fullmatch(text) else "has a name that is no attribute of document sharing and no URN (urn:...)"


def document_availability(text: str) -> str:
    """Online or Offline (ITI TF-3: 4.2.3.2.30)."""
    return "" if text in (ONLINE, OFFLINE) else f"has to be {ONLINE} or :Offline"


def cx(text: str) -> str:
    """``ID^^^&OID&ISO`` and nothing else."""
    parts = _components(text, 4)
    if not parts[0] or any(parts[1:3]) or any(parts[4:]) or _is_wrong_authority(parts[3]):
        return _CX
    return ""


def source_cx(text: str) -> str:
    """``ID^^^&OID&ISO`` of the sender. Its authority need not exist; testers use arcs beyond X.660."""
    return cx(_ANY_ARC.sub("&1.", text, count=1))


def cxi(text: str) -> str:
    """``ID^^^authority^type[^home community]`` of a referenceIdList."""
    parts = _components(text, 6)
    authority = parts[3].split("&")
    if (
        not parts[0]
        or any(parts[1:3])
        or any(parts[6:])
        or not parts[4]
        or (any(authority) and not _is_reference_authority(authority))
        or (parts[5] and _is_wrong_authority(parts[5]))
    ):
        return "has to be a CXi written ID^^^namespace&OID&ISO^type code[^&home community OID&ISO]"
    return ""


def xcn(text: str) -> str:
    """A person: an id or a family name, and an authority only beside an id."""
    parts = _components(text, 9)
    if not parts[0] and not parts[1].split("&")[0]:
        return "has to be an XCN with an identifier or a family name"
    if parts[8] and (not parts[0] or _is_wrong_authority(parts[8])):
        return "has to be an XCN whose assigning authority is &OID&ISO and stands beside an identifier"
    return ""


def xon(text: str) -> str:
    """An organisation: its name, and perhaps its identifier with the authority, or an OID as identifier."""
    parts = _components(text, 10)
    if not parts[0]:
        return "has to be an XON with the name of the organization in its first component"
    if any(parts[1:5]) or any(parts[6:9]) or any(parts[10:]):
        return "has to be an XON of name, assigning authority (6) and identifier (10) alone"
    wrong = _is_wrong_authority(parts[5]) if parts[5] else bool(parts[9]) and not is_oid(parts[9])
    return "has to be an XON whose identifier is an OID or has an assigning authority &OID&ISO" if wrong else ""


def xtn(text: str) -> str:
    """A mail address (``^^Internet^address``) or a telephone (``^PRN^PH^^country^area^local``, or whole in XTN-12)."""
    parts = _components(text, 12)
    use, kind, mail, local, whole = parts[1], parts[2], parts[3], parts[6], parts[11]
    formatted = any(parts[4:6]) or any(parts[6:9])
    if kind == "Internet":
        good = use in ("", "NET") and _MAIL.fullmatch(mail) is not None and not formatted and not whole
    else:
        good = (
            kind in ("PH", "CP") and use != "NET" and not mail and (bool(whole) != formatted) and bool(local or whole)
        )
    return "" if good else "has to be an XTN: ^^Internet^address, or ^use^PH or CP^^country^area^local number"


def source_patient_info(text: str) -> str:
    """``PID-n|value``."""
    match = _PATIENT_FIELD.match(text)
    number = int(match[1]) if match else 0
    if not match or number in _FORBIDDEN_PATIENT_FIELDS or number > _LAST_PATIENT_FIELD:
        return "has to be PID-n| and the field's value, and n not 2, 4, 12 or 19"
    return ""


def intended_recipient(text: str) -> str:
    """``XON|XCN|XTN``, of which an organisation, a person or an address has to be there."""
    parts = text.split("|")
    if not any(parts) or len(parts) > 3:
        return "has to be organization|person|telecommunication, one of them at least"
    return next((said for rule, part in zip((xon, xcn, xtn), parts, strict=False) if part and (said := rule(part))), "")


def are_in_order(start: str, stop: str) -> bool:
    """Whether two times can be start and stop, compared as far as both are precise."""
    shared = min(len(start), len(stop))
    return start[:shared] <= stop[:shared]


def _components(text: str, least: int) -> list[str]:
    parts = text.split("^")
    return parts + [""] * (least - len(parts))


def _is_wrong_authority(text: str) -> bool:
    """Whether it is not exactly ``&OID&ISO``."""
    parts = text.split("&")
    return not (len(parts) == 3 and not parts[0] and parts[2] == "ISO" and is_oid(parts[1]))


def _is_reference_authority(parts: list[str]) -> bool:
    """A namespace alone, or an OID with ISO beside it, with or without a namespace."""
    if len(parts) == 1:
        return bool(parts[0])
    return len(parts) == 3 and parts[2] == "ISO" and is_oid(parts[1])
