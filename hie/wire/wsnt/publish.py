"""The codec of ITI-54, Document Metadata Publish (ITI TF-2: 3.54): an event is told to the broker, one way."""

from __future__ import annotations

from hie.values.subscriptions import Publication
from hie.wire.ebxml.submission import read_submission, write_submission
from hie.wire.soap.envelope import SoapBody, SoapMessage
from hie.wire.soap.faults import WSA
from hie.wire.wsnt.names import SIMPLE_DIALECT, WSNT, wsnt
from hie.wire.wsnt.notify import (
    only_message,
    read_reference,
    submitted_in,
    write_error,
    write_reference,
    write_response,
)
from hie.wire.xml import escape

__all__ = ["read_request", "write_error", "write_request", "write_response"]


def read_request(message: SoapMessage) -> Publication:
    """The objects of the event; what is wrong with them stands in the findings of the submission.

    Raises ExchangeError where the body is no wsnt:Notify with one lcm:SubmitObjectsRequest.
    """
    told = only_message(message.body)
    submission = read_submission(submitted_in(told))
    topic = (told.findtext(wsnt("Topic")) or "").strip()
    return Publication(submission, topic, read_reference(told, "ProducerReference"))


def write_request(publication: Publication) -> SoapBody:
    """The message of a publisher. producer: the sourceId as a URI, ``urn:oid:...`` (3.54.4.1.2)."""
    topic = f'<wsnt:Topic Dialect="{SIMPLE_DIALECT}">{escape(publication.topic)}</wsnt:Topic>'
    producer = write_reference("ProducerReference", publication.producer)
    head = (
        f'<wsnt:Notify xmlns:wsnt="{WSNT}" xmlns:wsa="{WSA}"><wsnt:NotificationMessage>'
        f"{topic if publication.topic else ''}{producer}<wsnt:Message>"
    )
    tail = b"</wsnt:Message></wsnt:NotificationMessage></wsnt:Notify>"
    return SoapBody((head.encode(), write_submission(publication.submission), tail))
