"""Valid messages with one thing changed, for the tests of what is built otherwise than a schema says."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

from lxml import etree


def changed(whole: etree._Element) -> Iterator[tuple[str, etree._Element]]:
    """A message with one thing changed: of every element in every place, and of every attribute of it.

    With what was done: ``drop Slot/ValueList`` (the parent, and the element), ``drop Slot/@name``.
    """
    whole = deepcopy(whole)  # without what is around it
    seen = set()
    for number, element in enumerate(whole.iter(etree.Element)):
        parent = element.getparent()
        place = (None if parent is None else parent.tag, element.tag)
        if place in seen:
            continue
        seen.add(place)
        name = etree.QName(element).localname
        for how, change in CHANGES.items():
            if parent is None and how in ("drop", "repeat", "rename", "move"):
                continue
            copy = deepcopy(whole)
            if change(list(copy.iter(etree.Element))[number]):
                yield how + (" " if parent is None else f" {etree.QName(parent).localname}/") + name, copy
        for attribute in element.attrib:
            copy = deepcopy(whole)
            del list(copy.iter(etree.Element))[number].attrib[attribute]
            yield f"drop {name}/@{attribute}", copy


def extended(whole: etree._Element) -> etree._Element:
    """A message with what XML allows everywhere: comments, and a hint for schema processors."""
    copy = deepcopy(whole)
    for element in list(copy.iter(etree.Element)):
        element.insert(0, etree.Comment("x"))
        element.text, element[0].tail = None, element.text
    copy.set("{http://www.w3.org/2001/XMLSchema-instance}schemaLocation", "urn:a a.xsd")
    return copy


def drop(element: etree._Element) -> bool:
    element.getparent().remove(element)  # type: ignore[union-attr]
    return True


def repeat(element: etree._Element) -> bool:
    element.addprevious(deepcopy(element))
    return True


def rename(element: etree._Element) -> bool:
    element.tag = f"{{{etree.QName(element).namespace}}}Other"
    return True


def move(element: etree._Element) -> bool:
    following = element.getnext()
    if following is not None:
        following.addnext(element)
    return following is not None


def add_attribute(element: etree._Element) -> bool:
    element.set("other", "x")
    return True


def add_text(element: etree._Element) -> bool:
    element.text = f"{element.text or ''}x"
    return True


CHANGES = {
    "drop": drop, "repeat": repeat, "rename": rename, "move": move, "attribute": add_attribute, "text": add_text,
}  # fmt: skip
