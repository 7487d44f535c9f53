"""HL7 v2.5 messages of the SS-MIX2 standardised storage (1.2h): one function a data type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random

from hie.wire.ssmix.fictional.orders import INFUSIONS, LAB_ITEMS, Allergy, Diagnosis, Drug
from hie.wire.ssmix.fictional.people import FictionalPerson

DOCTOR = "D001^模擬^一郎^^^^^^^L^^^^^I"
NURSE = "N001^架空^花子^^^^^^^L^^^^^I"
OUTPATIENT_ORDER = "O^外来患者オーダ^HL70482"
INPATIENT_ORDER = "I^入院患者オーダ^HL70482"


@dataclass(frozen=True, slots=True)
class Place:
    """The facility that writes: its 10-digit code and its name."""

    facility_code: str
    name: str


@dataclass(frozen=True, slots=True)
class Writing:
    """One message about to be written: where, when (sending time), of whom, under which chart number."""

    place: Place
    person: FictionalPerson
    chart_number: str
    at: datetime
    control_id: str

    def message(self, message_type: str, segments: Sequence[str]) -> bytes:
        """The whole message in ISO-2022-JP, every segment ended by CR."""
        header = (
            f"MSH|^~\\&|HIS|{self.place.facility_code}|GW|GW|{self.at:%Y%m%d%H%M%S}.{self.at.microsecond // 1000:03d}||"
            f"{message_type}|{self.control_id}|P|2.5||||||~ISO IR87||ISO 2022-1994|"
            "SS-MIX2_1.20^SS-MIX2^1.2.392.200250.2.1.100.1.2.120^ISO"
        )
        return "".join(f"{segment}\r" for segment in (header, *segments)).encode("iso2022_jp")

    def pid(self, full: bool = False) -> str:
        """PID; with address, telephones and time of last update where ``full``."""
        person = self.person
        short = f"PID|0001||{self.chart_number}^^^^PI||{person.xpn}||{person.born:%Y%m%d}|{person.sex}"
        if not full:
            return short
        return (
            f"{short}|||^^^^{person.postal_code}^JPN^H^{person.address}||^PRN^PH^^^^^^^^^{person.telephone}"
            f"{'|' * 20}{self.at:%Y%m%d%H%M%S}"
        )

    def orc(self, control: str, order: str, group: str, department: str, at: datetime, inpatient: bool) -> str:
        """ORC of an order or result; group (ORC-4) and status (ORC-5) as the type demands."""
        status = "CM" if control == "SC" else ""
        return (
            f"ORC|{control}|{order}||{group}|{status}||||{at:%Y%m%d%H%M%S}|{DOCTOR}||{DOCTOR}|"
            f"{_ward(department, inpatient)}||||{department}^模擬科^99XY1||||{self.place.name}||||||||"
            f"{INPATIENT_ORDER if inpatient else OUTPATIENT_ORDER}"
        )


def _ward(department: str, inpatient: bool) -> str:
    return "32^302^1^^^N" if inpatient else f"{department}^^^^^C"


def _pv1(department: str, inpatient: bool, admitted: datetime | None = None, discharged: datetime | None = None) -> str:
    start = (
        f"PV1|0001|{'I' if inpatient else 'O'}|{_ward(department, inpatient)}||||{DOCTOR}|||{department}"
        f"|||||||{DOCTOR if admitted else ''}"
    )
    if admitted is None:
        return start.rstrip("|")
    disposition = "01" if discharged else ""
    return f"{start}{'|' * 19}{disposition}{'|' * 8}{admitted:%Y%m%d%H%M}" + (
        f"|{discharged:%Y%m%d%H%M}" if discharged else ""
    )


def adt_00(writing: Writing, height: float, weight: float) -> bytes:
    """A08: newest demographics, body size, insurance."""
    person = writing.person
    return writing.message(
        "ADT^A08^ADT_A01",
        [
            f"EVN||{writing.at:%Y%m%d%H%M%S}",
            writing.pid(full=True),
            _pv1("01", inpatient=False),
            f"OBX|1|NM|9N001000000000001^身長^JC10||{height:.1f}|cm^cm^ISO+|||||F",
            f"OBX|2|NM|9N006000000000001^体重^JC10||{weight:.1f}|kg^kg^ISO+|||||F",
            _in1(person),
        ],
    )


def _in1(person: FictionalPerson) -> str:
    """IN1 with 記号, 番号 and 枝番 as repetitions of IN1-10, the number again in IN1-11 (1.2h)."""
    plan = "39^後期高齢者^JHSD0001" if person.insurer.startswith("39") else "06^組合管掌健康保険^JHSD0001"
    symbol = f"{person.symbol}~{person.insured_number}~{person.branch}" if person.symbol else ""
    return (
        f"IN1|1|{plan}|{person.insurer}|{person.insurer_name}||||||{symbol}|{person.insured_number}"
        "|20240401|||||SEL^本人^HL70063"
    )


def adt_12(writing: Writing, department: str, at: datetime) -> bytes:
    """A04: received at an outpatient department."""
    visit = _pv1(department, inpatient=False, admitted=at)
    return writing.message("ADT^A04^ADT_A01", [f"EVN||{writing.at:%Y%m%d%H%M%S}", writing.pid(), visit])


def adt_22(writing: Writing, department: str, at: datetime) -> bytes:
    """A01: admitted."""
    stay = _pv1(department, inpatient=True, admitted=at)
    return writing.message("ADT^A01^ADT_A01", [f"EVN||{writing.at:%Y%m%d%H%M%S}", writing.pid(), stay])


def adt_52(writing: Writing, department: str, admitted: datetime, discharged: datetime) -> bytes:
    """A03: discharged."""
    stay = _pv1(department, inpatient=True, admitted=admitted, discharged=discharged)
    return writing.message("ADT^A03^ADT_A03", [f"EVN||{writing.at:%Y%m%d%H%M%S}", writing.pid(), stay])


def adt_61(writing: Writing, allergies: Sequence[Allergy]) -> bytes:
    """A60: the whole list of allergies."""
    lines = [
        f"IAM|{number}|{each.kind}^{each.kind_text}^HL70127|{each.code}^{each.agent}^{each.system}"
        f"|{each.severity}^{each.severity_text}^HL70128|{each.reaction}|A^追加^HL70323"
        for number, each in enumerate(allergies, 1)
    ]
    return writing.message("ADT^A60^ADT_A60", [f"EVN||{writing.at:%Y%m%d%H%M%S}", writing.pid(), *lines])


def ppr_01(writing: Writing, diagnoses: Sequence[tuple[Diagnosis, datetime]]) -> bytes:
    """ZD1: the whole list of diagnoses."""
    segments = [writing.pid()]
    for number, (each, since) in enumerate(diagnoses, 1):
        segments.append(
            f"PRB|AD|{since:%Y%m%d}|{each.code}^{each.name}^MDCDX2|{number:015d}|||{since:%Y%m%d}|||"
            f"{each.icd10}^^I10^O^外来時^JHSD0004||||||{since:%Y%m%d}|{each.name}"
        )
        segments.append(f"ZPR||{each.code}^{each.name}^MDCDX2")
    return writing.message("PPR^ZD1^PPR_ZD1", segments)


def omp_01(writing: Writing, order: str, drugs: Sequence[Drug], department: str, at: datetime) -> bytes:
    """RDE^O11: a prescription, one group a drug."""
    segments = [writing.pid(), _pv1(department, inpatient=False)]
    for number, drug in enumerate(drugs, 1):
        total = int(drug.per_day) * drug.days
        daily = f"{drug.per_day}^{drug.unit.replace('^', '&')}"
        rxe = [
            "RXE",
            "",
            f"{drug.code}^{drug.name}^HOT9",
            drug.dose,
            "",
            drug.unit,
            "",
            "",
            "",
            "",
            str(total),
            drug.unit,
        ]
        rxe += ["", "", "", order, "", "", "", daily, "", "OHP^外来処方^MR9P~OHI^院内処方^MR9P"]
        segments += [
            writing.orc("NW", order, f"{number}", department, at, inpatient=False),
            "|".join(rxe),
            f"TQ1|1||{drug.usage}&{drug.usage_text}&JAMISDP01|||{drug.days}^d|{at:%Y%m%d}",
            "RXR|PO^口^HL70162",
        ]
    return writing.message("RDE^O11^RDE_O11", segments)


def omp_02(writing: Writing, order: str, department: str, start: datetime, stop: datetime) -> bytes:
    """RDE^O11: an injection order, the mixture in RXC."""
    rxe = ["RXE", "", "00^一般^99I02", "500", "", "ML^ミリリットル^MR9P", "INJ^注射剤^MR9P"]
    rxe += [""] * 14 + ["IHP^入院処方^MR9P"]
    mixture = [
        f"RXC|{'B' if n == 0 else 'A'}|{code}^{name}^HOT9|1|{unit}" for n, (code, name, unit) in enumerate(INFUSIONS)
    ]
    return writing.message(
        "RDE^O11^RDE_O11",
        [
            writing.pid(),
            _pv1(department, inpatient=True),
            writing.orc("NW", order, f"{order}_01_001", department, start, inpatient=True),
            "|".join(rxe),
            f"TQ1|1||||||{start:%Y%m%d%H%M}|{stop:%Y%m%d%H%M}",
            "RXR|IV^静脈内^HL70162||IVP^点滴ポンプ^HL70164",
            *mixture,
        ],
    )


def omp_12(writing: Writing, order: str, department: str, start: datetime, stop: datetime) -> bytes:
    """RAS^O17: the injection as it was given."""
    given = [
        f"RXA|0|1|{start:%Y%m%d%H%M%S}|{stop:%Y%m%d%H%M%S}|{code}^{name}^HOT9|1|{unit}|||{NURSE}|||||||||"
        f"|CP||{stop:%Y%m%d%H%M%S}"
        for code, name, unit in INFUSIONS
    ]
    return writing.message(
        "RAS^O17^RAS_O17",
        [
            writing.pid(),
            _pv1(department, inpatient=True),
            writing.orc("NW", order, f"{order}_01_001", department, start, inpatient=True),
            *given,
            "RXR|IV^静脈内^HL70162||IVP^点滴ポンプ^HL70164",
        ],
    )


def oml_01(writing: Writing, order: str, department: str, at: datetime) -> bytes:
    """OML^O33: laboratory items asked for."""
    items = [f"OBX|{n}||{item.code}^{item.name}^JC10||||||||O" for n, item in enumerate(LAB_ITEMS, 1)]
    return writing.message(
        "OML^O33^OML_O33",
        [
            writing.pid(),
            _pv1(department, inpatient=False),
            f"SPM|1|{order}01||023^血清^JC10|||||||||||||{at:%Y%m%d%H%M}",
            writing.orc("NW", order, "", department, at, inpatient=False),
            f"OBR|1|{order}||E001^生化学的検査^99O03||||||||||||{DOCTOR}",
            *items,
        ],
    )


def oml_11(writing: Writing, order: str, department: str, at: datetime, final: bool, random: Random) -> bytes:
    """OUL^R22: laboratory results; preliminary results carry fewer items and status P."""
    results = []
    for number, item in enumerate(LAB_ITEMS if final else LAB_ITEMS[:4], 1):
        spread = item.high - item.low
        value = random.uniform(item.low - 0.3 * spread, item.high + 0.3 * spread)
        flag = "L" if value < item.low else "H" if value > item.high else ""
        results.append(
            f"OBX|{number}|NM|{item.code}^{item.name}^JC10||{value:.{item.digits}f}|{item.unit}|{item.low}-{item.high}"
            f"|{flag}|||{'F' if final else 'P'}|||{at:%Y%m%d%H%M}"
        )
    return writing.message(
        "OUL^R22^OUL_R22",
        [
            writing.pid(),
            _pv1(department, inpatient=False),
            f"SPM|1|{order}01||023^血清^JC10|||||||||||||{at:%Y%m%d%H%M}",
            f"OBR|1|{order}|{order}|E001^生化学的検査^99O03|||{at:%Y%m%d%H%M}|||||||||{DOCTOR}||||||{writing.at:%Y%m%d%H%M%S}",
            writing.orc("SC", order, "", department, at, inpatient=False),
            *results,
        ],
    )


def cancel_order(writing: Writing, message: bytes) -> bytes:
    """The deletion message of an order: the same order with ORC-1 CA, sent at another time."""
    text = message.decode("iso2022_jp")
    segments = text.split("\r")[1:-1]
    kind = text.split("\r", 1)[0].split("|")[8]
    return writing.message(kind, [s.replace("ORC|NW|", "ORC|CA|", 1) for s in segments])
