"""HL7 v3 data types to values and back: II, TS, PN, AD, TEL (HL7 v3 Data Types R1; ITI TF-2: Appendix E).

A name comes once for each representation, told by ``IDE``, ``SYL`` or ``ABC`` in its ``use`` or, as some senders have
it, in the ``qualifier`` of its parts; without either the script decides. Addresses come in parts or whole as text,
telephone numbers as ``tel:`` URLs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from urllib.parse import quote, unquote

from lxml import etree

from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.people import Address, NameParts, PersonName
from hie.wire.xml import escape

HL7 = "urn:hl7-org:v3"
_REPRESENTATIONS = {"IDE": "ideographic", "SYL": "phonetic", "ABC": "alphabetic"}
_CODES = {representation: code for code, representation in _REPRESENTATIONS.items()}
_BLANKS = re.compile(r"[\s\u3000]+")
_DATE = re.compile(r"\d{4}(?:\d\d){0,5}(?:\.\d+)?(?:[+-]\d{2,4})?", re.ASCII)


def tag(name: str) -> str:
    """The name of an element of HL7 v3 as lxml knows it."""
    return f"{{{HL7}}}{name}"


def at(element: etree._Element | None, path: str) -> etree._Element | None:
    """The first element at a path of local names, or None."""
    return None if element is None else element.find("/".join(map(tag, path.split("/"))))


def all_at(element: etree._Element | None, path: str) -> list[etree._Element]:
    """All elements at a path of local names."""
    return [] if element is None else element.findall("/".join(map(tag, path.split("/"))))


def attribute(element: etree._Element | None, name: str) -> str:
    """An attribute of an element, stripped; "" where either is absent."""
    return "" if element is None else (element.get(name) or "").strip()


def value_at(element: etree._Element | None, path: str, name: str = "value") -> str:
    """An attribute of the first element at a path; "" where it is absent."""
    return attribute(at(element, path), name)


def text_of(element: etree._Element | None) -> str:
    """The text of an element and of all below it, stripped."""
    return "" if element is None else "".join(str(part) for part in element.itertext()).strip()


# II -----------------------------------------------------------------------------------------------------------------


def read_ii(element: etree._Element) -> Identifier:
    """An II as an identifier: root is the domain, assigningAuthorityName its namespace, extension the id.

    Without an extension the value is empty: the root names a domain, or is the whole id.
    """
    authority = AssigningAuthority(attribute(element, "root"), attribute(element, "assigningAuthorityName"))
    return Identifier(attribute(element, "extension"), authority)


def read_identifiers(elements: Iterable[etree._Element]) -> tuple[Identifier, ...]:
    """The identifiers among II elements: those with an extension."""
    return tuple(each for each in map(read_ii, elements) if each.value)


def read_authority(element: etree._Element) -> AssigningAuthority:
    """The domain that an II without extension names."""
    return read_ii(element).assigning_authority


def id_text(element: etree._Element | None) -> str:
    """An II in one string, ``root^extension`` or the root alone: how message and query ids are known here."""
    root, extension = attribute(element, "root"), attribute(element, "extension")
    return f"{root}^{extension}" if extension else root


def write_id(text: str, name: str = "id") -> str:
    """The II of such a string."""
    root, _, extension = text.partition("^")
    if not root and not extension:
        return f'<{name} nullFlavor="NI"/>'
    return write_ii(Identifier(extension, AssigningAuthority(root)), name)


def write_ii(identifier: Identifier, name: str = "id") -> str:
    """An identifier as II."""
    authority = identifier.assigning_authority
    pairs = (("root", authority.oid), ("extension", identifier.value), ("assigningAuthorityName", authority.namespace))
    return f"<{name}{''.join(_attribute(key, text) for key, text in pairs)}/>"


def _attribute(name: str, text: str) -> str:
    return f' {name}="{escape(text)}"' if text else ""


def write_root(oid: str, name: str = "id") -> str:
    """A domain or a thing that an OID names by itself."""
    return f'<{name} root="{escape(oid)}"/>' if oid else f'<{name} nullFlavor="NI"/>'


# TS -----------------------------------------------------------------------------------------------------------------


def is_time(text: str) -> bool:
    """Whether the text is a TS, of any precision."""
    return _DATE.fullmatch(text) is not None


def read_date(text: str) -> str:
    """``YYYYMMDD`` or shorter of a TS; "" where it is none."""
    return text[:8] if is_time(text) else ""


# PN -----------------------------------------------------------------------------------------------------------------


def representation_of(element: etree._Element) -> str:
    """The representation that a name is marked with: a field of PersonName, or ""."""
    marks = attribute(element, "use").split()
    for part in element:
        marks += attribute(part, "qualifier").split()
    return next((_REPRESENTATIONS[mark] for mark in marks if mark in _REPRESENTATIONS), "")


def read_name_parts(element: etree._Element) -> NameParts:
    """Family and given name of a PN. A maiden name (qualifier BR) stands back; mere text is split at a blank."""
    family, given = _part(element, "family"), _part(element, "given")
    if not family and not given:
        family = " ".join(filter(None, (text.strip() for text in (element.text or "", *_tails(element)))))
    if family and not given:
        pieces = _BLANKS.split(family.strip(" \t\u3000"), maxsplit=1)
        if len(pieces) == 2:
            family, given = pieces
    return NameParts(family, given)


def read_name(elements: Iterable[etree._Element]) -> PersonName:
    """The three representations of a name from its PN elements. A legal name comes before others."""
    found: dict[str, NameParts] = {}
    unmarked: list[NameParts] = []
    for element in sorted(elements, key=lambda each: not _is_legal(each)):
        parts = read_name_parts(element)
        mark = representation_of(element)
        if parts and mark:
            found.setdefault(mark, parts)
        elif parts:
            unmarked.append(parts)
    for parts in unmarked:
        script = parts.script
        if script == "phonetic" and script in found:
            script = "ideographic"  # a name that is written in kana, beside its reading
        found.setdefault(script, parts)
    return PersonName(**found)


def write_name(name: PersonName, element: str = "name", null: str = "NI") -> str:
    """A PN for each representation that is known; one with a null flavor where none is."""
    parts = ((code, getattr(name, representation)) for representation, code in _CODES.items())
    written = "".join(write_name_parts(each, f"L {code}", element) for code, each in parts if each)
    return written or f'<{element} nullFlavor="{null}"/>'


def write_name_parts(parts: NameParts, use: str, element: str = "name") -> str:
    """One PN."""
    family = f"<family>{escape(parts.family)}</family>" if parts.family else ""
    given = f"<given>{escape(parts.given)}</given>" if parts.given else ""
    return f"<{element}{_attribute('use', use)}>{family}{given}</{element}>"


def representation_use(representation: str) -> str:
    """``IDE``, ``SYL`` or ``ABC`` of a field of PersonName."""
    return _CODES.get(representation, "")


def _part(element: etree._Element, name: str) -> str:
    parts = all_at(element, name)
    first = next((part for part in parts if "BR" not in attribute(part, "qualifier").split()), None)
    chosen = first if first is not None else next(iter(parts), None)
    return text_of(chosen).strip("\u3000")


def _tails(element: etree._Element) -> Iterator[str]:
    return (child.tail or "" for child in element)


def _is_legal(element: etree._Element) -> bool:
    uses = attribute(element, "use").split()
    is_maiden = any("BR" in attribute(part, "qualifier") for part in all_at(element, "family"))
    return "L" in uses or (not is_maiden and "P" not in uses)


# AD -----------------------------------------------------------------------------------------------------------------

_STREET_PARTS = ("county", "precinct", "streetName", "houseNumber", "unitID", "additionalLocator", "streetAddressLine")


def read_address(element: etree._Element) -> Address:
    """An AD: its parts, and text that stands beside them in ``text``."""
    whole = " ".join(filter(None, (text.strip() for text in (element.text or "", *_tails(element)))))
    return Address(
        postal_code=_postal_code(text_of(at(element, "postalCode"))),
        prefecture=text_of(at(element, "state")),
        city=text_of(at(element, "city")),
        street=" ".join(filter(None, (text_of(part) for name in _STREET_PARTS for part in all_at(element, name)))),
        text=whole,
        country=text_of(at(element, "country")),
    )


def write_address(address: Address, element: str = "addr") -> str:
    """An AD; the whole address stands as text before the parts."""
    parts = (
        ("country", address.country),
        ("state", address.prefecture),
        ("city", address.city),
        ("postalCode", address.postal_code),
        ("streetAddressLine", address.street),
    )
    inner = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in parts if text)
    return f"<{element}>{escape(address.text)}{inner}</{element}>"


def _postal_code(text: str) -> str:
    narrow = unicodedata.normalize("NFKC", text)
    digits = re.sub(r"[〒\s‐‑−ー-]", "", narrow)
    return digits if digits.isdigit() else narrow


# TEL ----------------------------------------------------------------------------------------------------------------


def read_telephone(element: etree._Element) -> str:
    """The number of a TEL; "" for a fax, a mail address or anything else that nobody rings."""
    value = attribute(element, "value")
    scheme, colon, rest = value.partition(":")
    if not colon:
        return value
    return unquote(rest) if scheme.lower() == "tel" else ""


def write_telephone(number: str, element: str = "telecom", use: str = "") -> str:
    """A telephone number as TEL."""
    url = "tel:" + quote(number, safe="+-().,;*")
    return f"<{element}{_attribute('use', use)}{_attribute('value', url)}/>"
