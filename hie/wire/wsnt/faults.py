"""The faults of WS-BaseNotification 1.3: a soap:Fault with a base fault of the right name (WS-BaseFaults 1.2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from hie.values.errors import ExchangeError, Reason
from hie.wire.ebxml.names import RIM
from hie.wire.soap.faults import ReceivedFault, SoapFault
from hie.wire.wsnt.moments import write_moment
from hie.wire.wsnt.names import BASE_FAULTS, NOTIFICATION_FAULT, RESOURCE, RESOURCE_FAULT, WSNT
from hie.wire.xml import escape


@dataclass(frozen=True, slots=True)
class _Fault:
    """name: of the element, in WS-BaseNotification unless ``resource``. more: what its type has beyond a base fault."""

    name: str
    more: str = ""
    resource: bool = False


_FAULTS: dict[Reason, _Fault] = {
    Reason.INVALID_FILTER: _Fault("InvalidFilterFault", "<wsnt:UnknownFilter>{filter}</wsnt:UnknownFilter>"),
    Reason.TOPIC_DIALECT_UNKNOWN: _Fault("TopicExpressionDialectUnknownFault"),
    Reason.INVALID_TOPIC: _Fault("InvalidTopicExpressionFault"),
    Reason.TOPIC_NOT_SUPPORTED: _Fault("TopicNotSupportedFault"),
    Reason.TERMINATION_TIME: _Fault(
        "UnacceptableInitialTerminationTimeFault", "<wsnt:MinimumTime>{now}</wsnt:MinimumTime>"
    ),
    Reason.SUBSCRIPTION_POLICY: _Fault("UnrecognizedPolicyRequestFault"),
    Reason.POLICY_NOT_SUPPORTED: _Fault(
        "UnsupportedPolicyRequestFault", "<wsnt:UnsupportedPolicy>wsnt:UseRaw</wsnt:UnsupportedPolicy>"
    ),
    Reason.SUBSCRIPTION_REFUSED: _Fault("SubscribeCreationFailedFault"),
    Reason.UNKNOWN_SUBSCRIPTION: _Fault("ResourceUnknownFault", resource=True),
    Reason.SUBSCRIPTION_KEPT: _Fault("UnableToDestroySubscriptionFault"),
}
_REASONS = {fault.name: reason for reason, fault in _FAULTS.items()}


def fault_of(error: ExchangeError, otherwise: Reason) -> SoapFault:
    """The fault that says what the error says. otherwise: whose fault stands for reasons without one of their own.

    ``soap:Receiver`` where the fault is ours, so that the sender knows that the same message may do later.
    """
    if isinstance(error, SoapFault):
        return error
    row = _FAULTS.get(error.reason) or _FAULTS[otherwise]
    now = write_moment(datetime.now(UTC).replace(microsecond=0))
    details = " ".join(finding.detail for finding in error.findings)
    fault = SoapFault(
        error.reason.value.fault,
        details,
        reason=error.reason,
        element=_element(row, error.findings[0].location, details, now),
        fault_action=RESOURCE_FAULT if row.resource else NOTIFICATION_FAULT,
    )
    fault.findings = error.findings
    return fault


def error_of(fault: ReceivedFault) -> ExchangeError:
    """What a client makes of a fault: the reason by the first name in its Detail that is one of ours."""
    reason = next((_REASONS[name] for name in fault.details if name in _REASONS), Reason.SUBSCRIPTION_REFUSED)
    return ExchangeError(reason, fault.text or "The other side has given no reason.")


def _element(row: _Fault, location: str, details: str, now: str) -> bytes:
    """The order of the type: Timestamp, Description, and then what the particular fault adds."""
    prefix = "wsrf-r" if row.resource else "wsnt"
    filter_name = "wsnt:TopicExpression" if "TopicExpression" in location else "rim:AdhocQuery"
    return (
        f'<{prefix}:{row.name} xmlns:wsnt="{WSNT}" xmlns:wsrf-bf="{BASE_FAULTS}" xmlns:wsrf-r="{RESOURCE}"'
        f' xmlns:rim="{RIM}"><wsrf-bf:Timestamp>{now}</wsrf-bf:Timestamp>'
        f'<wsrf-bf:Description xml:lang="en">{escape(details)}</wsrf-bf:Description>'
        f"{row.more.format(filter=filter_name, now=now)}</{prefix}:{row.name}>"
    ).encode()
