"""ITI-22 Patient Demographics and Visit Query in HL7 v2.5: QBP^ZV1 and RSP^ZV2 (ITI TF-2: 3.22).

ITI-21 with parameters of PV1 (2, 3, 7, 8, 9, 10, 17, 19) beside those of PID; each match is told with a PV1: the first
of ``DemographicsMatch.visits``. A person with several such visits is told as a match for each of them. QPD-1 is again
``IHE PDQ Query``: only MSH-9.2 tells the two apart. Places, paging and announcements: ``demographics_query``.
"""

from __future__ import annotations

from dataclasses import replace

from hie.values.demographics_queries import DemographicsMatch, DemographicsQuery, DemographicsResult, VisitCriteria
from hie.values.errors import ExchangeError
from hie.wire.hl7v2 import charset, demographics_query
from hie.wire.hl7v2.demographics_query import PLACES, Kind, read_response
from hie.wire.hl7v2.message import Message
from hie.wire.hl7v2.writer import Parties

__all__ = ["PLACES", "ZV1", "read_request", "read_response", "write_error", "write_request", "write_response"]

ZV1 = Kind("QBP^ZV1", "RSP^ZV2^RSP_ZV2", frozenset({"PID", "PD1", "PV1", "PV2"}), has_visits=True)


def read_request(message: Message) -> DemographicsQuery:
    """Read a query; its ``visit`` is never None. Raises ExchangeError with everything that is wrong with it."""
    query = demographics_query.read_query(message, ZV1)
    return query if query.visit else replace(query, visit=VisitCriteria())


def write_response(message: Message, result: DemographicsResult) -> bytes:
    """``OK`` with PID, PV1 and QRI for each visit of each match, or ``NF``."""
    matches = tuple(each for match in result.matches for each in _by_visit(match))
    return demographics_query.write_matches(message, replace(result, matches=matches), ZV1)


def write_error(message: Message, error: ExchangeError) -> bytes:
    """RSP with an ERR for each finding and the query echoed; a plain ACK where there is no query in HL7 2.5 to echo."""
    return demographics_query.write_refusal(message, error, ZV1)


def write_request(query: DemographicsQuery, parties: Parties, *, character_set: str = charset.UTF_8) -> bytes:
    """Write a query of our own, or of a further page where ``query.pointer`` is given."""
    return demographics_query.write_query(query, parties, ZV1, character_set)


def _by_visit(match: DemographicsMatch) -> list[DemographicsMatch]:
    return [replace(match, visits=(visit,)) for visit in match.visits] or [match]
