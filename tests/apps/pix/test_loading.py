"""A facility's whole list of patients: told once, told again, stopped and gone on with."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from accuracy.population import HARD, describe
from apps.atna.models import AuditRecord
from apps.pix import queries, services
from apps.pix.models import LocalIdentifier, NameKey, PatientLoad
from apps.pix.services import ahead, intake, loading, pairs
from apps.pix.services.loading import Progress, Remark
from bench.index import _line
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.patients import FeedEvent, PatientFeed
from hie.wire.patient_list import COLUMNS, read_line
from tests.apps.pix.test_feed_all import CODES, emptied, state
from tests.apps.pix.told import HOSPITAL, chart

pytestmark = pytest.mark.usefixtures("facilities")
__all__ = ["emptied"]

HEADING = "chart_number,family_name,given_name,family_name_kana,given_name_kana,birth_date,sex,telephone"
LIST = f"""{HEADING}
1,山田,健一,ヤマダ,ケンイチ,S16.5.3,男,
2,鈴木,花子,スズキ,ハナコ,19500101,F,03-1234-5678
3,too,few
4,佐藤,マイナンバー 123456789018,サトウ,ハナ,19500101,F,
5,高橋,一,タカハシ,ハジメ,19600101,M,
"""


@pytest.fixture
def hospital_list(tmp_path: Path) -> Path:
    path = tmp_path / "patients.csv"
    path.write_text(LIST, encoding="utf-8")
    return path


def test_a_list_is_loaded_and_a_bad_line_stops_nothing(hospital_list: Path) -> None:
    remarks: list[Remark] = []
    done = loading.load(hospital_list, HOSPITAL, remark=remarks.append)
    assert (done.done, done.total, done.entered, done.refused) == (5, 5, 3, 2)
    assert [(each.place, each.refused) for each in remarks] == [(3, True), (4, True)]
    assert not any("123456789018" in each.text or "too" in each.text for each in remarks)
    assert LocalIdentifier.objects.get(value="1").birth_date == "19410503"
    assert queries.regional_id_of(chart(HOSPITAL, "4")) is None
    record = AuditRecord.objects.get(event_id="110110")
    assert (record.facility_code, "3 new charts" in record.description) == (HOSPITAL, True)


def test_a_list_that_is_done_changes_nothing(hospital_list: Path) -> None:
    loading.load(hospital_list, HOSPITAL)
    audited = AuditRecord.objects.count()
    again = loading.load(hospital_list, HOSPITAL)
    assert (again.done, again.entered) == (5, 3)
    assert (LocalIdentifier.objects.count(), AuditRecord.objects.count()) == (3, audited)


def test_a_newer_list_updates(hospital_list: Path) -> None:
    loading.load(hospital_list, HOSPITAL)
    hospital_list.write_text(LIST.replace("1234-5678", "1234-9999"), encoding="utf-8")
    done = loading.load(hospital_list, HOSPITAL)
    assert (done.entered, done.updated, done.unchanged, done.refused) == (0, 1, 2, 2)
    assert LocalIdentifier.objects.get(value="2").telephones == ["03-1234-9999"]


def test_a_list_in_the_shift_jis_of_windows(hospital_list: Path) -> None:
    hospital_list.write_text(f"{HEADING}\n1,髙橋,健一,,,19410503,M,\n", encoding="cp932")
    loading.load(hospital_list, HOSPITAL)
    assert LocalIdentifier.objects.get().ideographic_family == "髙橋"


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n"])
def test_a_list_that_cannot_be_read(hospital_list: Path, content: str) -> None:
    hospital_list.write_text(content, encoding="utf-8")
    with pytest.raises(CommandError):
        call_command("load_patients", HOSPITAL, hospital_list, "--processes", "0")


def test_an_unknown_facility(hospital_list: Path) -> None:
    with pytest.raises(CommandError):
        call_command("load_patients", "9999999999", hospital_list)


def test_a_folder_of_messages(tmp_path: Path) -> None:
    pid = "PID|1||{}||山田^太郎^^^^^L^I||19500101|M"
    for number in (1, 2):
        (tmp_path / f"{number}.hl7").write_text(
            "\r".join(
                line
                for each in (number, number + 10)
                for line in (
                    f"MSH|^~\\&|EHR|{HOSPITAL}|HIE|HIE|20260401||ADT^A28^ADT_A05|M{each}|P|2.5||||||UNICODE UTF-8",
                    "EVN||20260401",
                    pid.format(each),
                    "PV1|1|N",
                )
            ),
            encoding="utf-8",
        )
    (tmp_path / "3.hl7").write_text("no message", encoding="utf-8")
    remarks: list[Remark] = []
    done = loading.load(tmp_path, HOSPITAL, remark=remarks.append)
    assert (done.total, done.refused, [each.place for each in remarks if each.refused]) == (5, 1, [5])
    assert sorted(LocalIdentifier.objects.values_list("value", flat=True)) == ["1", "11", "12", "2"]


class StoppedError(Exception):
    """The power goes."""


def test_what_was_stopped_goes_on_and_nothing_is_done_twice(
    tmp_path: Path, emptied: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same end as single feeds leave, however often the load is stopped and however large its portions are."""
    lists = _lists(tmp_path)
    for code, path in lists.items():
        for line in path.read_text(encoding="utf-8").splitlines()[1:]:
            told = read_line(line.split(","), tuple(COLUMNS), str)
            own = Identifier(told.identifiers[0].value, AssigningAuthority(f"1.2.392.100495.20.3.51.1{code}"))
            services.feed(PatientFeed(FeedEvent.REGISTER, "list", "", (own,), told.demographics), code)
    expected = state()
    emptied()
    monkeypatch.setattr(loading, "PORTION", 7)

    def stop(progress: Progress) -> None:
        if progress.done % 3 == 0:
            raise StoppedError

    for code, path in lists.items():
        for _ in range(30):
            try:
                loading.load(path, code, progress=stop)
                break
            except StoppedError:
                continue
    found = state()
    for part, listed in expected.items():
        assert found[part] == listed, part
    assert len(expected["cases"]) > 0
    assert PatientLoad.objects.filter(finished_at=None).count() == 0


def _lists(directory: Path) -> dict[str, Path]:
    lines: dict[str, list[str]] = {code: [",".join(COLUMNS) + "\n"] for code in CODES}
    for number, (_, facility, told) in enumerate(describe(80, 9, HARD)):
        lines[CODES[facility]].append(_line(str(number), told))
    for code, each in lines.items():
        (directory / f"{code}.csv").write_text("".join(each), encoding="utf-8")
    return {code: directory / f"{code}.csv" for code in CODES}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("processes", [1, 2])
def test_processes_that_work_ahead_leave_what_one_process_leaves(
    tmp_path: Path, emptied: Callable[[], None], monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    """Portions of several slices, on PostgreSQL compared by other processes; a list again with something changed."""
    monkeypatch.setattr(loading, "PORTION", 30)
    monkeypatch.setattr(ahead, "SLICE", 8)
    lists = _lists(tmp_path)
    ends = []
    for number in (0, processes):
        for code, path in lists.items():
            loading.load(path, code, processes=number)
        code, path = next(iter(lists.items()))
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        moved = lines[0] + "".join(_with_other_telephone(line, at) for at, line in enumerate(lines[1:]))
        (tmp_path / "again.csv").write_text(moved + "99999" + lines[3][lines[3].index(",") :], encoding="utf-8")
        again = loading.load(tmp_path / "again.csv", code, processes=number)
        assert again.entered == 1
        assert again.updated > 0
        assert again.unchanged > 0
        ends.append(state())
        emptied()
        PatientLoad.objects.all().delete()
    for part, listed in ends[0].items():
        assert ends[1][part] == listed, part
    assert len(ends[0]["cases"]) > 0


def _with_other_telephone(line: str, place: int) -> str:
    fields = line.rstrip("\n").split(",")
    if place % 5 == 0:
        fields[tuple(COLUMNS).index("telephone")] = f"03-1111-{place:04}"
    return ",".join(fields) + "\n"


@pytest.mark.django_db(transaction=True)
def test_signs_that_mean_something_to_copy_are_loaded_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "patients.csv"
    path.write_text(f'{HEADING}\n1,山\\田,"健\t一\n\\N",,,19500101,M,\n', encoding="utf-8")
    loading.load(path, HOSPITAL, processes=1)
    row = LocalIdentifier.objects.get()
    assert (row.ideographic_family, row.ideographic_given) == ("山\\田", "健\t一\n\\N")
    assert "\\" in NameKey.objects.get(record=row).whole


@pytest.mark.django_db(transaction=True)
def test_a_key_that_many_charts_have_is_decided_by_the_process_that_writes(
    tmp_path: Path, emptied: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is too much for a block is known only to who sees all charts with the key, those not committed too."""
    monkeypatch.setattr(loading, "PORTION", 60)
    monkeypatch.setattr(ahead, "SLICE", 20)
    for module in (import_module("apps.pix.matching.candidates"), intake, ahead):
        monkeypatch.setattr(module, "LARGEST_BLOCK", 20)
    for module in (intake, ahead):
        monkeypatch.setattr(module, "FEW", 10)
    monkeypatch.setattr(pairs, "_ROWS_A_KEY", 1)  # so that blocks are read one by one where they are many rows
    path = tmp_path / "patients.csv"
    lines = [f"{number},山田,健{number % 40},,,19500101,M,03-1234-5678\n" for number in range(90)]
    path.write_text(HEADING + "\n" + "".join(lines), encoding="utf-8")
    ends = []
    for processes in (0, 1):
        loading.load(path, HOSPITAL, processes=processes)
        ends.append(state())
        emptied()
        PatientLoad.objects.all().delete()
    for part, listed in ends[0].items():
        assert ends[1][part] == listed, part


@pytest.mark.django_db(transaction=True)
def test_processes_that_prepare_change_nothing(hospital_list: Path) -> None:
    done = loading.load(hospital_list, HOSPITAL, processes=2)
    assert (done.entered, done.refused) == (3, 2)
