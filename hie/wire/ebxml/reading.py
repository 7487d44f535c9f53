"""From one ebRIM element to one value, by the attribute table.

What cannot stand in the value (a second value, a code without scheme, a slot given twice) is a finding here; whether
the values that do stand there obey their rules is judged in ``validation.py``. Reading never stops at a finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from hie.values.codes import Code
from hie.values.documents import Author, RegistryObject
from hie.values.errors import Finding, Reason
from hie.wire.ebxml.attributes import Attribute, Form, Model
from hie.wire.ebxml.names import STATUS_PREFIX, rim
from hie.wire.ebxml.values import size, slot_value

_SLOT, _NAME, _DESCRIPTION, _VERSION = rim("Slot"), rim("Name"), rim("Description"), rim("VersionInfo")
CLASSIFICATION, EXTERNAL_IDENTIFIER = rim("Classification"), rim("ExternalIdentifier")
_VALUE_LIST, _VALUE, _LOCALIZED = rim("ValueList"), rim("Value"), rim("LocalizedString")

# Slots of an author Classification: field of ``Author`` -> slot name (ITI TF-3: 4.2.3.1.4).
AUTHOR_SLOTS = {
    "person": "authorPerson",
    "institutions": "authorInstitution",
    "roles": "authorRole",
    "specialties": "authorSpecialty",
    "telecommunications": "authorTelecommunication",
}
CODING_SCHEME = "codingScheme"

_CHARSETS = frozenset(("", "UTF-8", "UTF8", "UTF-16"))


@dataclass(slots=True)
class Report:
    """What was found wrong with one object so far."""

    object_id: str
    findings: list[Finding]

    def add(self, where: str, sentence: str, reason: Reason = Reason.METADATA) -> None:
        """One finding. sentence follows the place: ``has to be ...``."""
        self.findings.append(Finding(reason, f"{where} of {self.object_id} {sentence}.", f"{self.object_id}: {where}"))


@dataclass(slots=True)
class _Parts:
    """The children of an object, by what singles them out."""

    element: etree._Element
    slots: dict[str, tuple[str, ...]] = field(default_factory=dict)
    name: str = ""
    description: str = ""
    version: str = ""
    classifications: dict[str, list[etree._Element]] = field(default_factory=dict)
    nodes: set[str] = field(default_factory=set)
    identifiers: dict[str, list[str]] = field(default_factory=dict)


def read_object(
    element: etree._Element, model: Model, findings: list[Finding], beside: Iterable[etree._Element] = ()
) -> RegistryObject:
    """The object in an ExtrinsicObject, RegistryPackage or Association.

    findings: grows by what is wrong. beside: Classifications and ExternalIdentifiers of this object that stand next to
    it in the RegistryObjectList.
    """
    report = Report((element.get("id") or f"{model.name} without id").strip()[:128], findings)
    parts = _take_apart(element, beside, report)
    fields: dict[str, Any] = {}
    for row in model.attributes:
        found = _READERS[row.form](row, parts, report)
        if found not in (None, "", ()):
            fields[row.field] = found
        elif row.least and row.form is Form.XML_ATTRIBUTE:
            fields[row.field] = ""  # said, so that no default of the value stands in for it
    fields["extra_slots"] = _extra(model, parts, report)
    made: RegistryObject = model.type(**fields)
    return made


def read_slots(element: etree._Element, report: Report) -> dict[str, tuple[str, ...]]:
    """The Slots of an element in order: name -> values. A name given twice is a finding; its values are joined."""
    slots: dict[str, list[str]] = {}
    for slot in element.iterchildren(_SLOT):
        name = (slot.get("name") or "").strip()
        found = [
            (value.text or "").strip()
            for value_list in slot.iterchildren(_VALUE_LIST)
            for value in value_list.iterchildren(_VALUE)
        ]
        if not name:
            report.add("A Slot", "has no name; give it one")
            continue
        if name in slots:
            report.add(f"Slot {name}", "is given twice; put all its values into one ValueList")
        if "" in found:
            report.add(f"Slot {name}", "has an empty Value; fill it, or leave the Slot out")
            found = [value for value in found if value]
        for value in found:
            if said := slot_value(value):
                report.add(f"Slot {name}", said)
        slots.setdefault(name, []).extend(found)
    return {name: tuple(found) for name, found in slots.items()}


def _take_apart(element: etree._Element, beside: Iterable[etree._Element], report: Report) -> _Parts:
    parts = _Parts(element, read_slots(element, report))
    for child in element.iterchildren():
        if child.tag == _NAME:
            parts.name = _localized(child, "Name", report)
        elif child.tag == _DESCRIPTION:
            parts.description = _localized(child, "Description", report)
        elif child.tag == _VERSION:
            parts.version = (child.get("versionName") or "").strip()
        elif child.tag in (CLASSIFICATION, EXTERNAL_IDENTIFIER):
            _sort_in(child, parts, report)
    for child in beside:
        _sort_in(child, parts, report)
    return parts


def _sort_in(child: etree._Element, parts: _Parts, report: Report) -> None:
    """A Classification or ExternalIdentifier under its scheme; one of another object is a finding, and left out."""
    is_identifier = child.tag == EXTERNAL_IDENTIFIER
    owner = "registryObject" if is_identifier else "classifiedObject"
    named = (child.get(owner) or "").strip()
    scheme = uuid_of(child.get("identificationScheme" if is_identifier else "classificationScheme"))
    if named != (parts.element.get("id") or "").strip():
        sentence = f"has to have the id of its object in {owner}"
        report.add(f"{'ExternalIdentifier' if is_identifier else 'Classification'} {scheme}".strip(), sentence)
    elif is_identifier:
        parts.identifiers.setdefault(scheme, []).append((child.get("value") or "").strip())
    elif scheme:
        parts.classifications.setdefault(scheme, []).append(child)
    else:
        parts.nodes.add(uuid_of(child.get("classificationNode")))


def _localized(element: etree._Element, where: str, report: Report) -> str:
    """The first of the international strings; further languages are not kept, which a warning says."""
    strings = list(element.iterchildren(_LOCALIZED))
    for string in strings:
        if (string.get("charset") or "").upper() not in _CHARSETS:
            report.add(f"{where}/LocalizedString/@charset", "has to be UTF-8")
    if len(strings) > 1:
        report.add(where, "has several languages, of which the first is kept", Reason.EXTRA_METADATA_NOT_SAVED)
    return (strings[0].get("value") or "").strip() if strings else ""


def _extra(model: Model, parts: _Parts, report: Report) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The slots that no row knows. Unknown classifications and identifiers have no place in the value: a warning."""
    known = {row.key for row in model.attributes}
    for what, schemes in (("Classification", parts.classifications), ("ExternalIdentifier", parts.identifiers)):
        for scheme in schemes.keys() - known:
            report.add(f"{what} {scheme}", "is not known and was not kept", Reason.EXTRA_METADATA_NOT_SAVED)
    return tuple(item for item in parts.slots.items() if item[0] not in known)


def _read_slot(row: Attribute, parts: _Parts, report: Report) -> str | tuple[str, ...]:
    found = parts.slots.get(row.key, ())
    return found if row.most is None else _only(row, found, report)


def _read_number(row: Attribute, parts: _Parts, report: Report) -> int | None:
    return _number(row, _only(row, parts.slots.get(row.key, ()), report), report)


def _read_version(row: Attribute, parts: _Parts, report: Report) -> int | None:
    return _number(row, parts.version, report)


def _read_codes(row: Attribute, parts: _Parts, report: Report) -> Code | tuple[Code, ...] | None:
    found = tuple(_read_code(row, each, report) for each in parts.classifications.get(row.key, ()))
    if row.most is None:
        return found
    if len(found) > 1:
        report.add(row.name, f"has to be one Classification at most, not {len(found)}")
    return found[0] if found else None


def _read_code(row: Attribute, element: etree._Element, report: Report) -> Code:
    scheme = read_slots(element, report).get(CODING_SCHEME, ())
    code = (element.get("nodeRepresentation") or "").strip()
    if len(scheme) > 1:
        report.add(row.name, f"has to have one {CODING_SCHEME} in its Classification, not {len(scheme)}")
    name = element.find(_NAME)
    return Code(code, "".join(scheme[:1]), "" if name is None else _localized(name, f"{row.name}/Name", report))


def _read_authors(row: Attribute, parts: _Parts, report: Report) -> tuple[Author, ...]:
    return tuple(_read_author(each, report) for each in parts.classifications.get(row.key, ()))


def _read_author(element: etree._Element, report: Report) -> Author:
    if (element.get("nodeRepresentation") or "").strip():
        report.add("author", "has to have an empty nodeRepresentation in its Classification")
    slots = read_slots(element, report)
    said: dict[str, Any] = {name: slots.pop(slot, ()) for name, slot in AUTHOR_SLOTS.items()}
    if len(said["person"]) > 1:
        report.add(AUTHOR_SLOTS["person"], "has to have one value; write a Classification for each author")
    for slot in slots:
        report.add(f"author Slot {slot}", "is not known and was not kept", Reason.EXTRA_METADATA_NOT_SAVED)
    return Author(**{**said, "person": "".join(said["person"][:1])})


def _read_identifier(row: Attribute, parts: _Parts, report: Report) -> str:
    return _only(row, tuple(parts.identifiers.get(row.key, ())), report)


def _read_xml_attribute(row: Attribute, parts: _Parts, report: Report) -> str:
    return (parts.element.get(row.key) or "").strip()


def _read_status(row: Attribute, parts: _Parts, report: Report) -> str:
    """availabilityStatus, which ITI-42 also takes without the prefix of its URN."""
    return long_status(_read_xml_attribute(row, parts, report))


def uuid_of(text: str | None) -> str:
    """A scheme or node as the tables write it. Pretty printers have been seen to break UUIDs; blanks mean nothing."""
    return "".join((text or "").split()).lower()


def long_status(text: str) -> str:
    """``Approved`` and ``Deprecated`` as URNs; anything else as it is."""
    return STATUS_PREFIX + text if text in ("Approved", "Deprecated") else text


def _only(row: Attribute, found: tuple[str, ...], report: Report) -> str:
    if len(found) > 1:
        report.add(row.name, f"has to have one value, not {len(found)}")
    return found[0] if found else ""


def _number(row: Attribute, text: str, report: Report) -> int | None:
    if not text:
        return None
    if (said := size(text)) or len(text) > 18:
        report.add(row.name, said or "has to be a number of at most 18 digits")
        return None
    return int(text)


_READERS: dict[Form, Callable[[Attribute, _Parts, Report], Any]] = {
    Form.SLOT: _read_slot,
    Form.NUMBER_SLOT: _read_number,
    Form.CODE: _read_codes,
    Form.AUTHOR: _read_authors,
    Form.EXTERNAL_IDENTIFIER: _read_identifier,
    Form.XML_ATTRIBUTE: _read_xml_attribute,
    Form.STATUS: _read_status,
    Form.NAME: lambda row, parts, report: parts.name,
    Form.DESCRIPTION: lambda row, parts, report: parts.description,
    Form.VERSION: _read_version,
    Form.NODE: lambda row, parts, report: row.key in parts.nodes,
}
