"""ITI-53 and ITI-54: what is told, and what cannot be read as a notification."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hie.values.documents import DocumentEntry, Folder, Submission
from hie.values.errors import ExchangeError, Reason
from hie.values.subscriptions import (
    FOLDER_METADATA,
    FULL_DOCUMENT_ENTRY,
    MINIMAL_DOCUMENT_ENTRY,
    SUBMISSION_SET_METADATA,
    Notification,
    Publication,
    Received,
)
from hie.wire.ebxml.attributes import MODELS
from hie.wire.ebxml.fragments import read_fragment, write_fragment
from hie.wire.soap.envelope import SoapBody
from hie.wire.soap.faults import SoapFault
from hie.wire.wsnt import notify, publish
from hie.wire.xml import parse
from tests.conformance import needs_conformance
from tests.wire.ebxml import objects
from tests.wire.ebxml.messages import message_of, sample, sent, violations

BROKER = "https://exchange.example/soap/broker"
SUBSCRIPTION = f"{BROKER}?subscription=382dcdc7-8e84-4fdc-8443-48fd83bca938"
LOGICAL, OTHER = (f"urn:uuid:5b1f5a2e-3a1c-4b38-8f4f-0a5e2a9d7c0{n}" for n in (1, 2))


def test_a_full_notification() -> None:
    found = notify.read_request(sample("ITI-53/full.xml"))
    assert (found.topic, found.subscription, found.producer) == (FULL_DOCUMENT_ENTRY, SUBSCRIPTION, BROKER)
    (entry,) = map(read_fragment, found.fragments)
    assert isinstance(entry, DocumentEntry)
    assert entry.entry_uuid == LOGICAL
    assert notify.read_request(sent(notify.write_request(found))) == found


def test_a_minimal_notification() -> None:
    found = notify.read_request(sample("ITI-53/minimal.xml"))
    assert found == Notification(MINIMAL_DOCUMENT_ENTRY, (), (LOGICAL, OTHER), SUBSCRIPTION, BROKER)
    assert notify.read_request(sent(notify.write_request(found))) == found


@pytest.mark.parametrize(
    ("topic", "told"), [(SUBMISSION_SET_METADATA, objects.SUBMISSION_SET), (FOLDER_METADATA, objects.FOLDER)]
)
def test_packages(topic: str, told: Folder) -> None:
    asked = Notification(topic, (write_fragment(told),))
    found = notify.read_request(sent(notify.write_request(asked)))
    assert found == asked
    assert read_fragment(found.fragments[0]) == told


def test_a_publication() -> None:
    found = publish.read_request(sample("ITI-54/publish.xml"))
    assert found.producer == "urn:oid:1.2.392.200119.9.8.1"
    assert found.submission.findings == ()
    kinds = (found.submission.submission_sets, found.submission.document_entries, found.submission.folders)
    assert [len(kind) for kind in kinds] == [1, 1, 1]
    assert publish.read_request(sent(publish.write_request(found))) == found


publications = st.builds(
    Publication,
    st.builds(
        Submission,
        *(st.lists(objects.objects_of(model), max_size=2).map(tuple) for model in (MODELS[1], MODELS[0], *MODELS[2:])),
    ),
    st.sampled_from(("", FULL_DOCUMENT_ENTRY)),
    st.just("") | objects.texts,
)


@given(publications)
@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=30)
def test_any_publication_comes_through(asked: Publication) -> None:
    assert publish.read_request(sent(publish.write_request(asked))) == asked


NOTIFY = '<n:Notify xmlns:n="http://docs.oasis-open.org/wsn/b-2">{}</n:Notify>'
ONE = "<n:NotificationMessage>{}</n:NotificationMessage>"


@pytest.mark.parametrize(
    "body",
    [
        "<a/>",
        NOTIFY.format(""),
        NOTIFY.format(ONE.format("")),
        NOTIFY.format(ONE.format("<n:Message/>")),
        NOTIFY.format(ONE.format("<n:Message><a/></n:Message>")),
        NOTIFY.format(ONE.format("") * 2),
    ],
)
def test_what_tells_nothing_is_refused(body: str) -> None:
    for codec in (notify, publish):
        with pytest.raises(ExchangeError) as raised:
            codec.read_request(message_of(parse(body.encode())))
        assert raised.value.reason is Reason.UNREADABLE


def test_nothing_is_answered_but_a_fault() -> None:
    message = sample("ITI-54/publish.xml")
    assert publish.write_response(message, Received()) == SoapBody(())
    assert isinstance(publish.write_error(message, ExchangeError(Reason.BUSY, "Later.")), SoapFault)


@needs_conformance
def test_what_is_inside_is_valid() -> None:
    """No schema of WS-BaseNotification is public here; its one Message is judged by the schema of ebRS."""
    for body in (
        sample("ITI-53/full.xml").body,
        sample("ITI-53/minimal.xml").body,
        sample("ITI-54/publish.xml").body,
        sent(notify.write_request(Notification(FULL_DOCUMENT_ENTRY, (write_fragment(objects.DOCUMENT_ENTRY),)))).body,
        sent(publish.write_request(Publication(objects.SUBMISSION))).body,
    ):
        assert violations(notify.submitted_in(notify.only_message(body))) == []
