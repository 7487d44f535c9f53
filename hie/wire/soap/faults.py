"""Faults of SOAP 1.2 (part 1 section 5.4), WS-Addressing (SOAP binding section 6) and WS-Security (section 12).

IHE answers by fault only what concerns the transport or security; whatever an application can answer, it answers
in its own dialect (ITI TF-2 Appendix V).
"""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from hie.values.errors import ExchangeError, Reason
from hie.wire.xml import escape

SOAP = "http://www.w3.org/2003/05/soap-envelope"
SOAP_1_1 = "http://schemas.xmlsoap.org/soap/envelope/"
WSA = "http://www.w3.org/2005/08/addressing"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"

_ACTION_OF_ADDRESSING = f"{WSA}/fault"
_ACTION_OF_SOAP = f"{WSA}/soap/fault"
_NAMESPACES = {"wsa": WSA, "wsse": WSSE}

# Reasons that have a name in WS-Security section 12; all others are a plain Sender or Receiver.
_SUBCODES = {
    Reason.SECURITY: ("wsse:FailedAuthentication",),
    Reason.UNKNOWN_CALLER: ("wsse:FailedAuthentication",),
}

# HTTP status of a fault: SOAP 1.2 part 2 table 20; a message that is too large says so to HTTP as well.
_STATUS = {"Sender": 400, "Receiver": 500, "MustUnderstand": 500, "VersionMismatch": 500}


class SoapFault(ExchangeError):  # noqa: N818 - the standard's word
    """A message that is answered with a fault; an ExchangeError besides: it is recorded like any other refusal.

    code: ``Sender``, ``Receiver``, ``MustUnderstand`` or ``VersionMismatch``. subcodes: prefixed names (wsa, wsse),
    each inside the one before. problem_header: local name of the addressing header at fault. problem_action: the action
    that nobody serves. not_understood: Clark names of mandatory headers. soap_1_1: the message came in SOAP 1.1.
    element: what another standard wants in soap:Detail, serialised with its namespaces; fault_action: the wsa:Action
    that goes with it, or "" for that of SOAP or WS-Addressing.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *subcodes: str,
        reason: Reason = Reason.UNREADABLE,
        problem_header: str = "",
        problem_action: str = "",
        not_understood: tuple[str, ...] = (),
        soap_1_1: bool = False,
        element: bytes = b"",
        fault_action: str = "",
    ) -> None:
        super().__init__(reason, detail, f"wsa:{problem_header}" if problem_header else "")
        self.code = code
        self.subcodes = subcodes
        self.problem_header = problem_header
        self.problem_action = problem_action
        self.not_understood = not_understood
        self.soap_1_1 = soap_1_1
        self.element = element
        self.fault_action = fault_action

    @classmethod
    def of(cls, error: ExchangeError) -> SoapFault:  # type: ignore[override]
        """The fault that says what the error says."""
        if isinstance(error, SoapFault):
            return error
        reason = error.reason
        fault = cls(reason.value.fault, error.detail, *_SUBCODES.get(reason, ()), reason=reason)
        fault.findings = error.findings
        return fault

    @property
    def status(self) -> int:
        """The HTTP status that carries it."""
        return 413 if self.reason is Reason.TOO_LARGE else _STATUS[self.code]

    @property
    def action(self) -> str:
        """The wsa:Action of the message that carries it."""
        if self.fault_action:
            return self.fault_action
        return _ACTION_OF_ADDRESSING if self.subcodes[:1] and self.subcodes[0].startswith("wsa:") else _ACTION_OF_SOAP

    def headers(self) -> bytes:
        """The header blocks that SOAP asks for with MustUnderstand (5.4.8) and VersionMismatch (5.4.7)."""
        if self.code == "VersionMismatch":
            return (
                f'<upg:Upgrade xmlns:upg="{SOAP}"><upg:SupportedEnvelope xmlns:ns1="{SOAP}" qname="ns1:Envelope"/>'
                "</upg:Upgrade>"
            ).encode()
        return "".join(_not_understood(etree.QName(tag)) for tag in self.not_understood).encode()

    def body(self) -> bytes:
        """The soap:Fault element."""
        code = ""
        for subcode in reversed(self.subcodes):
            code = f"<soap:Subcode><soap:Value>{subcode}</soap:Value>{code}</soap:Subcode>"
        used = {subcode.split(":")[0] for subcode in self.subcodes} | {"wsa"}
        declared = "".join(f' xmlns:{prefix}="{_NAMESPACES[prefix]}"' for prefix in sorted(used))
        return (
            f'<soap:Fault xmlns:soap="{SOAP}"{declared}><soap:Code><soap:Value>soap:{self.code}</soap:Value>{code}'
            f'</soap:Code><soap:Reason><soap:Text xml:lang="en">{escape(self.detail)}</soap:Text></soap:Reason>'
            f"{self._detail()}</soap:Fault>"
        ).encode()

    def _detail(self) -> str:
        if self.problem_action:
            problem = f"<wsa:ProblemAction><wsa:Action>{escape(self.problem_action)}</wsa:Action></wsa:ProblemAction>"
        elif self.problem_header:
            problem = f"<wsa:ProblemHeaderQName>wsa:{self.problem_header}</wsa:ProblemHeaderQName>"
        elif self.element:
            problem = self.element.decode()
        else:
            return ""
        return f"<soap:Detail>{problem}</soap:Detail>"


def _not_understood(name: etree.QName) -> str:
    if not name.namespace:
        return f'<soap:NotUnderstood qname="{name.localname}"/>'
    return f'<soap:NotUnderstood xmlns:ns1="{escape(name.namespace)}" qname="ns1:{name.localname}"/>'


def write_fault_1_1(fault: SoapFault) -> bytes:
    """The message that tells a SOAP 1.1 sender, in SOAP 1.1, to come back with 1.2 (SOAP 1.2 part 1 appendix A)."""
    return (
        f'<soap11:Envelope xmlns:soap11="{SOAP_1_1}"><soap11:Header>{fault.headers().decode()}</soap11:Header>'
        f"<soap11:Body><soap11:Fault><faultcode>soap11:VersionMismatch</faultcode><faultstring>{escape(fault.detail)}</faultstring>"
        "</soap11:Fault></soap11:Body></soap11:Envelope>"
    ).encode()


@dataclass(frozen=True, slots=True)
class ReceivedFault:
    """A fault as a partner sent it: local names of code and subcodes, the first reason text.

    details: the local names of the elements in soap:Detail.
    """

    code: str
    subcodes: tuple[str, ...]
    text: str
    details: tuple[str, ...] = ()


def read_fault(body: etree._Element) -> ReceivedFault | None:
    """The fault in a SOAP body's child, or None where it is no fault."""
    if body.tag != f"{{{SOAP}}}Fault":
        return None
    values = [(value.text or "").strip().rpartition(":")[2] for value in body.iter(f"{{{SOAP}}}Value")]
    text = body.findtext(f"{{{SOAP}}}Reason/{{{SOAP}}}Text") or ""
    details = tuple(etree.QName(each).localname for each in body.iterfind(f"{{{SOAP}}}Detail/*"))
    return ReceivedFault(values[0] if values else "", tuple(values[1:]), text.strip(), details)
