"""What a message says of the document it becomes, what a content folder is made of, what a log tells."""

from __future__ import annotations

import pytest

from hie.values.identifiers import AssigningAuthority, Identifier, is_oid, is_uuid_urn
from hie.wire.ssmix import checks, content_folders
from hie.wire.ssmix.content_folders import Part, choose_main, digest, read_kind
from hie.wire.ssmix.data_types import DATA_TYPES, of_trigger
from hie.wire.ssmix.documents import DocumentFacts, identify, read_facts, to_utc
from hie.wire.ssmix.names import read_file_name
from hie.wire.ssmix.structures import structure_of
from hie.wire.ssmix.transaction_log import compare, read_records
from tests.wire.ssmix.test_checks import LAB, NAME, PRESCRIPTION, RESULTS, encode

PATIENT = Identifier("0000000001", AssigningAuthority("1.2.3"))


def facts_of(name: str, lines: list[str]) -> DocumentFacts:
    parsed = read_file_name(name)
    message, _ = checks.read_message(encode(lines))
    assert parsed is not None
    assert message is not None
    return read_facts(parsed, message, PATIENT, "1.2.3")


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("20240501101500", "20240501011500"),
        ("202405010030", "202404301530"),
        ("20240501", "20240501"),
        ("202404302530", "202404301630"),
        ("20240501101500.123", "20240501011500"),
        ("20240231", ""),
        ("昨日", ""),
        ("", ""),
    ],
)
def test_japanese_time_becomes_utc(local: str, utc: str) -> None:
    assert to_utc(local) == utc


def test_the_facts_of_a_prescription() -> None:
    facts = facts_of(NAME, PRESCRIPTION)
    assert facts.creation_time == "20240501011500"
    assert facts.service_start_time == "20240501011500"
    assert facts.author == "D001^医師^一郎"
    assert facts.department == "01"
    assert facts.reference_ids == ("000000000000101^^^&1.2.3&ISO^urn:ihe:iti:xds:2013:order",)
    assert facts.title == "処方オーダ 2024/05/01"
    assert facts.source_patient_info[0] == "PID-3|0000000001^^^&1.2.3&ISO"
    assert "PID-8|F" in facts.source_patient_info


def test_laboratory_results_are_dated_by_their_collection_and_bacteria_have_their_type() -> None:
    assert facts_of(LAB, RESULTS).service_start_time == "20240430233000"
    assert facts_of(LAB, RESULTS).type_code == ""
    bacteria = [line.replace("3B035000002327201", "6B010000002327201") for line in RESULTS]
    assert facts_of(LAB, bacteria).type_code == "18725-2"


def test_an_image_is_found_by_accession_and_study() -> None:
    name = "0000000001_20240501_OMG-11_000000000000101_20240501101500100_24_1"
    lines = [*PRESCRIPTION[:4], "OBR||000000000000101||99A^超音波^JJ1017|||20240501", "IPC|A1|P1|1.2.3.4||US^^DCM"]
    facts = facts_of(name, lines)
    assert "A1^^^&1.2.3&ISO^urn:ihe:iti:xds:2013:accession" in facts.reference_ids
    assert "1.2.3.4^^^^urn:ihe:iti:xds:2016:studyInstanceUID" in facts.reference_ids
    assert [code.code for code in facts.modalities] == ["US"]
    assert facts.service_start_time == "20240501"


def test_an_identity_knows_no_flag_and_changes_with_the_bytes() -> None:
    one, two = read_file_name(NAME), read_file_name(NAME[:-1] + "2")
    assert one is not None
    assert two is not None
    first = identify("1319999998", one.key, one.written_at, "aa")
    assert first == identify("1319999998", two.key, two.written_at, "aa")
    assert is_uuid_urn(first[0])
    assert is_oid(first[1])
    others = {
        identify("1319999998", one.key, one.written_at, "bb"),
        identify("1319999999", one.key, one.written_at, "aa"),
        identify("1319999998", one.key, "20240501101500101", "aa"),
        identify("1319999998", one.key, one.written_at, "aa", "part"),
    }
    assert len({first, *others}) == 5
    again = identify("1319999998", one.key, one.written_at, "aa", generation=1)
    assert again[0] != first[0]
    assert again[1] == first[1]


def test_the_table_of_data_types() -> None:
    assert len(DATA_TYPES) == 26
    assert sum(len(row.valid) + len(row.cancel) for row in DATA_TYPES.values()) == 36
    assert {row.code for row in DATA_TYPES.values() if not row.dated} == {"ADT-00", "ADT-01", "ADT-61", "PPR-01"}
    for row in DATA_TYPES.values():
        for trigger in (*row.valid, *row.cancel):
            structure = structure_of(row.code, trigger)
            assert structure is not None
            assert {"MSH", "PID"} <= structure.required
    assert of_trigger("ADT-22", "ADT^A11") == (True, True)
    assert of_trigger("ADT-22", "ADT^A03") == (False, False)
    assert of_trigger("OML-12", "OUL^R22") == (True, False)


def part(path: str, size: int = 1, head: bytes = b"") -> Part:
    return Part(path, size, "", f"{size:064x}", head)


CDA = b'<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3"><effectiveTime value="20240501101500+0900"/>'


@pytest.mark.parametrize(
    ("parts", "main"),
    [
        ([part("a.png")], "a.png"),
        ([part("a.xml", head=CDA), part("MAIN_DOCUMENT.hl7")], "MAIN_DOCUMENT.hl7"),
        ([part("b.xml", head=CDA), part("a.pdf", head=b"%PDF-1.7"), part("c.png", 9)], "b.xml"),
        ([part("a.pdf", head=b"%PDF-1.7"), part("x/b.pdf", 9, b"%PDF-1.7"), part("c.png", 99)], "a.pdf"),
        ([part("a.txt", 1), part("b.txt", 5), part("c.png", 99)], "b.txt"),
        ([part("a.png"), part("b.jpg")], None),
    ],
)
def test_the_main_document(parts: list[Part], main: str | None) -> None:
    chosen = choose_main(parts)
    assert (chosen.path if chosen else None) == main


def test_a_folder_changes_with_every_file_and_not_with_their_order() -> None:
    parts = [part("a", 1), part("b", 2)]
    assert digest(parts) == digest(parts[::-1])
    assert digest(parts) != digest([part("a", 1), part("c", 2)])
    assert content_folders.effective_time(CDA) == "20240501101500+0900"


@pytest.mark.parametrize(
    ("folder", "local", "standard"),
    [
        ("L-OBSERVATIONS^OBSERVATIONS^99ZL01", "L-OBSERVATIONS", None),
        ("^経過記録^^11506-3^経過記録^LN", None, "11506-3"),
        ("L-JSPEED^災害時JSPEED記録^99ZL01^74465-6^問診票^LN", "L-JSPEED", "74465-6"),
        ("LJCS-100R", "LJCS-100R", None),
    ],
)
def test_the_kind_of_a_content_folder(folder: str, local: str | None, standard: str | None) -> None:
    kind = read_kind(folder)
    assert (kind.local.code if kind.local else None) == local
    assert (kind.standard.code if kind.standard else None) == standard


HEADER = "#SSMIX,2.00,1319999998,0000000001,20240501,OMP-01,101,{},01,20240501101500100"


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_a_log_is_read_record_by_record(end: str) -> None:
    body = f"MSH|^~\\&|{end}PID|1{end}"
    data = "".join(HEADER.format(kind) + end + body for kind in ("INS", "DEL")).encode()
    first, second = read_records(data)
    assert data[first.offset : first.offset + first.size].decode() == body
    assert (first.deleted, second.deleted) == (False, True)
    assert first.key == ("0000000001", "20240501", "OMP-01", "000000000000101")


def test_log_and_tree_are_compared_by_the_last_word() -> None:
    records = list(read_records((HEADER.format("INS") + "\rMSH|\r" + HEADER.format("DEL") + "\rMSH|\r").encode()))
    key = records[0].key
    assert [(each, found.rule) for each, found in compare(records, [key])] == [(key, "TR-02")]
    assert list(compare(records, [])) == []


@pytest.mark.parametrize("data", [b"MSH|\r", b"#SSMIX,2.00\rMSH|\r", HEADER.format("UPD").encode()])
def test_an_unreadable_record_is_reported(data: bytes) -> None:
    assert [found.rule for record in read_records(data) for found in record.deviations] == ["TR-01"]
