"""Whether an XML body is built as its standard says: which elements, in which order, with which attributes.

A dialect writes one table, a ``Shape`` for each kind of element. From it come two readings that say the same: an XML
Schema, by which nearly every body is found good in a few microseconds, and a walk that says of any other one what is
wrong where, in sentences. Values are judged elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lxml import etree

_SCHEMA_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
NIL = f"{{{_SCHEMA_INSTANCE}}}nil"
_SCHEMA = "http://www.w3.org/2001/XMLSchema"
_XML = "http://www.w3.org/XML/1998/namespace"
_TEXT, _PLACE = "xs:string", "structure:"
_ANYTHING = "anything"


@dataclass(frozen=True, slots=True)
class Child:
    """What may stand at one place: one of these elements, so often. most: None is unbounded, else 1.

    A name is that of the element, which is also that of its shape; ``patient:Prior`` is an element of another shape.
    An element whose shape is in no row of the table may hold anything.
    """

    names: tuple[str, ...]
    least: int = 0
    most: int | None = 1


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of element: its children in their order, and its attributes. text: it has characters, and no element."""

    children: tuple[Child, ...] = ()
    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    text: bool = False


@dataclass(frozen=True, slots=True)
class Deviation:
    """What is built otherwise. name: of the element; sentence: goes on after it; inside: the nearest ``id`` around."""

    element: etree._Element
    name: str
    sentence: str
    inside: str


def one(*names: str) -> Child:
    """One of these has to stand here."""
    return Child(names, 1)


def at_most_one(*names: str) -> Child:
    """One of these may stand here."""
    return Child(names)


def any_number(*names: str) -> Child:
    """These may stand here, as often as they like."""
    return Child(names, 0, None)


def at_least_one(*names: str) -> Child:
    """One of these has to stand here, and may be repeated."""
    return Child(names, 1, None)


def shape(*children: Child, required: str = "", optional: str = "", text: bool = False) -> Shape:
    """A row. required, optional: names of attributes, separated by blanks."""
    return Shape(children, frozenset(required.split()), frozenset(optional.split()), text)


class Structure:
    """The table of one dialect, with its two readings. Safe to share between threads."""

    def __init__(
        self,
        standard: str,
        shapes: Mapping[str, Shape],
        roots: tuple[str, ...],
        default: str,
        others: Mapping[str, str] = MappingProxyType({}),
        *,
        nulls: frozenset[str] = frozenset(),
        types: str = "",
    ) -> None:
        """standard: as sentences call it. roots: the bodies. default: namespace of an element that others lacks.

        nulls: attributes by which an element says that it has nothing to say, and may lack anything.
        types: names in the default namespace, separated by blanks, that an ``xsi:type`` of an element without a row
        may have.
        """
        self._standard, self._shapes, self._nulls, self._types = standard, shapes, nulls, types
        self._default, self._others = default, others
        self._roots = {self._tag(name): name for name in roots}
        self._places = {
            name: [(frozenset(self._tag(each) for each in child.names), child) for child in row.children]
            for name, row in shapes.items()
        }
        self._shape_of = {
            name: {self._tag(each): _shape_name(each) for child in row.children for each in child.names}
            for name, row in shapes.items()
        }
        self._schema = self._compiled()

    def fits(self, body: etree._Element) -> bool:
        """Whether the schema takes a body as it stands: quick, and without a word."""
        return self._schema.validate(body)

    def deviations(self, body: etree._Element) -> Iterator[Deviation]:
        """What is built otherwise in a body, in document order; the body is one of the roots."""
        if not self.fits(body):
            yield from self._walk(body, self._roots.get(str(body.tag), ""), "")

    def _namespace(self, written: str) -> str:
        return self._others.get(_element_name(written), self._default)

    def _tag(self, written: str) -> str:
        return f"{{{self._namespace(written)}}}{_element_name(written)}"

    def _walk(self, element: etree._Element, kind: str, inside: str) -> Iterator[Deviation]:
        row = self._shapes.get(kind)
        if row is None or not self._nulls.isdisjoint(map(str, element.attrib)):
            return
        inside = (element.get("id") or inside).strip()[:128]
        name = etree.QName(element).localname
        sentences = [*self._attributes(element, row), *self._content(element, kind, row)]
        yield from (Deviation(element, name, sentence, inside) for sentence in sentences)
        shape_of = self._shape_of[kind]
        for child in element.iterchildren(tag=etree.Element):
            yield from self._walk(child, shape_of.get(str(child.tag), ""), inside)

    def _attributes(self, element: etree._Element, row: Shape) -> Iterator[str]:
        for attribute in sorted(row.required):
            if element.get(attribute) is None:
                yield f"has to have the attribute {attribute}"
        for attribute in map(str, element.attrib):
            known = attribute in row.required or attribute in row.optional
            if not known and not attribute.startswith(f"{{{_SCHEMA_INSTANCE}}}"):
                yield f"has no attribute {attribute[:64]} in {self._standard}"

    def _content(self, element: etree._Element, kind: str, row: Shape) -> Iterator[str]:
        tags = [str(child.tag) for child in element.iterchildren(tag=etree.Element)]
        if not row.text and ((element.text or "").strip() or any((child.tail or "").strip() for child in element)):
            yield "has to have no characters beside its elements"
        at = 0
        for names, child in self._places[kind]:
            count = 0
            while at < len(tags) and tags[at] in names and (child.most is None or count < child.most):
                at, count = at + 1, count + 1
            if count < child.least and names.isdisjoint(tags[at:]):
                yield f"has to have a {' or '.join(map(_element_name, child.names))}"
        if at < len(tags):
            wanted = ", ".join(_element_name(each) for child in row.children for each in child.names) or "nothing"
            what = etree.QName(tags[at]).localname[:64]
            yield f"has {what} at a place where {self._standard} has none; the order is: {wanted}"

    # The schema -----------------------------------------------------------------------------------------------------

    def _compiled(self) -> etree.XMLSchema:
        """The table as XML Schema: a document for each namespace, and one that imports them all.

        What is parsed here is what was written here; messages are parsed by ``hie.wire.xml``.
        """
        namespaces = dict.fromkeys((self._default, *self._others.values()))
        used = {namespace: f"n{number}" for number, namespace in enumerate(namespaces)}
        documents = {prefix: etree.tostring(self._document(each, used)) for each, prefix in used.items()}
        parser = etree.XMLParser(no_network=True, resolve_entities=False)
        parser.resolvers.add(_Documents(documents))
        imports = [_import(each, schemaLocation=f"{_PLACE}{prefix}") for each, prefix in used.items()]
        return etree.XMLSchema(etree.fromstring(etree.tostring(_made("schema", *imports)), parser))

    def _document(self, namespace: str, used: Mapping[str, str]) -> etree._Element:
        """The rows whose elements are of one namespace, each as a type, and as an element that others refer to."""
        written = [_import(each) for each in used if each != namespace]
        prefix = used[namespace]
        for kind, row in self._shapes.items():
            if self._namespace(kind) == namespace:
                places = [self._place(child, namespace, used) for child in row.children]
                written.append(_type(kind, row, places))
                written.append(_made("element", name=kind, type=f"{prefix}:{kind}"))
        anything = _made("sequence", _made("any", minOccurs="0", maxOccurs="unbounded", processContents="skip"))
        skipped = _made("anyAttribute", processContents="skip")
        written.append(_made("complexType", anything, skipped, name=_ANYTHING, mixed="true"))
        if namespace == self._default:
            same = f"{prefix}:{_ANYTHING}"
            written += [
                _made("complexType", _made("complexContent", _made("extension", base=same), mixed="true"), name=each)
                for each in self._types.split()
            ]
        declared = {"xs": _SCHEMA, **{prefix: each for each, prefix in used.items()}}
        document = etree.Element(f"{{{_SCHEMA}}}schema", nsmap=declared)
        document.attrib.update({"targetNamespace": namespace, "elementFormDefault": "qualified"})
        document.extend(written)
        return document

    def _place(self, child: Child, namespace: str, used: Mapping[str, str]) -> etree._Element:
        alternatives = []
        for written in child.names:
            name, kind, its_namespace = _element_name(written), _shape_name(written), self._namespace(written)
            prefix = used[its_namespace]
            if its_namespace == namespace:
                known = kind if kind in self._shapes else _ANYTHING
                alternatives.append(_made("element", name=name, type=f"{prefix}:{known}"))
            else:
                alternatives.append(_made("element", ref=f"{prefix}:{name}"))
        most = "unbounded" if child.most is None else "1"
        return _made("choice", *alternatives, minOccurs=str(child.least), maxOccurs=most)


class _Documents(etree.Resolver):
    """What the importing document finds at the places that it names."""

    def __init__(self, documents: Mapping[str, bytes]) -> None:
        self._documents = documents

    def resolve(self, system_url: str, public_id: str, context: object = None) -> object:
        return self.resolve_string(self._documents[system_url.removeprefix(_PLACE)], context, base_url=system_url)


def _type(kind: str, row: Shape, places: list[etree._Element]) -> etree._Element:
    local = [name for name in (*row.required, *row.optional) if not name.startswith("{")]
    attributes = [
        _made("attribute", name=name, type=_TEXT, use="required" if name in row.required else "optional")
        for name in local
    ]
    if len(local) < len(row.required | row.optional):  # of XML's own xml:lang alone is in use; the others pass with it
        attributes.append(_made("anyAttribute", namespace=_XML, processContents="skip"))
    if row.text:
        return _made("complexType", _made("simpleContent", _made("extension", *attributes, base=_TEXT)), name=kind)
    return _made("complexType", _made("sequence", *places), *attributes, name=kind)


def _made(name: str, /, *children: etree._Element, **attributes: str) -> etree._Element:
    element = etree.Element(f"{{{_SCHEMA}}}{name}")
    for attribute, text in attributes.items():
        element.set(attribute, text)
    element.extend(children)
    return element


def _import(namespace: str, **where: str) -> etree._Element:
    return _made("import", namespace=namespace, **where)


def _element_name(written: str) -> str:
    return written.partition(":")[0]


def _shape_name(written: str) -> str:
    name, _, kind = written.partition(":")
    return kind or name
