"""Every public HL7 v3 message of the patient index; where we differ from other readers, the reason stands beside it."""

import pytest
from lxml import etree

from hie.values.errors import ExchangeError
from hie.wire.hl7v2 import patient_feed as patient_feed_v2
from hie.wire.hl7v2.message import Message
from hie.wire.hl7v3 import demographics_query, patient_feed, pix_query
from hie.wire.hl7v3.datatypes import tag
from hie.wire.soap.envelope import SoapMessage
from hie.wire.xml import parse
from tests.conformance import CONFORMANCE, needs_conformance
from tests.wire.hl7v3.messages import code_at, sent

FOLDER = CONFORMANCE / "messages" / "hl7v3"
REQUESTS = {
    "PRPA_IN201301UV02": patient_feed,
    "PRPA_IN201302UV02": patient_feed,
    "PRPA_IN201304UV02": patient_feed,
    "PRPA_IN201305UV02": demographics_query,
    "PRPA_IN201309UV02": pix_query,
}
RESPONSES = {
    "PRPA_IN201306UV02": demographics_query,
    "PRPA_IN201310UV02": pix_query,
    "MCCI_IN000002UV01": patient_feed,
}
REFUSED = {
    "validation/iti44-multipatient-request-1.xml": "CE",  # two subjects: a feed has exactly one
    "xsd/prpa-invalid.xml": "CE",  # idA where id has to be
    "iti55/iti55-sample-request-deferred.xml": "AE",  # XCPD's deferred mode: PDQ answers at once
}
# Published as wrong, and read all the same: as a client we take a score whatever its xsi:type says.
TOLERATED = {"validation/type-nons-wrong.xml", "validation/type-ns-wrong.xml"}
NOT_OURS = {"PatientLocationQueryRequest", "PatientLocationQueryResponse", "QUPC_IN043100UV01", "QUPC_IN043200UV01"}


def _messages():
    for path in sorted(FOLDER.rglob("*.xml")):
        root = parse(path.read_bytes())
        interaction = etree.QName(root).localname
        if interaction == "Envelope":
            root = root.find("{*}Body")[0]
            interaction = etree.QName(root).localname
        if interaction not in NOT_OURS:
            yield str(path.relative_to(FOLDER)), interaction, SoapMessage("", "", root)


ALL = list(_messages())


@needs_conformance
def test_there_are_messages_of_every_kind():
    assert {interaction for _, interaction, _ in ALL} == {*REQUESTS, *RESPONSES}


@needs_conformance
@pytest.mark.parametrize(
    ("name", "codec", "message"),
    [pytest.param(name, REQUESTS[kind], message, id=name) for name, kind, message in ALL if kind in REQUESTS],
)
def test_requests_are_taken_or_refused(name, codec, message):
    if name not in REFUSED:
        codec.read_request(message)
        return
    with pytest.raises(ExchangeError) as caught:
        codec.read_request(message)
    assert code_at(sent(codec.write_error(message, caught.value)), "acknowledgement", "typeCode") == REFUSED[name]


@needs_conformance
@pytest.mark.parametrize(
    ("name", "codec", "message"),
    [pytest.param(name, RESPONSES[kind], message, id=name) for name, kind, message in ALL if kind in RESPONSES],
)
def test_answers_are_read(name, codec, message):
    result = codec.read_response(message)
    if codec is demographics_query:
        subjects = len(message.body.findall(f"{tag('controlActProcess')}/{tag('subject')}"))
        assert len(result.matches) == subjects
        assert all(match.identifiers or match.missing for match in result.matches) or name in TOLERATED


@needs_conformance
@pytest.mark.parametrize("name", ["REG", "REV", "MERGE"])
def test_a_feed_means_the_same_in_both_dialects(name):
    """The published pairs: the same feed in HL7 v3 and in HL7 v2."""
    folder = FOLDER / "translation/pixfeed"
    v3 = patient_feed.read_request(
        SoapMessage("", "", parse((folder / f"v3/PIX_FEED_{name}_Maximal_Request.xml").read_bytes()))
    )
    v2 = patient_feed_v2.read_request(Message.read((folder / f"v2/PIX_FEED_{name}_Maximal_Request.hl7").read_bytes()))
    assert v3.event == v2.event
    assert [each.value for each in v3.prior_identifiers] == [each.value for each in v2.prior_identifiers]
    assert {each.value for each in v3.identifiers} <= {each.value for each in v2.identifiers}
    if name != "MERGE":
        ours, theirs = v3.demographics, v2.demographics
        assert (ours.birth_date, ours.sex) == (theirs.birth_date, theirs.sex)
        assert ours.name.alphabetic == theirs.name.alphabetic
