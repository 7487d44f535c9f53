"""The canonical ebRIM form of one registry object, as bytes that any answer can be joined from (ITI TF-3: 4.2.3).

Canonical: UTF-8, prefix ``rim`` without its declaration, attributes and children in the order of the schema and then of
the attribute table, generated ids that depend on nothing but the object. The same object gives the same bytes, and
the few attributes that the registry changes later can be found in them without parsing.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

from hie.values.codes import Code
from hie.values.documents import Author, RegistryObject
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import named_uuid_urn
from hie.wire.ebxml.attributes import MODELS, PACKAGE_OF_NODE, Attribute, Form, Model, model_of
from hie.wire.ebxml.names import CLASSIFICATION_TYPE, EXTERNAL_IDENTIFIER_TYPE, RIM, rim
from hie.wire.ebxml.reading import AUTHOR_SLOTS, CLASSIFICATION, CODING_SCHEME, read_object, uuid_of
from hie.wire.xml import escape, parse

_STATUS = re.compile(rb'( status=")[^"]*(")')
_HOME = re.compile(rb' home="[^"]*"')
_SOURCE = re.compile(rb'(<rim:Slot name="sourcePatientId"><rim:ValueList><rim:Value>)[^<]*(<)')
_PATIENT_IDS = tuple(
    re.compile(rb'( identificationScheme="' + row.key.encode() + rb'" value=")[^"]*(")')
    for model in MODELS
    for row in model.attributes
    if row.name == "patientId"
)


def write_fragment(registry_object: RegistryObject) -> bytes:
    """The object as one ebRIM element in UTF-8 with the prefix ``rim`` and no namespace declaration."""
    model = model_of(registry_object)
    owner = _Owner(_URL + f"{registry_object.entry_uuid}#".encode(), _attribute(registry_object.entry_uuid))
    attributes = [f' objectType="{model.object_type}"'] if model.object_type else []
    children: list[list[str]] = [[] for _ in _ORDER]
    for row, place, write in _steps(model.name):
        value = getattr(registry_object, row.field)
        if not value and not isinstance(value, int):  # a size may be 0
            continue
        (attributes if place == _ATTRIBUTES else children[place]).append(write(owner, model, row, value))
    children[_SLOTS] += [_slot(name, values) for name, values in registry_object.extra_slots]
    if model.node:
        children[_CLASSIFICATIONS].append(_node(owner, model.name, model.node))
    inside = "".join(["".join(group) for group in children])
    return f"<rim:{model.element}{''.join(attributes)}>{inside}</rim:{model.element}>".encode()


@cache
def _steps(model_name: str) -> tuple[tuple[Attribute, int, _Writer], ...]:
    """The rows of a model, each with its place and its writer."""
    model = next(each for each in MODELS if each.name == model_name)
    return tuple((row, *_WRITERS[row.form]) for row in model.attributes)


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


def with_source_patient_id(fragment: bytes, source_patient_id: str) -> bytes:
    """The fragment of a DocumentEntry with another sourcePatientId (``Identifier.xds_cx``)."""
    written = escape(source_patient_id).encode()
    return _SOURCE.sub(lambda found: found[1] + written + found[2], fragment, count=1)


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


class _Owner(NamedTuple):
    """The object that the parts of its fragment name. seed: what their ids are derived from; written: its own id."""

    seed: bytes
    written: str


def _generated_id(owner: _Owner, place: bytes) -> str:
    """An id of a Classification or ExternalIdentifier that depends on the object's id and its place alone."""
    return named_uuid_urn(owner.seed + place)


def _slot(name: str, values: Iterable[str]) -> str:
    written = "".join([f"<rim:Value>{escape(value)}</rim:Value>" for value in values])
    return f"{_slot_named(name)}{written}</rim:ValueList></rim:Slot>"


@lru_cache(maxsize=1024)
def _slot_named(name: str) -> str:
    return f'<rim:Slot name="{_attribute(name)}"><rim:ValueList>'


def _international(element: str, text: str) -> str:
    return f'<rim:{element}><rim:LocalizedString value="{_attribute(text)}"/></rim:{element}>'


@lru_cache(maxsize=8192)
def _classification(place: str, key: str, representation: str, inside: str) -> tuple[bytes, str, str]:
    """Its place, what stands between its id and the object's, and behind that: thousands of objects share it."""
    return (
        place.encode(),
        f'" objectType="{CLASSIFICATION_TYPE}" classificationScheme="{key}" classifiedObject="',
        f'" nodeRepresentation="{_attribute(representation)}">{inside}</rim:Classification>',
    )


def _classify(owner: _Owner, row: Attribute, number: int, representation: str, inside: str) -> str:
    place, middle, end = _classification(f"{row.name}.{number}", row.key, representation, inside)
    return f'<rim:Classification id="{_generated_id(owner, place)}{middle}{owner.written}{end}'


def _node(owner: _Owner, name: str, node: str) -> str:
    return (
        f'<rim:Classification id="{_generated_id(owner, name.encode())}" objectType="{CLASSIFICATION_TYPE}"'
        f' classifiedObject="{owner.written}" classificationNode="{node}"/>'
    )


def _write_node(owner: _Owner, model: Model, row: Attribute, value: bool) -> str:
    return _node(owner, row.name, row.key) if value else ""


def _write_xml_attribute(owner: _Owner, model: Model, row: Attribute, value: str) -> str:
    return f' {row.key}="{_attribute(value)}"'


def _write_slot(owner: _Owner, model: Model, row: Attribute, value: Any) -> str:
    return _slot(row.key, value if isinstance(value, tuple) else (str(value),))


def _write_version(owner: _Owner, model: Model, row: Attribute, value: int) -> str:
    return f'<rim:VersionInfo versionName="{value}"/>'


def _write_codes(owner: _Owner, model: Model, row: Attribute, value: Any) -> str:
    codes: tuple[Code, ...] = value if isinstance(value, tuple) else (value,)
    return "".join(
        [
            _classify(owner, row, number, code.code, _inside_code(code.scheme, code.display))
            for number, code in enumerate(codes, 1)
        ]
    )


@lru_cache(maxsize=4096)
def _inside_code(scheme: str, display: str) -> str:
    """The scheme and the name of a code, which thousands of objects share."""
    return _slot(CODING_SCHEME, (scheme,)) + (_international("Name", display) if display else "")


def _write_authors(owner: _Owner, model: Model, row: Attribute, value: tuple[Author, ...]) -> str:
    return "".join(
        [
            _classify(owner, row, number, "", _author_slots(*_values_of(author)))
            for number, author in enumerate(value, 1)
        ]
    )


_values_of = attrgetter(*AUTHOR_SLOTS)


@lru_cache(maxsize=4096)
def _author_slots(*values: str | tuple[str, ...]) -> str:
    written = []
    for slot, value in zip(AUTHOR_SLOTS.values(), values, strict=True):
        if value:
            written.append(_slot(slot, (value,) if isinstance(value, str) else value))
    return "".join(written)


def _write_identifier(owner: _Owner, model: Model, row: Attribute, value: str) -> str:
    return (
        f'<rim:ExternalIdentifier id="{_generated_id(owner, row.name.encode())}"'
        f' objectType="{EXTERNAL_IDENTIFIER_TYPE}" registryObject="{owner.written}"'
        f' identificationScheme="{row.key}" value="{_attribute(value)}">{_named(model.label(row))}'
    )


@cache
def _named(label: str) -> str:
    return f"{_international('Name', label)}</rim:ExternalIdentifier>"


# The children of a RegistryObject in the order of the schema (rim.xsd, RegistryObjectType).
_ORDER = _SLOTS, _NAME, _DESCRIPTION, _VERSION, _CLASSIFICATIONS, _IDENTIFIERS = range(6)
_ATTRIBUTES = -1

_Writer = Callable[[_Owner, Model, Attribute, Any], str]
_WRITERS: dict[Form, tuple[int, _Writer]] = {
    Form.XML_ATTRIBUTE: (_ATTRIBUTES, _write_xml_attribute),
    Form.STATUS: (_ATTRIBUTES, _write_xml_attribute),
    Form.SLOT: (_SLOTS, _write_slot),
    Form.NUMBER_SLOT: (_SLOTS, _write_slot),
    Form.NAME: (_NAME, lambda owner, model, row, value: _international("Name", value)),
    Form.DESCRIPTION: (_DESCRIPTION, lambda owner, model, row, value: _international("Description", value)),
    Form.VERSION: (_VERSION, _write_version),
    Form.CODE: (_CLASSIFICATIONS, _write_codes),
    Form.AUTHOR: (_CLASSIFICATIONS, _write_authors),
    Form.NODE: (_CLASSIFICATIONS, _write_node),
    Form.EXTERNAL_IDENTIFIER: (_IDENTIFIERS, _write_identifier),
}
