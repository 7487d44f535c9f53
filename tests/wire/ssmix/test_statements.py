"""What messages of a storage say: one statement a row, nothing guessed, nothing of what was taken back."""

from __future__ import annotations

import pytest

from hie.values.codes import Code
from hie.values.summaries import Allergy, Coded, Encounter, Medication, Problem, Result, Source, Statement
from hie.wire.hl7v2.message import Message
from hie.wire.ssmix.checks import read_message
from hie.wire.ssmix.statements import SCHEMES, SECTIONS, read_short_allergies, read_statements
from tests.conformance import CONFORMANCE, needs_conformance

SOURCE = Source("1319999015", "模擬中央病院", "検体検査結果", "20240501")
ORDER = "ORC|NW|000000000000101||1|||||20240501101500"


def message(trigger: str, *segments: str) -> Message:
    header = f"MSH|^~\\&|HIS|A|GW|B|20240501101500||{trigger}|1|P|2.5||||||UNICODE UTF-8"
    return Message.read("\r".join([header, *segments, ""]).encode())


def said(data_type: str, *segments: str, trigger: str = "RDE^O11") -> list[Statement]:
    return read_statements(data_type, message(trigger, *segments), SOURCE)


def test_an_allergy_with_its_code_and_the_words_of_its_time() -> None:
    line = "IAM|1|FA^食物アレルギー^HL70127|5A1002411023006^ソバ^JC10|MO^中等度^HL70128|湿疹~咳|A|||||{}"
    agent = Coded("ソバ", (Code("5A1002411023006", SCHEMES["JC10"], "ソバ"),))
    common = {"agent": agent, "source": SOURCE, "kind": "食物アレルギー", "severity": "中等度", "reaction": "湿疹、咳"}
    assert said("ADT-61", line.format("199601")) == [Allergy(**common, since="199601")]
    assert said("ADT-61", line.format("|小学校低学年の頃")) == [Allergy(**common, since="小学校低学年の頃")]
    assert said("ADT-61", line.replace("|A|", "|D|"), "IAM|2|FA|") == []


def test_the_short_list_of_the_demographics() -> None:
    (found,) = read_short_allergies(message("ADT^A08", "AL1|1|DA^薬剤^HL70127|1^ペニシリン^99XYZ|SV||20200101"), SOURCE)
    assert found == Allergy(Coded("ペニシリン"), SOURCE, kind="薬剤", severity="SV", since="20200101")


def test_a_diagnosis_by_its_whole_name_and_both_codes() -> None:
    line = (
        "PRB|AD|20110915|20054174^胃炎^MDCDX2|1|||20110831||20110915|K297^^I10^O^外来時^JHSD0004"
        "|||1|N^回復せず^HL70241|20110915|20110830|急性胃炎の疑い|1^主診断^JHSD0007"
    )
    (found,) = said("PPR-01", line)
    codes = (Code("K297", SCHEMES["I10"]), Code("20054174", SCHEMES["MDCDX2"], "胃炎"))
    assert found == Problem(
        Coded("急性胃炎の疑い", codes),
        SOURCE,
        since="20110830",
        until="20110915",
        suspected=True,
        main=True,
        outcome="回復せず",
    )
    (named,) = said("PPR-01", "PRB|AD||20054174^胃炎^MDCDX2||||20110831||20110915")
    assert isinstance(named, Problem)
    assert (named.name.text, named.since, named.until) == ("胃炎", "20110831", "")
    assert said("PPR-01", line.replace("|AD|", "|DE|"), "PRB|AD|20110915|") == []


def test_a_drug_is_read_with_how_it_is_taken() -> None:
    (found,) = said(
        "OMP-01",
        ORDER,
        "RXE||108665201^ダーゼン錠^HOT9|1||TAB^錠^MR9P" + "|" * 26 + "3959003F1^^YJ",
        "TQ1|1||1013044400000000&内服・１日３回&JAMISDP01|||5^d|20240501",
        "RXR|PO^口^HL70162",
    )
    drug = (Code("108665201", SCHEMES["HOT9"], "ダーゼン錠"), Code("3959003F1", SCHEMES["YJ"]))
    usage = Coded("内服・１日３回", (Code("1013044400000000", SCHEMES["JAMISDP01"], "内服・１日３回"),))
    assert found == Medication(
        Coded("ダーゼン錠", drug),
        SOURCE,
        amount="1",
        unit="錠",
        usage=usage,
        route="口",
        duration="5日分",
        start="20240501",
    )
    assert found.dose == "1錠"


@pytest.mark.parametrize("control", ["CA", "DC"])
def test_an_order_that_was_cancelled_says_nothing(control: str) -> None:
    drug = "RXE||108665201^ダーゼン錠^HOT9|1||TAB^錠^MR9P"
    found = said("OMP-01", ORDER.replace("|NW|", f"|{control}|"), drug, ORDER, drug.replace("ダーゼン", "別の"))
    assert [each.drug.text for each in found if isinstance(each, Medication)] == ["別の錠"]


def test_the_drugs_of_a_mixture_and_what_became_of_them() -> None:
    ordered = said(
        "OMP-02",
        ORDER,
        'RXE||00^一般^99I02|""||ML',
        "TQ1|1||||||202405010800|202405011300",
        "RXC|B|620007329^輸液^HOT9|1|HON^本^MR9P",
        "RXC|A|620002559^止血薬^HOT9|0.5|AMP^アンプル^MR9P",
    )
    assert [(each.drug.text, each.dose, each.given) for each in ordered if isinstance(each, Medication)] == [
        ("輸液", "1本", False),
        ("止血薬", "0.5アンプル", False),
    ]
    (given,) = said(
        "OMP-12",
        ORDER,
        "RXA|0|1|20240501080521|20240501130543|620007329^輸液^HOT9|1|HON^本^MR9P" + "|" * 13 + "RE",
        trigger="RAS^O17",
    )
    assert isinstance(given, Medication)
    assert (given.given, given.start, given.stop, given.status) == (True, "20240501080521", "20240501130543", "拒否")


@pytest.mark.parametrize(
    ("kind", "written", "value", "number"),
    [
        ("NM", "7.2", "7.2", "7.2"),
        ("NM", "135.", "135.", "135"),
        ("NM", "+0.1", "+0.1", "0.1"),
        ("NM", "1,200", "1,200", "1200"),
        ("NM", "７．２", "７．２", "7.2"),
        ("NM", "<0.1", "<0.1", ""),
        ("ST", "7.2", "7.2", ""),
        ("CWE", "1^陽性^99XYZ", "陽性", ""),
        ("CWE", "1", "1", ""),
        ("TX", "心筋\\T\\虚血~疑い", "心筋 虚血、疑い", ""),
    ],
)
def test_a_result_is_its_words_and_a_number_where_it_is_one(kind: str, written: str, value: str, number: str) -> None:
    (found,) = said(
        "OML-11",
        "SPM|1|||023^血清^JC10|||||||||||||202405010930",
        "OBR|1|1||E001",
        f"OBX|1|{kind}|3A010000002327101^総蛋白^JC10||{written}|g/dl^g/dl^99XYZ|6.7-8.3|H|||F",
        trigger="OUL^R22",
    )
    assert isinstance(found, Result)
    assert (found.value, found.number, found.unit, found.range, found.flag) == (value, number, "g/dl", "6.7-8.3", "H")
    assert found.at == "202405010930"


@pytest.mark.parametrize("status", ["X", "D", "O", "I", "N"])
def test_what_was_not_done_is_no_result(status: str) -> None:
    assert said("OML-11", "OBR|1", f"OBX|1|NM|3A01^総蛋白^JC10||7.2||||||{status}", trigger="OUL^R22") == []


def test_a_preliminary_result_says_so_and_times_follow_their_group() -> None:
    found = said(
        "OMG-13",
        "OBR|1|1||9A110^心電図^JC10|||20240501",
        "OBX|1|TX|9A100&IMP^所見^JC10||正常||||||P",
        "OBR|2|1||9A110^心電図^JC10|||20240502",
        "OBX|2|NM|32769^心拍数^99MFR||67|bpm|||||F|||20240503",
        "OBX|3|NM|||67",
        trigger="ORU^R01",
    )
    assert [(each.item.codes, each.preliminary, each.at) for each in found if isinstance(each, Result)] == [
        ((Code("9A100", SCHEMES["JC10"], "所見"),), True, "20240501"),
        ((), False, "20240503"),
    ]


@pytest.mark.parametrize(
    ("data_type", "event", "what", "inpatient"),
    [("ADT-12", "A04", "外来受診", False), ("ADT-22", "A01", "入院", True), ("ADT-52", "A03", "入院", True)],
)
def test_a_stay_or_a_visit(data_type: str, event: str, what: str, inpatient: bool) -> None:
    visit = "PV1|0001|I|32^302" + "|" * 7 + "08" + "|" * 34 + "202405010900|202405030000"
    (found,) = said(data_type, visit, trigger=f"ADT^{event}")
    assert found == Encounter(inpatient, what, SOURCE, "202405010900", "202405030000", "08")
    assert said(data_type, trigger=f"ADT^{event}") == []


def test_what_no_section_is_read_from_says_nothing() -> None:
    assert said("OML-01", "OBX|1|NM|3A01^総蛋白^JC10||7.2", trigger="OML^O33") == []
    assert read_short_allergies(message("ADT^A08"), SOURCE) == []


@needs_conformance
def test_every_example_of_the_specification_says_something() -> None:
    silent = []
    for data_type in (each for section in SECTIONS.values() for each in section):
        for file in (CONFORMANCE / "ssmix2" / "spec_examples").rglob(f"*_{data_type}_*_1"):
            found, _ = read_message(file.read_bytes())
            if found is not None and not read_statements(data_type, found, SOURCE):
                silent.append(file.name)
    assert silent == []
