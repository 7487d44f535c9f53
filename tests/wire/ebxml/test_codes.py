"""``codes.xml``: read, written, refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.values.codes import Code, CodeType, DomainCode, DomainCodes
from hie.values.errors import ExchangeError
from hie.wire.ebxml.codes import CLASS_SCHEMES, MIME_TYPE, read_codes, write_codes
from tests.conformance import CONFORMANCE, needs_conformance
from tests.wire.ebxml import objects
from tests.wire.ebxml.messages import SAMPLES

CONFIDENTIALITY = "2.16.840.1.113883.5.25"


def test_a_small_domain() -> None:
    found = read_codes((SAMPLES / "codes" / "codes.xml").read_bytes())
    confidentiality, folders, mime_types = found.code_types
    assert confidentiality.class_scheme == "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f"
    assert [each.code for each in confidentiality.codes] == [
        Code("N", CONFIDENTIALITY, "通常"),
        Code("R", CONFIDENTIALITY, "閲覧制限"),
    ]
    assert confidentiality.codes[0].system.endswith("v3-Confidentiality")
    assert (folders.name, folders.codes[0].code.display) == ("folderCodeList", "心不全")
    assert mime_types.codes == (DomainCode(Code("text/xml"), extension="xml"),)
    assert found.assigning_authorities == (("&1.2.392.200119.9.1&ISO", "地域"),)
    assert read_codes(write_codes(found)) == found


oids = st.lists(st.integers(1, 999), min_size=1, max_size=5).map(lambda arcs: "1.2." + ".".join(map(str, arcs)))
domain_codes = st.builds(
    DomainCode, st.builds(Code, objects.texts, objects.texts, st.just("") | objects.texts), st.just("") | objects.texts
)


def _as_attribute(text: str) -> str:
    """XML makes blanks of line ends in attributes; no code has any."""
    return " ".join(text.split())


@given(
    st.dictionaries(
        st.sampled_from(sorted(CLASS_SCHEMES.keys() - {MIME_TYPE})),
        st.lists(domain_codes, max_size=3, unique_by=lambda each: (each.code.code, each.code.scheme)).map(tuple),
        max_size=4,
    ),
    st.lists(oids.map("&{}&ISO".format), max_size=2, unique=True),
)
def test_any_domain_comes_through(types: dict[str, tuple[DomainCode, ...]], authorities: list[str]) -> None:
    written = DomainCodes(
        tuple(CodeType(name, codes, CLASS_SCHEMES[name]) for name, codes in types.items()),
        tuple((authority, "") for authority in authorities),
    )
    again = read_codes(write_codes(written))
    assert [each.name for each in again.code_types] == [*types]
    for before, after in zip(written.code_types, again.code_types, strict=True):
        texts = {_as_attribute(each.code.code) for each in before.codes}
        assert texts == {_as_attribute(each.code.code) for each in after.codes}
    assert again.assigning_authorities == written.assigning_authorities
    assert read_codes(write_codes(again)) == again


@pytest.mark.parametrize(
    "raw",
    [
        "<Other/>",
        "<Codes><Other/></Codes>",
        '<Codes><CodeType name="lol"/></Codes>',
        '<Codes><CodeType name="typeCode" classScheme="urn:uuid:1"/></Codes>',
        '<Codes><CodeType name="typeCode"><Code code=" " codingScheme="s"/></CodeType></Codes>',
        '<Codes><CodeType name="typeCode"><Code code="c"/></CodeType></Codes>',
        '<Codes><CodeType name="typeCode"><Other/></CodeType></Codes>',
        f'<Codes><CodeType name="mimeType"><Code code="{"x" * 300}"/></CodeType></Codes>',
        '<Codes><AssigningAuthority id="1.2.3"/></Codes>',
        '<Codes><AssigningAuthority id="&amp;1.2.3&amp;DNS"/></Codes>',
        '<!DOCTYPE Codes [<!ENTITY x SYSTEM "file:///etc/passwd">]><Codes>&x;</Codes>',
        "<Codes>",
        "",
    ],
)
def test_what_is_no_such_file(raw: str) -> None:
    with pytest.raises(ExchangeError) as raised:
        read_codes(raw.encode())
    assert raised.value.detail.endswith(".")


def test_all_is_said_at_once() -> None:
    with pytest.raises(ExchangeError) as raised:
        read_codes(b'<Codes>\n<CodeType name="lol"/>\n<AssigningAuthority/>\n</Codes>')
    assert [each.location for each in raised.value.findings] == ["line 2", "line 3"]


@needs_conformance
def test_the_public_file() -> None:
    found = read_codes((CONFORMANCE / "codes" / "codes.xml").read_bytes())
    assert {each.name for each in found.code_types} <= CLASS_SCHEMES.keys()
    assert len(found.code_types) == 11
    assert sum(len(each.codes) for each in found.code_types) > 500
    assert len(found.assigning_authorities) == 3
    assert read_codes(write_codes(found)) == found
