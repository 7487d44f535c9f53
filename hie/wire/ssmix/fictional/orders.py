"""What the fictional hospital orders, finds and gives. Codes have the shape of the real tables, no more."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Drug:
    """A drug by HOT9, its dose and unit (MERIT-9), how it is taken (JAMI standard usage, 16 digits)."""

    code: str
    name: str
    unit: str
    dose: str
    per_day: str
    usage: str
    usage_text: str
    days: int


@dataclass(frozen=True, slots=True)
class LabItem:
    """A laboratory item by JLAC10 with its unit, reference range and usual spread."""

    code: str
    name: str
    unit: str
    low: float
    high: float
    digits: int


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A diagnosis by the MEDIS exchange number and ICD-10."""

    code: str
    name: str
    icd10: str


@dataclass(frozen=True, slots=True)
class Allergy:
    """An allergy: HL70127 kind, agent, severity HL70128, reaction."""

    kind: str
    kind_text: str
    code: str
    agent: str
    system: str
    severity: str
    severity_text: str
    reaction: str


AFTER_MEALS = ("1013044400000000", "内服・経口・１日３回朝昼夕食後")
AFTER_BREAKFAST = ("1011000400000000", "内服・経口・１日１回朝食後")

DRUGS = (
    Drug("101234501", "模擬アムロジン錠５ｍｇ", "TAB^錠^MR9P", "1", "1", *AFTER_BREAKFAST, 28),
    Drug("101234602", "模擬ロキソニン錠６０ｍｇ", "TAB^錠^MR9P", "1", "3", *AFTER_MEALS, 7),
    Drug("101234703", "模擬メトホルミン錠２５０ｍｇ", "TAB^錠^MR9P", "2", "6", *AFTER_MEALS, 28),
    Drug("101234804", "模擬ファモチジン錠２０ｍｇ", "TAB^錠^MR9P", "1", "3", *AFTER_MEALS, 14),
    Drug("101234905", "模擬アトルバ錠１０ｍｇ", "TAB^錠^MR9P", "1", "1", *AFTER_BREAKFAST, 28),
)
INFUSIONS = (
    ("620099901", "模擬維持液５００ｍＬ", "HON^本^MR9P"),
    ("620099902", "模擬抗菌薬静注用１ｇ", "AMP^アンプル^MR9P"),
)
LAB_ITEMS = (
    LabItem("3A010000002327101", "総蛋白", "g/dL^g/dL^ISO+", 6.6, 8.1, 1),
    LabItem("3A015000002327101", "アルブミン", "g/dL^g/dL^ISO+", 4.1, 5.1, 1),
    LabItem("3B035000002327201", "ＡＳＴ", "U/L^U/L^ISO+", 13, 30, 0),
    LabItem("3B045000002327201", "ＡＬＴ", "U/L^U/L^ISO+", 7, 42, 0),
    LabItem("3C015000002327101", "クレアチニン", "mg/dL^mg/dL^ISO+", 0.46, 1.07, 2),
    LabItem("3D010000002327101", "血糖", "mg/dL^mg/dL^ISO+", 73, 109, 0),
    LabItem("3D046000001920402", "ＨｂＡ１ｃ", "%^%^ISO+", 4.9, 6.0, 1),
    LabItem("2A010000001930101", "白血球数", "10*3/uL^10*3/uL^ISO+", 3.3, 8.6, 1),
)
DIAGNOSES = (
    Diagnosis("20061593", "高血圧症", "I10"),
    Diagnosis("20069001", "２型糖尿病", "E119"),
    Diagnosis("20054174", "胃炎", "K297"),
    Diagnosis("20063210", "脂質異常症", "E785"),
    Diagnosis("20067715", "急性上気道炎", "J069"),
    Diagnosis("20058302", "変形性膝関節症", "M179"),
)
ALLERGIES = (
    Allergy("DA", "薬剤アレルギー", "101299901", "模擬ペニシリン", "HOT9", "MO", "中等度", "発疹"),
    Allergy("FA", "食物アレルギー", "5A1002411023006", "ソバ", "JC10", "MI", "軽度", "湿疹"),
    Allergy("LA", "花粉アレルギー", "5A1002216023023", "スギ", "JC10", "MI", "軽度", "目のかゆみ"),
)
