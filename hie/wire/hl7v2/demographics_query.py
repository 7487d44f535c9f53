"""ITI-21 Patient Demographics Query in HL7 v2.5: QBP^Q22 and RSP^K22 (ITI TF-2: 3.21).

The cases of 3.21.4.2.2.8 and what makes them: people found (AA, OK); nobody (AA, NF: no matches); domains asked for
that nobody knows (AE, AE, an ERR for each: UNKNOWN_DOMAIN raised at ``domain[n]``). A person who has no identifier
in the domains asked for is left out. MSH-5 names the demographics source and comes back in MSH-3. A page of RCP-2
records ends with DSC; the next one is asked for by the same query with that DSC and a new MSH-10. What the network does
not tell (its cap, parameters that narrow nothing) is announced by an ERR of severity W.

ITI-22 has the same query with a visit: ``visit_query``. Names of places that verbs raise with: ``PLACES``.
"""

from __future__ import annotations

from dataclasses import dataclass

from hie.values.demographics_queries import DemographicsMatch, DemographicsQuery, DemographicsResult
from hie.values.errors import ExchangeError, Finding, Reason
from hie.wire.hl7v2 import acknowledgement, charset, writer
from hie.wire.hl7v2.demographics import read_authority, read_demographics, read_identifiers, write_pid
from hie.wire.hl7v2.header import check_header, check_repetitions
from hie.wire.hl7v2.message import Message, Segment
from hie.wire.hl7v2.parameters import ignored_names, read_criteria, write_criteria
from hie.wire.hl7v2.structures import validate
from hie.wire.hl7v2.visits import read_visit, write_pv1
from hie.wire.hl7v2.writer import Parties

QUERY_NAME = "IHE PDQ Query"
STRUCTURE = "QBP_Q21"
VERSION = "2.5"
MOST_DOMAINS = 100

PLACES = {
    "parameters": "QPD^1^3",
    "domain": "QPD^1^8^{n}",
    "pointer": "DSC^1^1",
    "page_size": "RCP^1^2",
    "source": "MSH^1^5",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the two queries: its trigger, its other names in MSH-9.3, its answer, and the segments it may ask of."""

    trigger: str
    response_type: str
    segments: frozenset[str]
    has_visits: bool = False

    @property
    def structures(self) -> tuple[str, ...]:
        return (STRUCTURE, self.trigger.replace("^", "_"))


Q22 = Kind("QBP^Q22", "RSP^K22^RSP_K21", frozenset({"PID", "PD1"}))


def read_request(message: Message) -> DemographicsQuery:
    """Read a query. Raises ExchangeError with everything that is wrong with it."""
    return read_query(message, Q22)


def write_response(message: Message, result: DemographicsResult) -> bytes:
    """``OK`` with a PID and QRI for each match, or ``NF``."""
    return write_matches(message, result, Q22)


def write_error(message: Message, error: ExchangeError) -> bytes:
    """RSP with an ERR for each finding and the query echoed; a plain ACK where there is no query in HL7 2.5 to echo."""
    return write_refusal(message, error, Q22)


def write_request(query: DemographicsQuery, parties: Parties, *, character_set: str = charset.UTF_8) -> bytes:
    """Write a query of our own, or of a further page where ``query.pointer`` is given. MSH-10 is always fresh then."""
    return write_query(query, parties, Q22, character_set)


def read_response(message: Message) -> DemographicsResult:
    """Read the answer. Raises ExchangeError for AE and AR."""
    acknowledgement.read_acknowledgement(message)
    groups = _groups(message)
    matches = tuple(_read_match(message, group) for group in groups)
    hits, remaining = (_number(message.first("QAK"), number) for number in (4, 6))
    pointer = message.first("DSC")
    return DemographicsResult(
        matches=matches,
        pointer=pointer.component(1, 1) if pointer else "",
        total=hits if hits is not None else len(matches),
        remaining=remaining or 0,
        warnings=tuple(
            segment.component(8, 1) or segment.component(7, 1)
            for segment in message.all("ERR")
            if segment.component(4, 1) in ("W", "I")
        ),
    )


# What both queries share --------------------------------------------------------------------------------------------


def read_query(message: Message, kind: Kind) -> DemographicsQuery:
    """Read a query of this kind. Raises ExchangeError with everything that is wrong with it."""
    if message.trigger != kind.trigger:
        raise ExchangeError(Reason.UNSUPPORTED_EVENT, f"MSH-9.2 has to be {kind.trigger[4:]} here.", "MSH^1^9^1^2")
    check_header(message, (VERSION,), kind.structures)
    check_repetitions(message)
    findings = validate(message, STRUCTURE)
    parameters = message.first("QPD")
    if parameters is None:
        raise ExchangeError.of(findings)
    page_size = _page_size(message, findings)
    pointer = message.first("DSC")
    domains = parameters.repetitions(8)
    findings += _wrong_domains(parameters, domains)
    query = DemographicsQuery(
        message_id=message.control_id,
        query_tag=parameters.component(2, 1),
        domains=tuple(read_authority(parameters, each) for each in domains[:MOST_DOMAINS]),
        identified_only=True,
        page_size=page_size,
        pointer=pointer.text_of(pointer.field(1)) if pointer else "",
        minimum_score=_minimum_score(parameters, findings),
        source=message.header.component(5, 1) or message.header.component(5, 2),
        raw=message.raw,
    )
    if parameters.field(3):
        query, wrong = read_criteria(parameters, query, kind.segments)
        findings += wrong
    if findings:
        raise ExchangeError.of(findings)
    return query


def write_matches(message: Message, result: DemographicsResult, kind: Kind) -> bytes:
    """The answer of this kind."""
    matches = [match for match in result.matches if match.identifiers]  # PID-3 is required
    segments = [f"MSA|AA|{writer.copied(message, message.header.field(10))}"]
    segments += [_warning(*each) for each in _announcements(message, result)]
    counts = {4: str(result.total), 5: str(len(matches)), 6: str(result.remaining)}
    segments += _query_segments(message, "OK" if matches else "NF", counts)
    for number, match in enumerate(matches, 1):
        segments += _write_match(match, number, kind)
    if result.pointer:
        segments.append(writer.segment("DSC", {1: writer.escape(result.pointer), 2: "I"}))
    return acknowledgement.answer(message, kind.response_type, segments)


def write_refusal(message: Message, error: ExchangeError, kind: Kind) -> bytes:
    """The refusal of this kind."""
    if message.first("QPD") is None or message.version != VERSION:
        return acknowledgement.refuse(message, error, PLACES)
    segments = [acknowledgement.msa(message, error), *acknowledgement.errors(message, error, PLACES)]
    segments += _query_segments(message, error.reason.value.acknowledgement, {})
    return acknowledgement.answer(message, kind.response_type, segments)


def write_query(query: DemographicsQuery, parties: Parties, kind: Kind, character_set: str) -> bytes:
    """A query of ours of this kind. MSH-10 is the value's; fresh without one and for a further page."""
    control_id = "" if query.pointer else query.message_id
    control_id = control_id or writer.new_control_id()
    header = writer.header(
        message_type=f"{kind.trigger}^{STRUCTURE}",
        version=VERSION,
        sender=parties.sender,
        receiver=(writer.escape(query.source), parties.receiver[1]) if query.source else parties.receiver,
        control_id=writer.escape(control_id),
        character_set=character_set,
    )
    parameters = {
        1: QUERY_NAME,
        2: writer.escape(query.query_tag or control_id),
        3: write_criteria(query),
        4: "" if query.minimum_score is None else str(query.minimum_score),
        8: writer.repetitions(f"^^^{writer.hd(domain)}" for domain in query.domains),
    }
    control = {1: "I", 2: f"{query.page_size}^RD" if query.page_size else ""}
    segments = [header, writer.segment("QPD", parameters), writer.segment("RCP", control)]
    if query.pointer:
        segments.append(writer.segment("DSC", {1: writer.escape(query.pointer), 2: "I"}))
    return writer.join(segments, character_set)


# Reading ------------------------------------------------------------------------------------------------------------


def _page_size(message: Message, findings: list[Finding]) -> int:
    """RCP-2, 0 where no number of records is asked for; RCP-1 has to be I."""
    control = message.first("RCP")
    if control is None:
        return 0
    if control.component(1, 1) not in ("", "I"):
        findings.append(Finding(Reason.NOT_IN_TABLE, "RCP-1 has to be I: answers are immediate.", "RCP^1^1"))
    quantity, unit = control.component(2, 1).strip(), control.component(2, 2, sub=1).strip()
    if not quantity:
        return 0
    if unit not in ("", "RD"):
        findings.append(Finding(Reason.NOT_IN_TABLE, "RCP-2.2 has to be RD: pages are of records.", "RCP^1^2^1^2"))
    if not (quantity.isascii() and quantity.isdigit() and int(quantity[:10]) > 0):
        detail = "RCP-2.1 has to be a whole number greater than 0."
        findings.append(Finding(Reason.WRONG_DATA_TYPE, detail, "RCP^1^2^1^1"))
        return 0
    return int(quantity[:10])


def _minimum_score(parameters: Segment, findings: list[Finding]) -> int | None:
    """QPD-4, the confidence threshold: 0 to 100."""
    text = parameters.component(4, 1).strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 4 and int(text) <= 100):
        detail = "QPD-4 has to be a whole number from 0 to 100."
        findings.append(Finding(Reason.WRONG_DATA_TYPE, detail, "QPD^1^4"))
        return None
    return int(text)


def _wrong_domains(parameters: Segment, repetitions: list[str]) -> list[Finding]:
    """Repetitions of QPD-8 that name no domain (component 4 alone is valued), and too many."""
    if len(repetitions) > MOST_DOMAINS:
        return [Finding(Reason.TOO_LARGE, f"QPD-8 has more than {MOST_DOMAINS} domains.", "QPD^1^8")]
    return [
        Finding(Reason.REQUIRED_MISSING, "QPD-8.4 has to name a domain.", f"QPD^1^8^{number}^4")
        for number, repetition in enumerate(repetitions, 1)
        if not read_authority(parameters, repetition)
    ]


def _groups(message: Message) -> list[tuple[Segment, ...]]:
    """The segments of each match: PID and what follows it."""
    groups: list[list[Segment]] = []
    for segment in message.segments:
        if segment.name == "PID":
            groups.append([segment])
        elif groups and segment.name in ("PD1", "PV1", "PV2", "QRI"):
            groups[-1].append(segment)
    return [tuple(group) for group in groups]


def _read_match(message: Message, group: tuple[Segment, ...]) -> DemographicsMatch:
    alone = Message(message.raw, message.text, message.charset, (), (message.header, *group), message.delimiters)
    accounts = read_identifiers(group[0], 18)
    score = _number(alone.first("QRI"), 1)
    return DemographicsMatch(
        identifiers=read_identifiers(group[0], 3),
        demographics=read_demographics(alone),
        score=100 if score is None else score,
        account=accounts[0] if accounts else None,
        visits=tuple(map(read_visit, alone.all("PV1"))),
    )


def _number(segment: Segment | None, number: int) -> int | None:
    text = segment.component(number, 1).strip() if segment else ""
    digits = text.split(".")[0][:9]
    return int(digits) if digits.isascii() and digits.isdigit() else None


# Writing ------------------------------------------------------------------------------------------------------------


def _write_match(match: DemographicsMatch, number: int, kind: Kind) -> list[str]:
    pid = write_pid(match.demographics, match.identifiers, str(number))
    fields = dict(enumerate(pid.split("|")))
    fields[5] = fields.get(5) or "^^^^^^U"  # required: a name of the type that says that none is known
    if match.account:
        fields[18] = writer.cx(match.account)
    segments = [writer.segment("PID", fields)]
    if kind.has_visits:
        segments.append(write_pv1(match.visits[0]) if match.visits else "PV1|1|N")
    segments.append(f"QRI|{match.score}")
    return segments


def _announcements(message: Message, result: DemographicsResult) -> list[tuple[str, str]]:
    """(sentence, location) of what the sender has to know beside the answer."""
    parameters = message.first("QPD")
    assert parameters is not None
    said = [(warning, "") for warning in result.warnings]
    if result.cap:
        said.append((f"More were found than the {result.cap} that are told; narrow the search.", "QPD^1^3"))
    said += [(f"The search is not narrowed by {name}.", "QPD^1^3") for name in ignored_names(parameters)]
    return said


def _warning(sentence: str, location: str) -> str:
    coded = writer.components("0", "Message accepted", "HL70357")
    return writer.segment("ERR", {2: location, 3: coded, 4: "W", 8: writer.escape(sentence)})


def _query_segments(message: Message, status: str, counts: dict[int, str]) -> list[str]:
    """QAK, and QPD as it came."""
    parameters = message.first("QPD")
    assert parameters is not None
    fields = [writer.copied(message, text) for text in parameters.fields]
    tag, name = (fields + ["", "", ""])[2], (fields + ["", ""])[1]
    return [writer.segment("QAK", {1: tag, 2: status, 3: name, **counts}), "|".join(fields)]
