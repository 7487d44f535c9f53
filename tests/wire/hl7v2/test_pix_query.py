"""ITI-9: the six cases of ITI TF-2: 3.9.4.2.2, on both sides."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.patients import CrossReferenceQuery, CrossReferences
from hie.wire.hl7v2 import pix_query
from hie.wire.hl7v2.message import Message
from hie.wire.hl7v2.writer import Parties
from tests.wire.hl7v2.samples import MESSAGE_SAMPLES, sample

OID = "1.2.392.100495.20.3.51.11311234567"
REGIONAL = Identifier("R1", AssigningAuthority("1.2.3.1", "REGION"), "PI")
CLINIC = (
    Identifier("77", AssigningAuthority("1.2.3.4", "CLINIC")),
    Identifier("78", AssigningAuthority("1.2.3.4", "CLINIC")),
)


@pytest.mark.parametrize(
    ("name", "domains", "tag"),
    [
        ("ITI-9/q23-all-domains.hl7", (), "T0001"),
        ("ITI-9/q23-two-domains.hl7", (AssigningAuthority("9.9.9"), AssigningAuthority("", "REGION")), "T0002"),
        ("ITI-9/q23-jis-tag.hl7", (), "照会日本"),
        ("ITI-9/q23-other-delimiters.hl7", (), "T$4"),
    ],
)
def test_what_a_query_asks(name, domains, tag):
    message = sample(name)
    assert pix_query.read_request(message) == CrossReferenceQuery(
        message.control_id, Identifier("0000123456", AssigningAuthority(OID)), domains, tag
    )


@pytest.mark.parametrize(
    ("case", "answered", "msa", "qak", "err", "pid"),
    [
        ("1 found", CrossReferences((REGIONAL,)), "AA", "OK", None, "PID|||R1^^^REGION&1.2.3.1&ISO^PI||~^^^^^^S"),
        ("2 none there", CrossReferences(), "AA", "NF", None, None),
        ("3 unknown id", ("identifier", Reason.UNKNOWN_KEY), "AE", "AE", "QPD^1^3^1^1", None),
        ("4 unknown domain of id", ("identifier.authority", Reason.UNKNOWN_DOMAIN), "AE", "AE", "QPD^1^3^1^4", None),
        ("5 unknown domain asked for", ("domain[2]", Reason.UNKNOWN_DOMAIN), "AE", "AE", "QPD^1^4^2", None),
        ("6 several in one domain", CrossReferences(CLINIC), "AA", "OK", None,
            "PID|||77^^^CLINIC&1.2.3.4&ISO~78^^^CLINIC&1.2.3.4&ISO||~^^^^^^S"),
    ],
)  # fmt: skip
def test_the_six_cases(case, answered, msa, qak, err, pid):
    message = sample("ITI-9/q23-two-domains.hl7")
    if isinstance(answered, CrossReferences):
        written = pix_query.write_response(message, answered)
    else:
        location, reason = answered
        written = pix_query.write_error(message, ExchangeError(reason, "Not known here.", location))
    lines = written.decode().rstrip("\r").split("\r")
    answer = Message.read(written)
    assert [line[:3] for line in lines] == [
        "MSH",
        "MSA",
        *(["ERR"] if err else []),
        "QAK",
        "QPD",
        *(["PID"] if pid else []),
    ]
    assert answer.header.field(9) == "RSP^K23^RSP_K23"
    assert answer.first("MSA").fields[1:] == [msa, "Q0002"]
    assert answer.first("QAK").fields[1:] == ["T0002", qak, "IHE PIX Query"]
    assert answer.first("QPD").fields == message.first("QPD").fields
    if err:
        assert answer.first("ERR").fields[2:5] == [err, "204^Unknown key identifier^HL70357", "E"]
    if pid:
        assert lines[-1] == pid


@pytest.mark.parametrize(
    ("name", "msa", "message_type", "err"),
    [
        ("ITI-9/refused-without-id.hl7", "AE", "RSP^K23^RSP_K23", ["QPD^1^3 101"]),
        ("ITI-9/refused-without-rcp.hl7", "AE", "RSP^K23^RSP_K23", ["RCP^1 100"]),
    ],
)
def test_a_query_that_is_wrong_is_answered_with_the_query(name, msa, message_type, err):
    message = sample(name)
    with pytest.raises(ExchangeError) as refused:
        pix_query.read_request(message)
    answer = Message.read(pix_query.write_error(message, refused.value))
    assert (answer.header.field(9), answer.first("MSA").field(1)) == (message_type, msa)
    assert [f"{each.field(2)} {each.component(3, 1)}" for each in answer.all("ERR")] == err
    assert answer.first("QAK").field(2) == msa


def test_another_version_gets_a_plain_acknowledgement():
    message = sample("ITI-9/refused-version.hl7")
    with pytest.raises(ExchangeError) as refused:
        pix_query.read_request(message)
    answer = Message.read(pix_query.write_error(message, refused.value))
    assert (answer.header.field(9), answer.first("MSA").field(1)) == ("ACK^Q23", "AR")
    assert answer.first("ERR").component(1, 4, sub=1) == "203"


@pytest.mark.parametrize(
    ("query", "reason", "location"),
    [
        ("QPD|IHE PIX Query|T|^^^&1.2.3&ISO\rRCP|I", Reason.REQUIRED_MISSING, "QPD^1^3^1^1"),
        ("QPD|IHE PIX Query|T|1^^^A|^^^&1.2.3&ISO~~^^^B\rRCP|I", Reason.REQUIRED_MISSING, "QPD^1^4^2^4"),
        ("QPD|IHE PIX Query|T|1^^^A\rRCP|D", Reason.NOT_IN_TABLE, "RCP^1^1"),
        ("RCP|I", Reason.SEGMENT_SEQUENCE, "QPD^1"),
    ],
)
def test_where_a_query_is_wrong(query, reason, location):
    message = Message.read(f"MSH|^~\\&|A|B|C|D|2025||QBP^Q23|1|P|2.5\r{query}".encode())
    with pytest.raises(ExchangeError) as refused:
        pix_query.read_request(message)
    assert [(each.reason, each.location) for each in refused.value.findings] == [(reason, location)]


def test_the_query_is_echoed_in_the_character_set_and_delimiters_it_came_in_or_ours():
    jis = sample("ITI-9/q23-jis-tag.hl7")
    written = pix_query.write_response(jis, CrossReferences())
    assert "照会日本".encode("iso2022_jp") in written
    assert b"|~ISO IR87||ISO 2022-1994" in written
    other = Message.read(pix_query.write_response(sample("ITI-9/q23-other-delimiters.hl7"), CrossReferences()))
    assert other.first("QPD").field(3) == f"0000123456^^^&{OID}&ISO"
    assert other.first("QAK").component(1, 1) == "T$4"


def test_the_client_reads_what_a_manager_answers():
    assert pix_query.read_response(sample("ITI-9/rsp-two-ids.hl7")).identifiers[1].value == "77"
    with pytest.raises(ExchangeError) as refused:
        pix_query.read_response(sample("ITI-9/rsp-unknown-key.hl7"))
    assert refused.value.reason is Reason.UNKNOWN_KEY
    assert refused.value.findings[0].location == "QPD^1^3^1^1"


_ID = st.text(st.sampled_from("0189AZ|^~\\&山本日"), min_size=1, max_size=8)


@given(_ID, st.lists(st.sampled_from(["1.2.3", "2.25.7"]), max_size=3), st.sampled_from(["UNICODE UTF-8", "ISO IR87"]))
def test_what_is_written_is_read_again(value, oids, character_set):
    domains = tuple(AssigningAuthority(oid, "N&S") for oid in oids)
    query = CrossReferenceQuery("M1", Identifier(value, AssigningAuthority("1.2.3.4", "A")), domains, "T1")
    parties = Parties("A", "B", "C", "D")
    message = Message.read(pix_query.write_request(query, parties, character_set=character_set))
    assert pix_query.read_request(message) == query
    references = CrossReferences((Identifier(value, AssigningAuthority("1.2.3.4", "A"), "PI"), REGIONAL))
    answer = Message.read(pix_query.write_response(message, references))
    assert pix_query.read_response(answer) == references


def test_no_sample_was_forgotten():
    assert len([name for name in MESSAGE_SAMPLES if name.startswith("ITI-9/")]) == 9


def test_a_flood_of_repetitions_is_refused_before_it_is_read():
    message = Message.read(b"MSH|^~\\&|A|B|C|D|2025||QBP^Q23|1|P|2.5\rQPD|Q|T|1|" + b"^~" * 100_000 + b"\rRCP|I")
    with pytest.raises(ExchangeError) as refused:
        pix_query.read_request(message)
    assert [(each.reason, each.location) for each in refused.value.findings] == [(Reason.TOO_LARGE, "QPD^1^4")]
    thousand = message.raw.replace(b"^~" * 100_000, b"~".join([b"^^^A"] * 1000))
    assert len(pix_query.read_request(Message.read(thousand)).domains) == 1000
