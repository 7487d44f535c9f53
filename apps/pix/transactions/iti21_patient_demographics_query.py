"""ITI-21 Patient Demographics Query over MLLP (ITI TF-2: 3.21): who are the people of whom this is true?"""

from __future__ import annotations

from typing import Any

from apps.pix import services
from hie.exchange.audit import EXECUTE, QUERY, AuditEntry, AuditEvent, AuditObject
from hie.exchange.transaction import Mllp, Transaction
from hie.values.access import Access, Subject
from hie.values.codes import Code
from hie.values.demographics_queries import CancelRequest, DemographicsMatch, DemographicsResult
from hie.values.identifiers import Identifier
from hie.wire.hl7v2 import cancel_query, demographics_query


def entries_of_search(number: str, name: str, detail: str = "MSH-10") -> Any:
    """How a demographics query is recorded: the patients who were told, and the whole query (ITI TF-2: 3.21.5.1).

    Who was considered and not told is not recorded: nobody learned of them. detail: ``MSH-10``, or "" for none.
    """

    def entries(query: Any, result: Any, _considered: tuple[Subject, ...]) -> tuple[AuditEntry, ...]:
        asked = AuditObject(
            object_id=getattr(query, "query_tag", "") or getattr(query, "query_id", "") or query.message_id,
            id_type=Code(number, "IHE Transactions", name),
            query=query.raw,
            details=((detail, query.message_id),) if detail else (),
        )
        told = result.matches if isinstance(result, DemographicsResult) else ()
        return (AuditEntry(action=EXECUTE, subjects=tuple(dict.fromkeys(map(_subject, told))), objects=(asked,)),)

    return entries


def _subject(match: DemographicsMatch) -> Subject:
    identifier = match.identifiers[0] if match.identifiers else Identifier("")
    return Subject(identifier, match.regional_id)


def nobody(_request: CancelRequest) -> tuple[Subject, ...]:
    """A cancellation is about no patient."""
    return ()


ITI_21 = Transaction(
    number="ITI-21",
    name="Patient Demographics Query",
    door=Mllp(("QBP^Q22",)),
    codec=demographics_query,
    find=services.search,
    subject=services.subjects_of_search,
    access=Access.IDENTIFY,
    execute=services.find_patients,
    audit=AuditEvent(QUERY, EXECUTE, entries_of_search("ITI-21", "Patient Demographics Query")),
)

# Of ITI-22 too: the message does not say which of the two it cancels (ITI TF-2: 3.21.4.3).
ITI_21_CANCEL = Transaction(
    number="ITI-21",
    name="Patient Demographics Query",
    door=Mllp(("QCN^J01",)),
    codec=cancel_query,
    subject=nobody,
    access=Access.IDENTIFY,
    execute=services.cancel_search,
    audit=AuditEvent(QUERY, EXECUTE, entries_of_search("ITI-21", "Patient Demographics Query")),
)
