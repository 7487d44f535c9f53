"""Envelopes: what is written can be read, what is read is what WS-Addressing says."""

from __future__ import annotations

import pytest
from lxml import etree

from hie.values.errors import ExchangeError, Reason
from hie.wire.soap.envelope import ANONYMOUS, SoapBody, read_envelope, write_answer, write_fault, write_request
from hie.wire.soap.faults import SOAP, WSA, SoapFault, read_fault

BODY = SoapBody((b'<x:Query xmlns:x="urn:x">', "山本".encode(), b"</x:Query>"))


def test_request_as_it_is_read():
    raw, message_id = write_request("urn:a", "https://host:8443/soap/registry?a=1&b=2", BODY)
    message = read_envelope(raw)
    assert (message.action, message.message_id, message.reply_to) == ("urn:a", message_id, ANONYMOUS)
    assert message.to == "https://host:8443/soap/registry?a=1&b=2"
    assert (message.body.tag, message.body.text) == ("{urn:x}Query", "山本")
    assert (message.assertion, message.mtom, dict(message.attachments)) == (b"", False, {})


def test_only_the_action_of_an_answer_is_mandatory_to_understand():
    root = etree.fromstring(write_answer("urn:b", "urn:uuid:1 <&>", BODY))
    marked = [block.tag for block in root[0] if block.get(f"{{{SOAP}}}mustUnderstand")]
    assert marked == [f"{{{WSA}}}Action"]
    assert root.findtext(f".//{{{WSA}}}RelatesTo") == "urn:uuid:1 <&>"


def header(blocks: str) -> bytes:
    return (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{WSA}"><s:Header>{blocks}</s:Header><s:Body><b/></s:Body></s:Envelope>'
    ).encode()


HEADERS = {
    "for another role": '<x xmlns="urn:x" s:mustUnderstand="1" s:role="urn:somebody"/>',
    "for nobody": f'<x xmlns="urn:x" s:mustUnderstand="1" s:role="{SOAP}/role/none"/>',
    "not mandatory": '<x xmlns="urn:x" s:mustUnderstand="0"/>',
    "reference parameter": '<x xmlns="urn:x" a:IsReferenceParameter="true"/>',
    "other relation": '<a:RelatesTo RelationshipType="urn:other">urn:z</a:RelatesTo>',
    "security without an assertion": (
        '<w:Security s:mustUnderstand="1" xmlns:w="http://docs.oasis-open.org/wss/2004/01/'
        'oasis-200401-wss-wssecurity-secext-1.0.xsd"/>'
    ),
}


@pytest.mark.parametrize("case", HEADERS)
def test_headers_that_change_nothing(case):
    message = read_envelope(header(f"<a:Action>\n urn:a \n</a:Action>{HEADERS[case]}<a:RelatesTo>urn:r</a:RelatesTo>"))
    assert (message.action, message.relates_to) == ("urn:a", "urn:r")


def test_header_for_us_that_is_not_understood():
    with pytest.raises(SoapFault) as caught:
        read_envelope(header(f'<x xmlns="urn:x" s:mustUnderstand=" 1 " s:role="{SOAP}/role/next"/>'))
    assert (caught.value.code, caught.value.not_understood) == ("MustUnderstand", ("{urn:x}x",))


DISORDER = [
    f'<s:Envelope xmlns:s="{SOAP}"/>',
    f'<s:Envelope xmlns:s="{SOAP}"><s:Body/><s:Header/></s:Envelope>',
    f'<s:Envelope xmlns:s="{SOAP}"><s:Body><a/></s:Body><s:Body><a/></s:Body></s:Envelope>',
    f'<s:Envelope xmlns:s="{SOAP}"><s:Header/><x/><s:Body><a/></s:Body></s:Envelope>',
    "<Envelop/>",
]


@pytest.mark.parametrize("text", DISORDER)
def test_disorder(text):
    with pytest.raises(ExchangeError) as caught:
        read_envelope(text.encode())
    assert caught.value.reason is Reason.UNREADABLE


STATUS = [
    (ExchangeError(Reason.UNREADABLE, "a <b>"), "Sender", (), 400),
    (ExchangeError(Reason.TOO_LARGE, "a <b>"), "Sender", (), 413),
    (ExchangeError(Reason.BUSY, "a <b>"), "Receiver", (), 500),
    (ExchangeError(Reason.SECURITY, "a <b>"), "Sender", ("FailedAuthentication",), 400),
    (SoapFault("Sender", "a <b>", "wsa:One", "wsa:Two", problem_action="urn:<x>"), "Sender", ("One", "Two"), 400),
]


@pytest.mark.parametrize(("error", "code", "subcodes", "status"), STATUS)
def test_fault_as_it_is_read(error, code, subcodes, status):
    fault = SoapFault.of(error)
    message = read_envelope(write_fault(fault, "urn:uuid:1"))
    received = read_fault(message.body)
    assert received is not None
    assert (received.code, received.subcodes, received.text, fault.status) == (code, subcodes, "a <b>", status)
    assert message.relates_to == "urn:uuid:1"


def test_prefixes_of_fault_codes_are_declared():
    """Codes are qualified names: a reader resolves their prefixes where they stand."""
    fault = SoapFault("Sender", "x", "wsse:InvalidSecurity", "wsa:Two", problem_header="Action")
    root = etree.fromstring(write_fault(fault))
    qualified = [*root.iter(f"{{{SOAP}}}Value"), *root.iter(f"{{{WSA}}}ProblemHeaderQName")]
    assert len(qualified) == 4
    assert all((element.text or "").split(":")[0] in element.nsmap for element in qualified)
