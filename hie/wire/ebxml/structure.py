"""Whether a submission is built as ebRIM 3.0 says: which elements, in which order, with which attributes.

The table has a row for each element that a SubmitObjectsRequest may hold: what it may have inside, in order, and its
attributes. Values are judged elsewhere (``reading``, ``validation``). Every deviation is one sentence that names the
element, so that a sender learns what its own schema would have told it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from hie.values.errors import Finding, Reason
from hie.wire.ebxml.names import LCM, RIM, RS, XML_LANG


@dataclass(frozen=True, slots=True)
class Child:
    """What may stand at one place: one of these elements, so often. most: None is unbounded."""

    names: tuple[str, ...]
    least: int = 0
    most: int | None = 1


@dataclass(frozen=True, slots=True)
class Shape:
    """One element: its children in their order, and its attributes. text: it has characters, and no element."""

    children: tuple[Child, ...] = ()
    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    text: bool = False


def _one(name: str, least: int = 0) -> Child:
    return Child((name,), least)


def _many(*names: str) -> Child:
    return Child(names, 0, None)


def _shape(*children: Child, required: str = "", optional: str = "", text: bool = False) -> Shape:
    return Shape(children, frozenset(required.split()), frozenset(optional.split()), text)


_SLOTS = _many("Slot")
_OBJECT = (
    _SLOTS,
    _one("Name"),
    _one("Description"),
    _one("VersionInfo"),
    _many("Classification"),
    _many("ExternalIdentifier"),
)
_IDS = "home lid objectType status"
_LANG = XML_LANG
# An Association, Classification or ExternalIdentifier without id is no matter of structure: some senders leave it out.
# What a registry object list holds in document sharing; that anything else is no object of it is said where it is read.
_OBJECTS = ("ExtrinsicObject", "RegistryPackage", "Association", "Classification", "ExternalIdentifier", "ObjectRef")

SHAPES: dict[str, Shape] = {
    "RequestSlotList": _shape(Child(("Slot",), 0, None)),
    "RegistryObjectList": _shape(_many(*_OBJECTS)),
    "ExtrinsicObject": _shape(
        *_OBJECT, _one("ContentVersionInfo"), required="id", optional=f"{_IDS} mimeType isOpaque"
    ),
    "RegistryPackage": _shape(*_OBJECT, _one("RegistryObjectList"), required="id", optional=_IDS),
    "Association": _shape(*_OBJECT, required="associationType sourceObject targetObject", optional=f"id {_IDS}"),
    "Classification": _shape(
        *_OBJECT,
        required="classifiedObject",
        optional=f"id {_IDS} classificationScheme classificationNode nodeRepresentation",
    ),
    "ExternalIdentifier": _shape(*_OBJECT, required="registryObject identificationScheme value", optional=f"id {_IDS}"),
    "ObjectRef": _shape(_SLOTS, required="id", optional="home createReplica"),
    "Slot": _shape(_one("ValueList", 1), required="name", optional="slotType"),
    "ValueList": _shape(_many("Value")),
    "Value": _shape(text=True),
    "Name": _shape(_many("LocalizedString")),
    "Description": _shape(_many("LocalizedString")),
    "LocalizedString": _shape(required="value", optional=f"charset {_LANG}"),
    "VersionInfo": _shape(optional="versionName comment"),
    "ContentVersionInfo": _shape(optional="versionName comment"),
}
_REQUEST = _shape(_one("RequestSlotList"), _one("RegistryObjectList", 1), optional="id comment")
_NAMESPACE = {"RequestSlotList": RS}
_SCHEMA_INSTANCE = "{http://www.w3.org/2001/XMLSchema-instance}"
_TAGS = {f"{{{_NAMESPACE.get(name, RIM)}}}{name}": name for name in SHAPES}
_TAGS[f"{{{LCM}}}SubmitObjectsRequest"] = "SubmitObjectsRequest"
_ALL = {**SHAPES, "SubmitObjectsRequest": _REQUEST}


def findings_of(request: etree._Element) -> list[Finding]:
    """What is built otherwise in a SubmitObjectsRequest, each with the element, and the object that it belongs to."""
    return list(_of(request, ""))


def _of(element: etree._Element, inside: str) -> Iterator[Finding]:
    name = _TAGS.get(str(element.tag))
    if name is None:
        return  # said by whoever holds it
    shape = _ALL[name]
    inside = (element.get("id") or inside).strip()[:128]
    yield from _attributes(element, name, shape, inside)
    yield from _children(element, name, shape, inside)
    for child in element.iterchildren(tag=etree.Element):
        yield from _of(child, inside)


def _attributes(element: etree._Element, name: str, shape: Shape, inside: str) -> Iterator[Finding]:
    for attribute in sorted(shape.required):
        if element.get(attribute) is None:
            yield _said(name, inside, f"has to have the attribute {attribute}")
    for attribute in map(str, element.attrib):
        known = attribute in shape.required or attribute in shape.optional
        if not known and not attribute.startswith(_SCHEMA_INSTANCE):
            yield _said(name, inside, f"has no attribute {attribute[:64]} in ebRIM")


def _children(element: etree._Element, name: str, shape: Shape, inside: str) -> Iterator[Finding]:
    tags = [str(child.tag) for child in element.iterchildren(tag=etree.Element)]
    if not shape.text and ((element.text or "").strip() or any((child.tail or "").strip() for child in element)):
        yield _said(name, inside, "has to have no characters beside its elements")
    at = 0
    for child in shape.children:
        count = 0
        while at < len(tags) and _TAGS.get(tags[at]) in child.names and (child.most is None or count < child.most):
            at, count = at + 1, count + 1
        if count < child.least:
            yield _said(name, inside, f"has to have a {' or '.join(child.names)}")
    if at < len(tags):
        wanted = ", ".join(each for child in shape.children for each in child.names) or "nothing"
        what = etree.QName(tags[at]).localname[:64]
        yield _said(name, inside, f"has {what} at a place where ebRIM has none; the order is: {wanted}")


def _said(name: str, inside: str, sentence: str) -> Finding:
    return Finding(Reason.METADATA, f"{name} {sentence}.", f"{inside or 'without id'}: {name}")
