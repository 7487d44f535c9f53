"""The 26 data types of the standard storage: one row each (JAMI standard storage specification 1.2, JAHIS conventions).

Structures are written in a small notation: ``X`` once, ``[X]`` optional, ``{X}`` any number, ``{+X}`` at least one;
brackets nest. Segments that HL7 v2.5 allows elsewhere and SS-MIX2 does not use are passed over (``PASSED_OVER``).
Care dates follow the reading of the National Hospital Organization, which collects such storages.
"""

from __future__ import annotations

from dataclasses import dataclass

NO_ORDER = "9" * 15
UNDATED = "-"

_ADT_LONG = "MSH EVN PID {NK1} PV1 [PV2] {DB1} {OBX} {AL1} {IN1}"
_ADT_SHORT = "MSH EVN PID PV1 [PV2] {DB1} {OBX}"
_RDE = "MSH PID {NTE} [PV1 [PV2]] [IN1] {AL1} {+ORC RXE {NTE} {TQ1} {RXR} {RXC} {OBX {NTE}} [CTI]}"
_RAS = "MSH PID {NTE} {AL1} [PV1 [PV2]] {+ORC {TQ1} [RXE {TQ1} {RXR} {RXC}] {+{+RXA} RXR {OBX {NTE}}} {CTI}}"
_OMG = "MSH PID {NTE} [PV1 [PV2]] [IN1] {AL1} {+ORC {TQ1} OBR {NTE} {OBX {NTE}} {SPM}}"
_OMI = "MSH PID {NTE} [PV1 [PV2]] [IN1] {AL1} {+ORC {TQ1} OBR {NTE} {OBX {NTE}} {ZE1 {OBX} {ZE2}} {IPC}}"

PASSED_OVER = frozenset(
    "SFT PD1 ROL DG1 DRG PR1 GT1 IN2 IN3 ACC UB1 UB2 PDA TQ2 CTD TCD SAC INV SID FT1 BLG VAR PTH GOL RXO DSC".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class DataType:
    """One data type.

    valid, cancel: trigger -> structure. care_dates: trigger -> ``SEG-n``; a trigger without one has none.
    dated: it lies under a date, not under ``-``. numbered: the order number is ORC-2, so ``NO_ORDER`` is a deviation.
    whole: the newest file replaces all that was said before. register: becomes a document unless a network decides
    otherwise (``apps.terminology`` holds what it decided, and the codes of the documents).
    """

    code: str
    ja: str
    en: str
    valid: dict[str, str]
    cancel: dict[str, str]
    care_dates: dict[str, str]
    dated: bool
    numbered: bool
    whole: bool
    register: bool


def _adt(
    code: str,
    ja: str,
    en: str,
    valid: tuple[str, str, str],
    cancel: tuple[str, str, str] | None,
    *,
    dated: bool = True,
    register: bool = False,
) -> DataType:
    """A row of movement: each trigger as (event, structure, field of the care date)."""
    triggers = [valid] if cancel is None else [valid, cancel]
    return DataType(
        code=code,
        ja=ja,
        en=en,
        valid={f"ADT^{valid[0]}": valid[1]},
        cancel={} if cancel is None else {f"ADT^{cancel[0]}": cancel[1]},
        care_dates={f"ADT^{event}": field for event, _, field in triggers if field},
        dated=dated,
        numbered=False,
        whole=not dated,
        register=register,
    )


def _order(code: str, ja: str, en: str, trigger: str, structure: str, care_date: str, register: bool) -> DataType:
    return DataType(
        code=code,
        ja=ja,
        en=en,
        valid={trigger: structure},
        cancel={},
        care_dates={trigger: care_date},
        dated=True,
        numbered=code != "OMG-13",
        whole=False,
        register=register,
    )


DATA_TYPES: dict[str, DataType] = {
    row.code: row
    for row in (
        _adt(
            "ADT-00", "患者基本情報", "Patient demographics",
            ("A08", _ADT_LONG, ""), ("A23", _ADT_SHORT, ""), dated=False,
        ),
        _adt(
            "ADT-01", "担当医の変更", "Attending physician",
            ("A54", "MSH EVN PID PV1 [PV2]", ""), ("A55", "MSH EVN PID PV1 [PV2]", ""), dated=False,
        ),
        _adt("ADT-12", "外来診察の受付", "Outpatient reception", ("A04", _ADT_LONG, "PV1-44"), None),
        _adt(
            "ADT-21", "入院予定", "Planned admission",
            ("A14", _ADT_LONG, "PV2-8"), ("A27", "MSH EVN PID PV1 PV2 {DB1} {OBX}", "PV2-8"),
        ),
        _adt("ADT-22", "入院実施", "Admission", ("A01", _ADT_LONG, "PV1-44"), ("A11", _ADT_SHORT, "PV1-44")),
        _adt("ADT-31", "外出泊実施", "Leave", ("A21", _ADT_SHORT, "EVN-6"), ("A52", _ADT_SHORT, "EVN-6")),
        _adt("ADT-32", "外出泊帰院", "Return from leave", ("A22", _ADT_SHORT, "EVN-6"), ("A53", _ADT_SHORT, "PV2-47")),
        _adt("ADT-41", "転科転棟予定", "Transfer planned", ("A15", _ADT_SHORT, "PV2-8"), ("A26", _ADT_SHORT, "PV2-8")),
        _adt("ADT-42", "転科・転棟", "Transfer", ("A02", _ADT_SHORT, "EVN-6"), ("A12", _ADT_SHORT, "EVN-6")),
        _adt("ADT-51", "退院予定", "Planned discharge", ("A16", _ADT_LONG, "PV2-9"), ("A25", _ADT_SHORT, "PV2-9")),
        _adt("ADT-52", "退院実施", "Discharge", ("A03", _ADT_LONG, "PV1-45"), ("A13", _ADT_LONG, "PV1-45")),
        _adt(
            "ADT-61", "アレルギー情報", "Allergies",
            ("A60", "MSH EVN PID [PV1 [PV2]] {+IAM}", ""), None, dated=False, register=True,
        ),
        DataType(
            code="PPR-01", ja="病名情報", en="Problem list",
            valid={
                "PPR^ZD1": "MSH PID [PV1 [PV2]] {+PRB [ZPR] {ZPD} {NTE} {ZI1} {OBX {NTE}} {ORC}}",
            },
            cancel={}, care_dates={}, dated=False, numbered=False, whole=True, register=True,
        ),
        _order(
            "OMD", "食事オーダ", "Meal order", "OMD^O03",
            "MSH PID {NTE} [PV1 [PV2]] [IN1] {AL1} {+ORC {TQ1} {ODS {NTE}}}", "ORC-9", False,
        ),
        _order("OMP-01", "処方オーダ", "Prescription", "RDE^O11", _RDE, "ORC-9", True),
        _order("OMP-11", "処方実施通知", "Dispensing", "RAS^O17", _RAS, "RXA-3", False),
        _order("OMP-02", "注射オーダ", "Injection order", "RDE^O11", _RDE, "ORC-9", True),
        _order("OMP-12", "注射実施通知", "Injection given", "RAS^O17", _RAS, "RXA-3", True),
        _order(
            "OML-01", "検体検査オーダ", "Laboratory order", "OML^O33",
            "MSH PID {NTE} [PV1 [PV2]] [IN1] {AL1} {+SPM {OBX} {ORC {TQ1} {OBR {NTE} {OBX {NTE}}}}}",
            "ORC-9", False,
        ),
        _order(
            "OML-11", "検体検査結果", "Laboratory results", "OUL^R22",
            "MSH {NTE} PID {NTE} [PV1 [PV2]] {+SPM {OBX} {+OBR [ORC] {NTE} {TQ1} {OBX {NTE}}}}",
            "SPM-17", True,
        ),
        _order("OMG-01", "放射線検査オーダ", "Radiology order", "OMG^O19", _OMG, "ORC-9", False),
        _order("OMG-11", "放射線検査の実施通知", "Radiology done", "OMI^Z23", _OMI, "OBR-7", False),
        _order("OMG-02", "内視鏡検査オーダ", "Endoscopy order", "OMG^O19", _OMG, "ORC-9", False),
        _order("OMG-12", "内視鏡検査の実施通知", "Endoscopy done", "OMI^Z23", _OMI, "OBR-7", False),
        _order("OMG-03", "生理検査オーダ", "Physiology order", "OMG^O19", _OMG, "ORC-9", False),
        _order(
            "OMG-13", "生理検査結果通知", "Physiology results", "ORU^R01",
            "MSH PID {NTE} [PV1 [PV2]] {+[ORC] OBR {NTE} {TQ1} {OBX {NTE}}}", "OBR-7", True,
        ),
    )
}  # fmt: skip

# Required fields (R). The first table holds for every type that has the segment, the second for one type only.
REQUIRED: dict[str, tuple[int, ...]] = {
    "MSH": (1, 2, 7, 9, 10, 11, 12, 18),
    "EVN": (2,),
    "PID": (3, 5, 7, 8),
    "PV1": (2,),
    "DB1": (1, 2, 4),
    "AL1": (1, 3),
    "IN1": (1, 2),
    "IAM": (1, 3, 6),
    "PRB": (1, 2, 3, 4),
    "ZPR": (2,),
    "ODS": (1, 3),
    "RXE": (2, 3, 5),
    "RXR": (1,),
    "RXA": (1, 2, 3, 4, 5, 6),
    "RXC": (1, 2, 3, 4),
    "SPM": (4,),
    "ORC": (1, 2),
    "OBR": (2, 4),
    "OBX": (3, 11),
    "IPC": (1, 3, 5),
    "ZE1": (2, 3),
}
_OMG_ORDER: dict[str, tuple[int, ...]] = {"ORC": (9, 12), "TQ1": (1, 9)}
REQUIRED_OF_TYPE: dict[str, dict[str, tuple[int, ...]]] = {
    "ADT-42": {"EVN": (6,)},
    "OMP-01": {"ORC": (4,), "RXE": (10, 11)},
    "OMP-02": {"ORC": (4, 17, 29)},
    "OMP-11": {"ORC": (4,)},
    "OMP-12": {"ORC": (4, 17, 29)},
    "OMG-01": _OMG_ORDER,
    "OMG-02": _OMG_ORDER,
    "OMG-03": {"ORC": (9, 12, 17), "TQ1": (1, 9)},
    "OMG-11": _OMG_ORDER,
    "OMG-12": _OMG_ORDER,
}

# Fields that hold a number, a time, or no more than so many characters.
NUMERIC: dict[str, tuple[int, ...]] = {"RXE": (3, 10), "RXA": (1, 2, 6), "RXC": (3,)}
TIMES: dict[str, tuple[int, ...]] = {
    "MSH": (7,),
    "EVN": (2, 3, 6),
    "PID": (7, 33),
    "PV1": (44, 45),
    "PV2": (8, 9, 47),
    "ORC": (9, 15),
    "TQ1": (7, 8),
    "RXA": (3, 4, 22),
    "SPM": (17,),
    "OBR": (7, 8, 22),
    "OBX": (14,),
    "PRB": (2, 7, 9, 15, 16),
    "IAM": (11,),
    "IN1": (12, 13),
}
LONGEST: dict[str, tuple[tuple[int, int], ...]] = {
    "MSH": ((10, 20),),
    "PID": ((8, 1),),
    "PV1": ((2, 1),),
    "ORC": ((1, 2), (2, 22), (3, 22)),
    "OBX": ((11, 1),),
    "PRB": ((1, 2),),
    "IPC": ((3, 64),),
}


def _departments() -> frozenset[str]:
    """The two-character codes of the unified department table 0069 (1.2.392.200250.2.2.2)."""
    numbers = {f"{number:02d}" for number in (*range(1, 55), *range(70, 80), *range(80, 91), 98)}
    return frozenset(numbers | {f"7{letter}" for letter in "ABC"} | {f"8{letter}" for letter in "ABCDEFGHIJK"} | {"9Z"})


DEPARTMENTS = _departments()


def is_department(code: str) -> bool:
    """Whether a department is unknown (``-``) or in table 0069; three characters share the parent of the first two."""
    return code == "-" or (len(code) in (2, 3) and code[:2] in DEPARTMENTS)


def of_trigger(data_type: str, trigger: str) -> tuple[bool, bool]:
    """(whether the trigger belongs to the data type, whether it cancels there)."""
    row = DATA_TYPES.get(data_type)
    if row is None:
        return True, False
    return trigger in row.valid or trigger in row.cancel, trigger in row.cancel
