"""ITI-9 PIX Query in HL7 v2.5: QBP^Q23 and RSP^K23 (ITI TF-2: 3.9).

The six cases of 3.9.4.2.2 and what makes them: identifiers found (AA, OK); none in the domains asked for (AA, NF: an
empty ``CrossReferences``); unknown id, unknown domain of the id, unknown domain asked for (AE, AE: UNKNOWN_KEY or
UNKNOWN_DOMAIN raised at ``identifier``, ``identifier.authority``, ``domain[n]``); several ids in one domain (AA, OK).
"""

from __future__ import annotations

from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.patients import CrossReferenceQuery, CrossReferences
from hie.wire.hl7v2 import acknowledgement, charset, writer
from hie.wire.hl7v2.demographics import read_authority, read_identifiers
from hie.wire.hl7v2.header import check_header, check_repetitions
from hie.wire.hl7v2.message import Message
from hie.wire.hl7v2.structures import validate
from hie.wire.hl7v2.writer import Parties

QUERY_NAME = "IHE PIX Query"
STRUCTURE = "QBP_Q21"
RESPONSE_TYPE = "RSP^K23^RSP_K23"
VERSION = "2.5"

PLACES = {
    "identifier": "QPD^1^3^1^1",
    "identifier.authority": "QPD^1^3^1^4",
    "domain": "QPD^1^4^{n}",
}


def read_request(message: Message) -> CrossReferenceQuery:
    """Read a query. Raises ExchangeError with everything that is wrong with it.

    QPD-4 without repetitions asks for all domains; ``domains`` keeps the order of its repetitions.
    """
    if message.trigger != "QBP^Q23":
        raise ExchangeError(Reason.UNSUPPORTED_EVENT, "MSH-9.2 has to be Q23 here.", "MSH^1^9^1^2")
    check_header(message, (VERSION,), (STRUCTURE, "QBP_Q23"))
    check_repetitions(message)
    findings = validate(message, STRUCTURE)
    parameters = message.first("QPD")
    identifiers = read_identifiers(parameters, 3) if parameters else ()
    if parameters and parameters.field(3) and not identifiers:
        findings.append(Finding(Reason.REQUIRED_MISSING, "QPD-3.1 has to hold an id.", PLACES["identifier"]))
    if parameters:
        findings += _empty_domains(message)
    control = message.first("RCP")
    if control and control.component(1, 1) not in ("", "I"):
        findings.append(Finding(Reason.NOT_IN_TABLE, "RCP-1 has to be I: answers are immediate.", "RCP^1^1"))
    if findings or parameters is None:
        raise ExchangeError.of(findings)
    return CrossReferenceQuery(
        message_id=message.control_id,
        identifier=identifiers[0],
        domains=tuple(read_authority(parameters, each) for each in parameters.repetitions(4)),
        query_tag=parameters.component(2, 1),
        raw=message.raw,
    )


def write_response(message: Message, result: CrossReferences) -> bytes:
    """``OK`` with one PID that holds all identifiers, or ``NF`` without one."""
    segments = [f"MSA|AA|{writer.copied(message, message.header.field(10))}"]
    segments += _query_segments(message, "OK" if result.identifiers else "NF")
    if result.identifiers:
        ids = writer.repetitions(map(writer.cx, result.identifiers))
        segments.append(writer.segment("PID", {3: ids, 5: "~^^^^^^S"}))  # no name known: 3.9.4.2.2.5
    return acknowledgement.answer(message, RESPONSE_TYPE, segments)


def write_error(message: Message, error: ExchangeError) -> bytes:
    """RSP with an ERR for each finding and the query echoed; a plain ACK where there is no query in HL7 2.5 to echo."""
    if message.first("QPD") is None or message.version != VERSION:
        return acknowledgement.refuse(message, error, PLACES)
    code = error.reason.value.acknowledgement
    segments = [acknowledgement.msa(message, error), *acknowledgement.errors(message, error, PLACES)]
    return acknowledgement.answer(message, RESPONSE_TYPE, segments + _query_segments(message, code))


def write_request(query: CrossReferenceQuery, parties: Parties, *, character_set: str = charset.ASCII) -> bytes:
    """Write a query of our own. MSH-10 and QPD-2 are fresh where the value has none."""
    control_id = query.message_id or writer.new_control_id()
    header = writer.header(
        message_type=f"QBP^Q23^{STRUCTURE}",
        version=VERSION,
        sender=parties.sender,
        receiver=parties.receiver,
        control_id=writer.escape(control_id),
        character_set=character_set,
    )
    parameters = {
        1: QUERY_NAME,
        2: writer.escape(query.query_tag or control_id),
        3: writer.cx(query.identifier),
        4: writer.repetitions(f"^^^{writer.hd(domain)}" for domain in query.domains),
    }
    return writer.join([header, writer.segment("QPD", parameters), "RCP|I"], character_set)


def read_response(message: Message) -> CrossReferences:
    """Read the answer: identifiers of all PID segments, none for ``NF``. Raises ExchangeError for AE and AR."""
    acknowledgement.read_acknowledgement(message)
    found = [identifier for segment in message.all("PID") for identifier in read_identifiers(segment, 3)]
    return CrossReferences(tuple(found))


def _empty_domains(message: Message) -> list[Finding]:
    """Repetitions of QPD-4 that name no domain (3.9.4.1.2.2: component 4 alone is valued)."""
    parameters = message.first("QPD")
    assert parameters is not None
    return [
        Finding(Reason.REQUIRED_MISSING, "QPD-4.4 has to name a domain.", f"QPD^1^4^{number}^4")
        for number, repetition in enumerate(parameters.repetitions(4), 1)
        if not read_authority(parameters, repetition)
    ]


def _query_segments(message: Message, status: str) -> list[str]:
    """QAK, and QPD as it came."""
    parameters = message.first("QPD")
    assert parameters is not None
    fields = [writer.copied(message, text) for text in parameters.fields]
    tag, name = (fields + ["", "", ""])[2], (fields + ["", ""])[1]
    return [writer.segment("QAK", {1: tag, 2: status, 3: name}), "|".join(fields)]
