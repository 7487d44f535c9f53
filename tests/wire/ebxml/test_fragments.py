"""The canonical form: nothing is lost, nothing depends on anything but the object, and it is what the schema wants."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hie.values.documents import DEPRECATED
from hie.values.errors import ExchangeError
from hie.wire.ebxml.attributes import MODELS
from hie.wire.ebxml.fragments import (
    read_fragment,
    with_home,
    with_patient_id,
    with_source_patient_id,
    with_status,
    write_fragment,
)
from hie.wire.ebxml.names import RIM
from hie.wire.xml import parse
from tests.conformance import needs_conformance
from tests.wire.ebxml import objects
from tests.wire.ebxml.messages import violations

ANY_OBJECT = st.one_of(*map(objects.objects_of, MODELS))
slowly = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=150)


@given(ANY_OBJECT)
@slowly
def test_reading_gives_back_what_was_written(each: Any) -> None:
    assert read_fragment(write_fragment(each)) == each


@given(ANY_OBJECT, objects.texts, objects.texts)
@slowly
def test_bytes_are_rewritten_as_the_value_would_be(each: Any, patient_id: str, home: str) -> None:
    written = write_fragment(each)
    assert read_fragment(with_status(written, DEPRECATED)) == replace(each, availability_status=DEPRECATED)
    assert read_fragment(with_home(written, home)) == replace(each, home_community_id=home)
    expected = replace(each, patient_id=patient_id) if hasattr(each, "patient_id") else each
    assert read_fragment(with_patient_id(written, patient_id)) == expected


def test_the_source_patient_is_rewritten_as_the_value_would_be() -> None:
    written = write_fragment(objects.DOCUMENT_ENTRY)
    expected = replace(objects.DOCUMENT_ENTRY, source_patient_id="<7>^^^&1.2.3&ISO")
    assert read_fragment(with_source_patient_id(written, "<7>^^^&1.2.3&ISO")) == expected
    assert with_source_patient_id(write_fragment(expected), "") == write_fragment(expected).replace(
        b"&lt;7&gt;^^^&amp;1.2.3&amp;ISO", b""
    )


def test_the_same_object_gives_the_same_bytes() -> None:
    for each in (objects.DOCUMENT_ENTRY, objects.SUBMISSION_SET, objects.FOLDER, *objects.ASSOCIATIONS):
        assert write_fragment(each) == write_fragment(replace(each))
        assert not write_fragment(each).startswith(b"<?xml")
        assert b"xmlns" not in write_fragment(each)


def test_a_home_is_added_where_there_was_none() -> None:
    bare = replace(objects.DOCUMENT_ENTRY, home_community_id="")
    changed = with_home(write_fragment(bare), "urn:oid:1.2.3")
    assert read_fragment(changed) == replace(bare, home_community_id="urn:oid:1.2.3")


@pytest.mark.parametrize("fragment", [b"", b"<rim:ExtrinsicObject id='x'/>", b"text"])
def test_a_status_is_not_written_into_something_else(fragment: bytes) -> None:
    with pytest.raises(ValueError, match="canonical"):
        with_status(fragment, DEPRECATED)


@pytest.mark.parametrize("fragment", [b"<rim:RegistryPackage id='x'/>", b"<rim:Service id='x'/>"])
def test_other_objects_are_refused(fragment: bytes) -> None:
    with pytest.raises(ExchangeError):
        read_fragment(fragment)


@needs_conformance
@pytest.mark.parametrize(
    "each", [objects.DOCUMENT_ENTRY, objects.SUBMISSION_SET, objects.FOLDER, *objects.ASSOCIATIONS], ids=repr
)
def test_a_fragment_is_valid_ebrim(each: Any) -> None:
    element = parse(
        b'<rim:RegistryObjectList xmlns:rim="'
        + RIM.encode()
        + b'">'
        + write_fragment(each)
        + b"</rim:RegistryObjectList>"
    )
    assert violations(element) == []
