"""A small storage of our own, written file by file into a temporary folder: what a hospital's system does."""

from __future__ import annotations

import os
import time
from pathlib import Path

OLD = time.time() - 3600


def message(patient: str, trigger: str = "RDE^O11^RDE_O11", order: str = "000000000000101", *, more: str = "") -> bytes:
    """A message of one patient; more: text that makes it different from another one."""
    segments = {
        "ADT^A08^ADT_A01": ["EVN||20240501090000", "{pid}", "PV1|0001|O|01^^^^^C"],
        "ADT^A01^ADT_A01": ["EVN||20240501090000", "{pid}", "PV1|0001|I" + "|" * 42 + "20240501100000"],
        "ADT^A11^ADT_A09": ["EVN||20240501090000", "{pid}", "PV1|0001|I" + "|" * 42 + "20240501100000"],
        "RDE^O11^RDE_O11": [
            "{pid}",
            "PV1|0001|O",
            f"ORC|NW|{order}||{order}_01_001|||||20240501101500|||D001^医師^一郎",
            f"RXE||103835401^試験薬{more}^HOT9|2||TAB^錠^MR9P|||||42|TAB^錠^MR9P",
            "RXR|PO^口^HL70162",
        ],
    }[trigger]
    header = f"MSH|^~\\&|HIS|1319999999|GW|1319999999|20240501101500||{trigger}|M1|P|2.5||||||~ISO IR87||ISO 2022-1994"
    pid = f"PID|0001||{patient}^^^^PI||架空^花子{patient}^^^^^L^I~カクウ^ハナコ^^^^^L^P||19800401|F"
    text = "\r".join([header, *segments]) + "\r"
    return text.replace("{pid}", pid).encode("iso2022_jp")


class Storage:
    """A standard storage under a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def folder(self, patient: str, date: str, data_type: str) -> Path:
        return self.path / patient[:3] / patient[3:6] / patient / date / data_type

    def write(
        self,
        patient: str,
        data_type: str = "OMP-01",
        *,
        date: str = "20240501",
        order: str = "000000000000101",
        time_: str = "20240501101500100",
        flag: str = "1",
        department: str = "01",
        raw: bytes | None = None,
        trigger: str = "RDE^O11^RDE_O11",
    ) -> Path:
        """Write one file, an hour old."""
        folder = self.folder(patient, date, data_type)
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{patient}_{date}_{data_type}_{order}_{time_}_{department}_{flag}"
        file.write_bytes(message(patient, trigger, order, more=time_[-5:]) if raw is None else raw)
        os.utime(file, (OLD, OLD))
        return file

    def demographics(self, patient: str, *, time_: str = "20240501090000123", flag: str = "1") -> Path:
        return self.write(
            patient,
            "ADT-00",
            date="-",
            order="9" * 15,
            time_=time_,
            flag=flag,
            department="-",
            trigger="ADT^A08^ADT_A01",
        )


def flagged(file: Path, flag: str) -> Path:
    """Rename a file to another flag, as a hospital does."""
    return file.rename(file.with_name(file.name[:-1] + flag))
