"""Messages made to cost: their answer stays small and comes in time that grows with their size alone."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from hie.values.documents import HAS_MEMBER, Association
from hie.values.errors import ExchangeError, Finding, Reason
from hie.wire.ebxml import register, stored_query
from hie.wire.ebxml.names import QUERY, RIM
from hie.wire.ebxml.submission import read_submission, write_submission
from hie.wire.ebxml.validation import validate
from hie.wire.xml import parse
from tests.wire.ebxml import objects
from tests.wire.ebxml.messages import message_of, sent

MANY = 20_000
SLOT = '<rim:Slot name="{}"><rim:ValueList><rim:Value>{}</rim:Value></rim:ValueList></rim:Slot>'


def query_of(slots: str) -> bytes:
    return (
        f'<query:AdhocQueryRequest xmlns:query="{QUERY}" xmlns:rim="{RIM}">'
        '<query:ResponseOption returnType="LeafClass"/>'
        f'<rim:AdhocQuery id="urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d">{slots}</rim:AdhocQuery>'
        "</query:AdhocQueryRequest>"
    ).encode()


@pytest.mark.parametrize(
    "slots",
    [
        SLOT.format("$XDSDocumentEntryEventCodeList", "('a^^b')") * MANY,
        SLOT.format("$XDSDocumentEntryEventCodeList", "(" + "''" * 1_000_000),
        SLOT.format("$XDSDocumentEntryEventCodeList", "(" + "'a'," * 1_000_000),
        "".join(SLOT.format(f"$x{number}", "'a'") for number in range(MANY)),
    ],
    ids=["repeated", "quotes", "list", "unknown"],
)
def test_queries(slots: str) -> None:
    began = time.process_time()
    found = stored_query.read_request(message_of(parse(query_of(slots))))
    assert found.findings
    assert time.process_time() - began < 5


def test_submissions() -> None:
    members = tuple(
        Association(f"a{each}", HAS_MEMBER, "submissionSet01", f"x{each}", "Original") for each in range(MANY // 4)
    )
    slots = tuple(("urn:example:same", ("x",)) for _ in range(MANY))
    entry = replace(objects.DOCUMENT_ENTRY, extra_slots=slots)
    flood = replace(objects.SUBMISSION, associations=members, document_entries=(entry,))
    began = time.process_time()
    found = read_submission(parse(write_submission(flood)))
    assert len(validate(found)) >= MANY // 4
    assert len(found.findings) == MANY - 1
    assert time.process_time() - began < 10


def test_an_answer_lists_so_many_errors_and_says_how_many_more() -> None:
    error = ExchangeError.of([Finding(Reason.METADATA, "detail", "")] * MANY)
    body = register.write_error(message_of(parse(b"<x/>")), error)
    with pytest.raises(ExchangeError) as raised:
        register.read_response(sent(body))
    assert len(raised.value.findings) == 501
    assert raised.value.findings[-1].detail == f"{MANY - 500} more of these are not listed."
