"""QCN^J01 of ITI-21 and ITI-22: the sender asks for no further page (HL7 2.5: 5.4.6; ITI TF-2: 3.21.4.3).

QID-1 is the query tag (QAK-1), QID-2 the name of the query. The answer is an ACK, whether or not the query is still
known.
"""

from __future__ import annotations

from hie.values.demographics_queries import CancelRequest
from hie.values.errors import ExchangeError, Reason
from hie.wire.hl7v2 import acknowledgement, charset, writer
from hie.wire.hl7v2.demographics_query import QUERY_NAME, VERSION
from hie.wire.hl7v2.header import check_header, check_repetitions
from hie.wire.hl7v2.message import Message
from hie.wire.hl7v2.structures import validate
from hie.wire.hl7v2.writer import Parties

STRUCTURE = "QCN_J01"
PLACES = {"query": "QID^1^1"}


def read_request(message: Message) -> CancelRequest:
    """Read a cancellation. Raises ExchangeError with everything that is wrong with it."""
    if message.trigger != "QCN^J01":
        raise ExchangeError(Reason.UNSUPPORTED_EVENT, "MSH-9.2 has to be J01 here.", "MSH^1^9^1^2")
    check_header(message, (VERSION,), (STRUCTURE,))
    check_repetitions(message)
    findings = validate(message, STRUCTURE)
    query = message.first("QID")
    if findings or query is None:
        raise ExchangeError.of(findings)
    return CancelRequest(message_id=message.control_id, query_id=query.component(1, 1), raw=message.raw)


def write_response(message: Message, result: object = None) -> bytes:
    """``AA``."""
    return acknowledgement.accept(message)


def write_error(message: Message, error: ExchangeError) -> bytes:
    """``AE`` or ``AR`` with an ERR for each finding."""
    return acknowledgement.refuse(message, error, PLACES)


def write_request(cancel: CancelRequest, parties: Parties) -> bytes:
    """Write a cancellation of our own; ``cancel.query_id`` is the query tag. MSH-10 is fresh where there is none."""
    header = writer.header(
        message_type=f"QCN^J01^{STRUCTURE}",
        version=VERSION,
        sender=parties.sender,
        receiver=parties.receiver,
        control_id=writer.escape(cancel.message_id),
    )
    segments = [header, writer.segment("QID", {1: writer.escape(cancel.query_id), 2: QUERY_NAME})]
    return writer.join(segments, charset.ASCII if cancel.query_id.isascii() else charset.UTF_8)


def read_response(message: Message) -> None:
    """Read the ACK. Raises ExchangeError if the other side did not take it."""
    acknowledgement.read_acknowledgement(message)
