"""The canonical ebRIM form of one registry object, as bytes that any answer can be joined from (ITI TF-3: 4.2.3).

Canonical: UTF-8, prefix ``rim`` without its declaration, attributes and children in the order of the schema and then of
the attribute table, generated ids that depend on nothing but the object. The same object gives the same bytes, and
the few attributes that the registry changes later can be found in them without parsing.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import sha1
from typing import Any

from hie.values.codes import Code
from hie.values.documents import Author, RegistryObject
from hie.values.errors import ExchangeError, Reason
from hie.wire.ebxml.attributes import MODELS, PACKAGE_OF_NODE, Attribute, Form, Model, model_of
from hie.wire.ebxml.names import CLASSIFICATION_TYPE, EXTERNAL_IDENTIFIER_TYPE, RIM, rim
from hie.wire.ebxml.reading import AUTHOR_SLOTS, CLASSIFICATION, CODING_SCHEME, read_object, uuid_of
from hie.wire.xml import escape, parse

_STATUS = re.compile(rb'( status=")[^"]*(")')
_HOME = re.compile(rb' home="[^"]*"')
_PATIENT_IDS = tuple(
    re.compile(rb'( identificationScheme="' + row.key.encode() + rb'" value=")[^"]*(")')
    for model in MODELS
    for row in model.attributes
    if row.name == "patientId"
)


def write_fragment(registry_object: RegistryObject) -> bytes:
    """The object as one ebRIM element in UTF-8 with the prefix ``rim`` and no namespace declaration."""
    model = model_of(registry_object)
    attributes = [f' objectType="{model.object_type}"'] if model.object_type else []
    children: list[list[str]] = [[] for _ in _ORDER]
    for row in model.attributes:
        value = getattr(registry_object, row.field)
        if value in (None, "", ()):
            continue
        place, write = _WRITERS[row.form]
        (attributes if place == _ATTRIBUTES else children[place]).append(write(registry_object, model, row, value))
    children[_SLOTS] += [_slot(name, values) for name, values in registry_object.extra_slots]
    if model.node:
        children[_CLASSIFICATIONS].append(_node(registry_object, model.name, model.node))
    inside = "".join(text for group in children for text in group)
    return f"<rim:{model.element}{''.join(attributes)}>{inside}</rim:{model.element}>".encode()


def with_status(fragment: bytes, status: str) -> bytes:
    """The fragment with another availabilityStatus (the full URN). Raises ValueError where it is none of ours."""
    end = fragment.find(b">")
    head, count = _STATUS.subn(lambda found: found[1] + _attribute(status).encode() + found[2], fragment[:end], count=1)
    if end < 0 or count != 1:
        raise ValueError("not a canonical fragment: no status in its first tag")
    return head + fragment[end:]


def with_home(fragment: bytes, home: str) -> bytes:
    """The fragment with a homeCommunityId, instead of the one that it may have."""
    end = fragment.find(b">")
    written = b' home="%s"' % _attribute(home).encode()
    head, count = _HOME.subn(lambda _found: written, fragment[:end], count=1)
    if not count:
        name = head.find(b" ")
        head = head[:name] + written + head[name:]
    return head + fragment[end:]


def with_patient_id(fragment: bytes, patient_id: str) -> bytes:
    """The fragment with another patientId (``Identifier.xds_cx``); an Association has none and stays as it is."""
    written = _attribute(patient_id).encode()
    for pattern in _PATIENT_IDS:
        changed, count = pattern.subn(lambda found: found[1] + written + found[2], fragment, count=1)
        if count:
            return changed
    return fragment


def read_fragment(fragment: bytes) -> RegistryObject:
    """The object that a fragment describes: the inverse of ``write_fragment``.

    Raises ExchangeError where it is no object of document sharing.
    """
    element = parse(b'<o xmlns:rim="' + RIM.encode() + b'">' + fragment + b"</o>")[0]
    return read_object(element, model_of_element(element), [])


def model_of_element(element: Any) -> Model:
    """The row group of an ebRIM element; a RegistryPackage is told by the Classification inside it.

    Raises ExchangeError where the element is no object of document sharing.
    """
    for model in MODELS:
        if element.tag == rim(model.element) and not model.node:
            return model
    for child in element.iterchildren(CLASSIFICATION):
        model_found = PACKAGE_OF_NODE.get(uuid_of(child.get("classificationNode")))
        if element.tag == rim("RegistryPackage") and model_found:
            return model_found
    raise ExchangeError(Reason.UNREADABLE, "The element is no DocumentEntry, SubmissionSet, Folder or Association.")


def _attribute(text: str) -> str:
    """Text inside an attribute: line breaks and tabs as references, because a parser would make blanks of them."""
    escaped = escape(text)
    if "\n" in escaped or "\t" in escaped:
        return escaped.replace("\n", "&#10;").replace("\t", "&#9;")
    return escaped


_URL = uuid.NAMESPACE_URL.bytes


def _generated_id(registry_object: RegistryObject, name: str) -> str:
    """An id of a Classification or ExternalIdentifier that depends on the object's id and its place alone."""
    digest = bytearray(sha1(_URL + f"{registry_object.entry_uuid}#{name}".encode(), usedforsecurity=False).digest())
    digest[6] = digest[6] & 0x0F | 0x50  # RFC 9562 5.5: version 5, written out because it runs seven times an object
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"urn:uuid:{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:32]}"


def _slot(name: str, values: Iterable[str]) -> str:
    written = "".join(f"<rim:Value>{escape(value)}</rim:Value>" for value in values)
    return f'<rim:Slot name="{_attribute(name)}"><rim:ValueList>{written}</rim:ValueList></rim:Slot>'


def _international(element: str, text: str) -> str:
    return f'<rim:{element}><rim:LocalizedString value="{_attribute(text)}"/></rim:{element}>'


def _classification(
    registry_object: RegistryObject, row: Attribute, number: int, representation: str, inside: str
) -> str:
    return (
        f'<rim:Classification id="{_generated_id(registry_object, f"{row.name}.{number}")}"'
        f' objectType="{CLASSIFICATION_TYPE}" classificationScheme="{row.key}"'
        f' classifiedObject="{_attribute(registry_object.entry_uuid)}"'
        f' nodeRepresentation="{_attribute(representation)}">{inside}</rim:Classification>'
    )


def _node(registry_object: RegistryObject, name: str, node: str) -> str:
    return (
        f'<rim:Classification id="{_generated_id(registry_object, name)}" objectType="{CLASSIFICATION_TYPE}"'
        f' classifiedObject="{_attribute(registry_object.entry_uuid)}" classificationNode="{node}"/>'
    )


def _write_node(registry_object: RegistryObject, model: Model, row: Attribute, value: bool) -> str:
    return _node(registry_object, row.name, row.key) if value else ""


def _write_xml_attribute(registry_object: RegistryObject, model: Model, row: Attribute, value: str) -> str:
    return f' {row.key}="{_attribute(value)}"'


def _write_slot(registry_object: RegistryObject, model: Model, row: Attribute, value: Any) -> str:
    return _slot(row.key, value if isinstance(value, tuple) else (str(value),))


def _write_version(registry_object: RegistryObject, model: Model, row: Attribute, value: int) -> str:
    return f'<rim:VersionInfo versionName="{value}"/>'


def _write_codes(registry_object: RegistryObject, model: Model, row: Attribute, value: Any) -> str:
    codes: tuple[Code, ...] = value if isinstance(value, tuple) else (value,)
    return "".join(
        _classification(
            registry_object,
            row,
            number,
            code.code,
            _inside_code(code),
        )
        for number, code in enumerate(codes, 1)
    )


@lru_cache(maxsize=4096)
def _inside_code(code: Code) -> str:
    """The scheme and the name of a code, which thousands of objects share."""
    return _slot(CODING_SCHEME, (code.scheme,)) + (_international("Name", code.display) if code.display else "")


def _write_authors(registry_object: RegistryObject, model: Model, row: Attribute, value: tuple[Author, ...]) -> str:
    return "".join(
        _classification(registry_object, row, number, "", _author_slots(author))
        for number, author in enumerate(value, 1)
    )


def _author_slots(author: Author) -> str:
    written = []
    for field, slot in AUTHOR_SLOTS.items():
        value = getattr(author, field)
        if value:
            written.append(_slot(slot, (value,) if isinstance(value, str) else value))
    return "".join(written)


def _write_identifier(registry_object: RegistryObject, model: Model, row: Attribute, value: str) -> str:
    return (
        f'<rim:ExternalIdentifier id="{_generated_id(registry_object, row.name)}"'
        f' objectType="{EXTERNAL_IDENTIFIER_TYPE}" registryObject="{_attribute(registry_object.entry_uuid)}"'
        f' identificationScheme="{row.key}" value="{_attribute(value)}">'
        f"{_international('Name', model.label(row))}</rim:ExternalIdentifier>"
    )


# The children of a RegistryObject in the order of the schema (rim.xsd, RegistryObjectType).
_ORDER = _SLOTS, _NAME, _DESCRIPTION, _VERSION, _CLASSIFICATIONS, _IDENTIFIERS = range(6)
_ATTRIBUTES = -1

_Writer = Callable[[RegistryObject, Model, Attribute, Any], str]
_WRITERS: dict[Form, tuple[int, _Writer]] = {
    Form.XML_ATTRIBUTE: (_ATTRIBUTES, _write_xml_attribute),
    Form.STATUS: (_ATTRIBUTES, _write_xml_attribute),
    Form.SLOT: (_SLOTS, _write_slot),
    Form.NUMBER_SLOT: (_SLOTS, _write_slot),
    Form.NAME: (_NAME, lambda registry_object, model, row, value: _international("Name", value)),
    Form.DESCRIPTION: (_DESCRIPTION, lambda registry_object, model, row, value: _international("Description", value)),
    Form.VERSION: (_VERSION, _write_version),
    Form.CODE: (_CLASSIFICATIONS, _write_codes),
    Form.AUTHOR: (_CLASSIFICATIONS, _write_authors),
    Form.NODE: (_CLASSIFICATIONS, _write_node),
    Form.EXTERNAL_IDENTIFIER: (_IDENTIFIERS, _write_identifier),
}
