"""Whatever the schema of ebRIM refuses of a submission is refused by us, and the other way round."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import pytest
from lxml import etree

from hie.wire.ebxml.structure import findings_of
from hie.wire.ebxml.submission import read_submission, write_submission
from tests.apps.xds.samples import entry, folder, member, submission
from tests.conformance import CONFORMANCE, needs_conformance

WHOLE = "1.2.3"


def sample() -> etree._Element:
    """A submission with every kind of object."""
    its_folder, document = folder(WHOLE), entry(WHOLE, comments="a", service_start_time="2026")
    membership = member(its_folder.entry_uuid, document.entry_uuid)
    return etree.fromstring(
        write_submission(submission(WHOLE, document, folders=(its_folder,), associations=(membership,)))
    )


def changed() -> Iterator[tuple[str, etree._Element]]:
    """The sample with one thing changed: of every element in every place, and of every attribute of it."""
    whole = sample()
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
                yield f"{how} {name}", copy
        for attribute in element.attrib:
            copy = deepcopy(whole)
            del list(copy.iter(etree.Element))[number].attrib[attribute]
            yield f"drop {name}/@{attribute}", copy


def _drop(element: etree._Element) -> bool:
    element.getparent().remove(element)  # type: ignore[union-attr]
    return True


def _repeat(element: etree._Element) -> bool:
    element.addprevious(deepcopy(element))
    return True


def _rename(element: etree._Element) -> bool:
    element.tag = f"{{{etree.QName(element).namespace}}}Other"
    return True


def _move(element: etree._Element) -> bool:
    following = element.getnext()
    if following is not None:
        following.addnext(element)
    return following is not None


def _attribute(element: etree._Element) -> bool:
    element.set("other", "x")
    return True


def _text(element: etree._Element) -> bool:
    element.text = f"{element.text or ''}x"
    return True


CHANGES = {
    "drop": _drop, "repeat": _repeat, "rename": _rename, "move": _move, "attribute": _attribute, "text": _text,
}  # fmt: skip


# docs/conformance.md: ebRIM 3.0.
TOLERATED = {"drop Association/@id", "drop Classification/@id", "drop ExternalIdentifier/@id"}


@needs_conformance
def test_what_the_schema_refuses_is_refused_with_the_name_of_the_element() -> None:
    schema = etree.XMLSchema(file=str(CONFORMANCE / "schema/xds/schema/xds-all-lxml.xsd"))
    assert schema.validate(sample())
    refused = 0
    for what, request in changed():
        found = findings_of(request)
        if what in TOLERATED:
            assert not found, what
            continue
        assert schema.validate(request) is not bool(found), what
        refused += bool(found)
    assert refused > 80


def test_the_sample_is_as_it_should_be() -> None:
    assert findings_of(sample()) == []
    assert read_submission(sample()).findings == ()


@pytest.mark.parametrize(
    ("path", "how", "sentence"),
    [
        (".//{*}ExtrinsicObject/{*}Name", _move, "ExtrinsicObject has Name at a place"),
        (".//{*}ExternalIdentifier", _attribute, "ExternalIdentifier has no attribute other"),
        (".//{*}Slot/{*}ValueList", _drop, "Slot has to have a ValueList"),
        (".//{*}ExternalIdentifier", lambda each: each.attrib.pop("registryObject"), "the attribute registryObject"),
    ],
)
def test_the_sender_is_told_what_to_change(path: str, how: object, sentence: str) -> None:
    request = sample()
    element = request.find(path)
    assert element is not None
    how(element)  # type: ignore[operator]
    assert any(sentence in each.detail for each in findings_of(request))
