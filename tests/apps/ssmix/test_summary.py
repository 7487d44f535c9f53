"""The patient summary: what is in it for whom, whom it is offered, and what a broken file does to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from lxml import etree

from apps.atna.models import AuditRecord
from apps.network.queries import Facility, facility
from apps.network.services import add_facility
from apps.pix.models import persons_joined, records_moved
from apps.pix.queries import regional_id_of
from apps.ssmix.management.commands.make_storage import write_files
from apps.ssmix.models import StorageRoot, StoredFile
from apps.ssmix.services import add_storage, renew_all, scan, summary
from apps.ssmix.services.registering import patient_of
from apps.xds import models
from apps.xds.models import ObjectType, Status
from apps.xds.services import remove_objects, retrieve
from apps.xds.services import snapshots as keeping
from apps.xds.services.removing import withdraw_snapshots
from apps.xds.stored_queries import answer
from hie.values.access import Access, Node, Permit, Rule
from hie.values.documents import (
    APPROVED,
    DEPRECATED,
    IS_SNAPSHOT_OF,
    ON_DEMAND,
    Association,
    DocumentEntry,
    DocumentRequest,
    RemoveObjects,
    RetrieveRequest,
    Submission,
    SubmissionSet,
)
from hie.values.identifiers import Identifier
from hie.wire.ebxml.fragments import read_fragment
from hie.wire.ebxml.validation import ON_DEMAND_REGISTRATION, validate
from hie.wire.ssmix.fictional.messages import Place
from hie.wire.ssmix.fictional.people import make_people
from hie.wire.ssmix.fictional.storage import make_storage
from tests.apps.ssmix.storage import Storage
from tests.apps.xds.samples import find, known_patient, permit, query

pytestmark = pytest.mark.django_db
HOSPITAL, CLINIC = Place("1319999015", "模擬中央病院"), Place("1319999023", "架空内科クリニック")
READER = "1310000009"
TODAY = date(2026, 4, 1)
V3 = {"v": "urn:hl7-org:v3"}


@pytest.fixture(autouse=True)
def _offered(settings: Any, tmp_path: Path) -> None:
    settings.SUMMARY, settings.SUMMARY_SNAPSHOTS = True, True
    settings.DOCUMENT_STORE = str(tmp_path / "documents")


@pytest.fixture
def storages(db: None, tmp_path: Path) -> dict[str, StorageRoot]:
    """A hospital and a clinic who both know the same two persons, scanned."""
    people = make_people(2, 7, TODAY)
    roots = {}
    for place in (HOSPITAL, CLINIC):
        add_facility(code=place.facility_code, name=place.name, kind="hospital")
        root = tmp_path / place.facility_code
        charts = [(person, f"{number:010d}") for number, person in enumerate(people, 1)]
        write_files(root, make_storage(place, charts, 7, TODAY, years=3))
        roots[place.facility_code] = add_storage(facility_code=place.facility_code, path=str(root), quiet_seconds=0)
        scan(roots[place.facility_code])
    return roots


@pytest.fixture
def patient(storages: dict[str, StorageRoot]) -> str:
    """The regional id of the person whom both know."""
    regional_id = regional_id_of(Identifier("0000000001", _facility(HOSPITAL).authority))
    assert regional_id == regional_id_of(Identifier("0000000001", _facility(CLINIC).authority))
    assert regional_id
    return regional_id


def _facility(place: Place) -> Facility:
    found = facility(place.facility_code)
    assert found is not None
    return found


def only(*facilities: str, **changes: Any) -> dict[str, Any]:
    """What a permit says where nothing is open but this."""
    return {"rules": (Rule(permits=True, facilities=frozenset(facilities), **changes),), "default": False}


def asked_of(patient: str) -> RetrieveRequest:
    row = offered(patient)
    return RetrieveRequest((DocumentRequest(row.repository_unique_id, row.unique_id),))


def offered(patient: str) -> models.DocumentEntry:
    return models.DocumentEntry.objects.get(
        patient_id=patient, object_type=ObjectType.ON_DEMAND, status=Status.APPROVED
    )


def snapshots() -> Any:
    return models.DocumentEntry.objects.filter(object_type=ObjectType.STABLE, facility_code="")


def reading(patient: str, **changes: Any) -> Permit:
    return permit(patient, access=Access.RETRIEVE, **changes)


def read(patient: str, **changes: Any) -> etree._Element:
    (document,) = retrieve(asked_of(patient), reading(patient, **changes)).documents
    return etree.fromstring(document.path.read_bytes())


def texts(document: etree._Element) -> str:
    return "\n".join(document.itertext())


def rows_of(document: etree._Element, code: str) -> list[str]:
    """The rows of a section, each as one text."""
    rows = document.xpath(f"//v:section[v:code/@code='{code}']//v:tbody/v:tr", namespaces=V3)
    return [" ".join(row.itertext()) for row in rows]


def test_it_is_made_of_every_facility_that_the_reader_may_see(patient: str) -> None:
    document = read(patient)
    for code in ("11450-4", "46240-8"):
        facilities = {name for name in (HOSPITAL.name, CLINIC.name) if any(name in r for r in rows_of(document, code))}
        assert facilities == {HOSPITAL.name, CLINIC.name}, code
    person = make_people(2, 7, TODAY)[0]
    (born,) = document.xpath("//v:patient/v:birthTime/@value", namespaces=V3)
    assert born == f"{person.born:%Y%m%d}"
    sources = document.xpath("//v:externalDocument/v:id/@root", namespaces=V3)
    assert set(sources) <= set(
        models.DocumentEntry.objects.filter(patient_id=patient).values_list("unique_id", flat=True)
    )
    assert document.xpath("//v:patientRole/v:id/@extension", namespaces=V3) == [patient]
    assert "0000000001" not in texts(document), "no chart number leaves with a summary"


def test_what_is_withheld_leaves_no_trace(patient: str) -> None:
    document = read(patient, **only(HOSPITAL.facility_code))
    raw = etree.tostring(document, encoding="unicode")
    assert HOSPITAL.name in raw
    assert CLINIC.name not in raw
    assert CLINIC.facility_code not in raw


def test_kinds_and_periods_that_are_withheld_are_absent(patient: str) -> None:
    everything = read(patient)
    assert rows_of(everything, "11450-4")
    no_problems = read(patient, rules=(Rule(permits=False, kinds=frozenset({"11450-4"})),))
    assert rows_of(no_problems, "11450-4") == []
    assert rows_of(no_problems, "46240-8") == rows_of(everything, "46240-8")
    days = sorted(set(StoredFile.objects.filter(data_type="ADT-12").values_list("care_date", flat=True)))
    shown = [f"{each[:4]}/{each[4:6]}/{each[6:]}" for each in days]
    seen = [each for each in shown if any(each in row for row in rows_of(everything, "46240-8"))]
    assert len(seen) > 1
    late = "\n".join(
        rows_of(read(patient, rules=(Rule(permits=False, last_date=seen[0].replace("/", "")),)), "46240-8")
    )
    assert seen[0] not in late
    assert seen[-1] in late


def test_in_an_emergency_everything_but_what_is_held_even_then(patient: str) -> None:
    closed = (Rule(permits=False, facilities=frozenset({CLINIC.facility_code}), in_emergency=True),)
    allowed = reading(patient, rules=closed, default=False)
    decision = allowed.of(patient)
    emergency = replace(allowed, decisions={patient: replace(decision, emergency=True)})
    (document,) = retrieve(asked_of(patient), emergency).documents
    raw = document.path.read_text(encoding="utf-8")
    assert HOSPITAL.name in raw
    assert CLINIC.name not in raw


def test_who_may_see_nothing_gets_nothing(patient: str) -> None:
    for allowed in (
        reading(patient, default=False),
        reading(patient, rules=(Rule(permits=False),)),
        reading(patient, rules=(Rule(permits=False, kinds=frozenset({"60591-5"})),)),
        reading(patient, **only("1310000077")),
    ):
        result = retrieve(asked_of(patient), allowed)
        assert result.documents == ()
        assert len(result.findings) == 1
        assert answer(find(patient, Type=ON_DEMAND), allowed).object_refs == ()
    assert answer(find(patient, Type=ON_DEMAND), reading(patient)).object_refs == (offered(patient).entry_uuid,)
    some = reading(patient, **only(HOSPITAL.facility_code))
    assert answer(find(patient, Type=ON_DEMAND), some).object_refs == (offered(patient).entry_uuid,)


def test_a_section_says_where_it_ends(patient: str, monkeypatch: Any) -> None:
    monkeypatch.setitem(summary.LIMITS, "encounters", 1)
    document = read(patient)
    assert len(rows_of(document, "46240-8")) == 1
    (section,) = document.xpath("//v:section[v:code/@code='46240-8']", namespaces=V3)
    assert "最大1件" in texts(section)
    assert "これより古い文書があり" in texts(section)


def test_a_broken_file_is_named_and_left_out(patient: str, storages: dict[str, StorageRoot]) -> None:
    place = Path(storages[HOSPITAL.facility_code].path)
    (list_of_problems,) = place.glob("000/000/0000000001/-/PPR-01/*_1")
    list_of_problems.write_bytes(list_of_problems.read_bytes()[:40] + b"\x1b$B\xff\xff")
    (demographics,) = place.glob("000/000/0000000001/-/ADT-00/*_1")
    demographics.unlink()
    document = read(patient)
    assert all(HOSPITAL.name not in row for row in rows_of(document, "11450-4"))
    assert rows_of(document, "46240-8")
    (about,) = document.xpath("//v:section[v:title='この文書について']", namespaces=V3)
    left_out = [" ".join(row.itertext()) for row in about.iterfind(".//v:tbody/v:tr", V3)]
    assert len(left_out) == 2
    assert all(HOSPITAL.name in row for row in left_out)
    hidden = read(patient, **only(CLINIC.facility_code))
    assert HOSPITAL.name not in texts(hidden), "what is broken at a facility that is withheld is not told either"


def test_a_message_that_nobody_can_understand_is_left_out(patient: str, monkeypatch: Any, caplog: Any) -> None:
    def fail(data_type: str, *arguments: Any) -> list[Any]:
        raise ValueError("山田太郎")

    monkeypatch.setattr(summary, "read_statements", fail)
    document = read(patient)
    assert rows_of(document, "46240-8") == []
    assert "読み取れなかった" in texts(document)
    assert "山田" not in caplog.text


def test_a_facility_without_an_allergy_list_is_read_from_its_demographics(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "STD01")
    add_facility(code="1319999998", name="架空病院", kind="hospital")
    root = add_storage(facility_code="1319999998", path=str(storage.path), quiet_seconds=0)
    storage.write("0000000031")
    file = storage.demographics("0000000031")
    file.write_bytes(file.read_bytes() + "AL1|1|DA^薬剤アレルギー^HL70127|1^ペニシリン^99XYZ\r".encode("iso2022_jp"))
    scan(root)
    regional_id = regional_id_of(patient_of(_facility(Place("1319999998", "")), "0000000031"))
    assert regional_id
    (row,) = rows_of(read(regional_id), "48765-2")
    assert "ペニシリン" in row
    assert "架空病院" in row


# Snapshots ----------------------------------------------------------------------------------------------------------


def test_the_same_content_is_kept_once(patient: str) -> None:
    (first,) = retrieve(asked_of(patient), reading(patient)).documents
    (second,) = retrieve(asked_of(patient), reading(patient)).documents
    assert first.new_document_unique_id == second.new_document_unique_id
    assert first.new_repository_unique_id == asked_of(patient).documents[0].repository_unique_id
    assert first.path.read_bytes() == second.path.read_bytes()
    assert f'<id root="{first.new_document_unique_id}"/>'.encode() in first.path.read_bytes()
    kept = snapshots().get()
    assert (kept.unique_id, kept.size) == (first.new_document_unique_id, first.size)
    (record,) = AuditRecord.objects.filter(event_id="110107", facility_code=READER)
    assert record.patient_regional_id == patient
    assert models.Content.objects.filter(locator__startswith="blob:").count() == 1


def test_a_snapshot_is_found_by_whom_all_its_sources_are_open_to(patient: str) -> None:
    wide, narrow = reading(patient), reading(patient, **only(HOSPITAL.facility_code))
    (of_all,) = retrieve(asked_of(patient), wide).documents
    (of_one,) = retrieve(asked_of(patient), narrow).documents
    assert of_all.new_document_unique_id != of_one.new_document_unique_id

    def kept(allowed: Permit) -> set[str]:
        asked = [
            DocumentRequest(of_all.new_repository_unique_id, each.new_document_unique_id) for each in (of_all, of_one)
        ]
        return {each.request.document_unique_id for each in retrieve(RetrieveRequest(tuple(asked)), allowed).documents}

    def found(allowed: Permit) -> set[str]:
        uuids = answer(find(patient, status=[APPROVED, DEPRECATED]), allowed).object_refs
        return set(snapshots().filter(entry_uuid__in=uuids).values_list("unique_id", flat=True))

    both = {of_all.new_document_unique_id, of_one.new_document_unique_id}
    for look in (kept, found):
        assert look(wide) == both
        assert look(narrow) == {of_one.new_document_unique_id}
        assert look(reading(patient, **only(CLINIC.facility_code))) == set()
        assert look(reading(patient, default=False)) == set()
        assert look(reading(patient, rules=(Rule(permits=False, kinds=frozenset({"11450-4"})),))) == set()
    names = [each.entry_uuid for each in snapshots()]
    related = answer(
        query(
            GET_RELATED,
            XDSDocumentEntryEntryUUID=offered(patient).entry_uuid,
            AssociationTypes=IS_SNAPSHOT_OF,
            leaf_class=False,
        ),
        narrow,
    ).object_refs
    hidden = snapshots().get(unique_id=of_all.new_document_unique_id).entry_uuid
    assert set(names) & set(related) == {snapshots().get(unique_id=of_one.new_document_unique_id).entry_uuid}
    assert hidden not in related
    sets = answer(query(GET_ALL_SETS, uuid=names, leaf_class=False), narrow).object_refs
    assert len(sets) == 2, "the set of the snapshot that may be seen, and its membership"


GET_RELATED = "urn:uuid:d90e5407-b356-4d91-a89f-873917b4b0e6"
GET_ALL_SETS = "urn:uuid:51224314-5390-4169-9b91-b1980040715a"


def test_what_is_no_facilitys_latest_is_deprecated(patient: str, storages: dict[str, StorageRoot]) -> None:
    def state() -> dict[str, int]:
        return dict(snapshots().values_list("unique_id", "status"))

    other = reading(patient)
    other = replace(other, caller=replace(other.caller, node=Node("pharmacy", "1349999035")))
    (first,) = retrieve(asked_of(patient), reading(patient)).documents
    (same,) = retrieve(asked_of(patient), other).documents
    assert first.new_document_unique_id == same.new_document_unique_id
    problems = next(Path(storages[HOSPITAL.facility_code].path).glob("000/000/0000000001/-/PPR-01/*_1"))
    problems.rename(problems.with_name(problems.name[:-1] + "0"))
    scan(StorageRoot.objects.get(pk=storages[HOSPITAL.facility_code].pk), full=True)
    (second,) = retrieve(asked_of(patient), reading(patient)).documents
    old, new = first.new_document_unique_id, second.new_document_unique_id
    assert state() == {old: Status.APPROVED, new: Status.APPROVED}, "the other one has not seen the new one yet"
    retrieve(asked_of(patient), other)
    assert state() == {old: Status.DEPRECATED, new: Status.APPROVED}
    problems.with_name(problems.name[:-1] + "0").rename(problems)
    scan(StorageRoot.objects.get(pk=storages[HOSPITAL.facility_code].pk), full=True)
    (again,) = retrieve(asked_of(patient), reading(patient)).documents
    assert state()[again.new_document_unique_id] == Status.APPROVED


def test_what_is_described_anew_or_removed_takes_its_snapshots_along(
    patient: str, django_capture_on_commit_callbacks: Any
) -> None:
    read(patient)
    blob = models.Content.objects.get(locator__startswith="blob:")
    source = models.DocumentEntry.objects.filter(patient_id=patient, facility_code=HOSPITAL.facility_code).first()
    assert source is not None
    with django_capture_on_commit_callbacks(execute=True):
        withdraw_snapshots(patient, ["urn:uuid:00000000-0000-0000-0000-000000000000"])
    assert snapshots().count() == 1
    member = models.Association.objects.get(target_uuid=source.entry_uuid)
    with django_capture_on_commit_callbacks(execute=True):
        members = models.Association.objects.filter(source_uuid=member.source_uuid)
        uuids = [member.source_uuid]
        for each in members:
            uuids += [each.entry_uuid, each.target_uuid]
        touching = models.Association.objects.filter(source_uuid__in=uuids).exclude(source_uuid=member.source_uuid)
        uuids += touching.values_list("entry_uuid", flat=True)
        remove_objects(RemoveObjects(tuple(dict.fromkeys(uuids))), facility_code=HOSPITAL.facility_code)
    assert not snapshots().exists()
    assert not models.Content.objects.filter(pk=blob.pk).exists()
    assert not models.Association.objects.filter(association_type=IS_SNAPSHOT_OF).exists()
    read(patient)
    assert snapshots().count() == 1


def test_it_is_registered_whole_or_not_at_all(patient: str, monkeypatch: Any) -> None:
    before = models.DocumentEntry.objects.count(), models.SubmissionSet.objects.count(), AuditRecord.objects.count()

    def fail(*arguments: Any, **more: Any) -> None:
        raise RuntimeError("the power is gone")

    for place in ("record_own_work", "write_sources", "_hand_out"):
        with monkeypatch.context() as broken:
            broken.setattr(keeping, place, fail)
            with pytest.raises(RuntimeError):
                retrieve(asked_of(patient), reading(patient))
        after = models.DocumentEntry.objects.count(), models.SubmissionSet.objects.count(), AuditRecord.objects.count()
        assert after == before
    assert read(patient) is not None


def test_a_repository_that_cannot_take_it_says_so(patient: str, settings: Any) -> None:
    settings.DOCUMENT_SCANNER = f"{__name__}.refuse"
    result = retrieve(asked_of(patient), reading(patient))
    assert result.documents == ()
    assert [each.location for each in result.findings] == [asked_of(patient).documents[0].document_unique_id]
    assert not snapshots().exists()


def refuse(path: Path) -> bool:
    return False


def test_without_snapshots_nothing_is_kept(patient: str, settings: Any) -> None:
    settings.SUMMARY_SNAPSHOTS = False
    (first,) = retrieve(asked_of(patient), reading(patient)).documents
    (second,) = retrieve(asked_of(patient), reading(patient)).documents
    assert first.new_document_unique_id != second.new_document_unique_id
    assert first.new_repository_unique_id == ""
    assert not snapshots().exists()


# Offers -------------------------------------------------------------------------------------------------------------


def test_everybody_with_records_has_one_offer(patient: str, storages: dict[str, StorageRoot]) -> None:
    rows = models.DocumentEntry.objects.filter(object_type=ObjectType.ON_DEMAND)
    patients = set(models.DocumentEntry.objects.values_list("patient_id", flat=True))
    assert sorted(rows.values_list("patient_id", flat=True)) == sorted(patients)
    assert offered(patient).sources.split("\n") == [HOSPITAL.facility_code, CLINIC.facility_code]
    entry = read_fragment(bytes(offered(patient).fragment))
    assert isinstance(entry, DocumentEntry)
    assert entry.hash == ""
    assert entry.creation_time == ""
    for root in storages.values():
        scan(root, full=True)
    assert rows.count() == len(patients)


def test_what_is_offered_is_a_registration_that_the_registry_itself_would_take(patient: str) -> None:
    def of(entry_uuid: str) -> Submission:
        members = models.Association.objects.filter(target_uuid=entry_uuid) | models.Association.objects.filter(
            source_uuid=entry_uuid
        )
        rows = [*members, models.DocumentEntry.objects.get(entry_uuid=entry_uuid)]
        rows += models.SubmissionSet.objects.filter(entry_uuid__in=[each.source_uuid for each in members])
        objects = [read_fragment(bytes(row.fragment)) for row in rows]
        return Submission(
            submission_sets=tuple(each for each in objects if isinstance(each, SubmissionSet)),
            document_entries=tuple(each for each in objects if isinstance(each, DocumentEntry)),
            associations=tuple(each for each in objects if isinstance(each, Association)),
        )

    assert list(validate(of(offered(patient).entry_uuid), wanted=ON_DEMAND_REGISTRATION)) == []
    read(patient)
    assert list(validate(of(snapshots().get().entry_uuid))) == []


def test_an_offer_ends_with_the_last_document_and_comes_back(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "STD01")
    add_facility(code="1319999998", name="架空病院", kind="hospital")
    root = add_storage(facility_code="1319999998", path=str(storage.path), quiet_seconds=0)
    storage.demographics("0000000031")
    scan(root)
    rows = models.DocumentEntry.objects.filter(object_type=ObjectType.ON_DEMAND)
    assert not rows.exists(), "nobody needs a summary of nothing"
    file = storage.write("0000000031")
    scan(StorageRoot.objects.get(pk=root.pk))
    (first,) = rows
    gone = file.rename(file.with_name(file.name[:-1] + "0"))
    scan(StorageRoot.objects.get(pk=root.pk), full=True)
    first.refresh_from_db()
    assert first.status == Status.DEPRECATED
    assert DEPRECATED.encode() in bytes(first.fragment)
    gone.unlink()
    storage.write("0000000031", order="000000000000102")
    scan(StorageRoot.objects.get(pk=root.pk), full=True)
    assert rows.filter(status=Status.APPROVED).count() == 1
    assert rows.all().count() == 2


def test_two_persons_who_are_one_have_one_offer(patient: str) -> None:
    other = next(
        each for each in models.DocumentEntry.objects.values_list("patient_id", flat=True).distinct() if each != patient
    )
    persons_joined.send(sender=None, subsumed=other, surviving=patient)
    rows = models.DocumentEntry.objects.filter(object_type=ObjectType.ON_DEMAND)
    assert set(rows.values_list("patient_id", flat=True)) == {patient}
    assert sorted(rows.values_list("status", flat=True)) == [Status.APPROVED, Status.DEPRECATED]
    assert offered(patient).sources.split("\n") == [HOSPITAL.facility_code, CLINIC.facility_code]


def test_charts_that_move_take_their_part_with_them(patient: str) -> None:
    read(patient)
    mine = read(patient, **only(HOSPITAL.facility_code))
    assert HOSPITAL.name in texts(mine)
    assert snapshots().count() == 2
    current = known_patient()
    chart = Identifier("0000000001", _facility(CLINIC).authority)
    records_moved.send(sender=None, identifiers=(chart,), previous=patient, current=current)
    assert offered(patient).sources == HOSPITAL.facility_code
    assert offered(current).sources == CLINIC.facility_code
    (left,) = snapshots()
    assert CLINIC.facility_code not in left.sources, "what was made of both persons' records is nobody's"


def test_the_offer_follows_the_switch(patient: str, settings: Any) -> None:
    settings.SUMMARY = False
    assert retrieve(asked_of(patient), reading(patient)).documents == ()
    assert renew_all() == models.DocumentEntry.objects.filter(object_type=ObjectType.ON_DEMAND).count()
    assert not models.DocumentEntry.objects.filter(object_type=ObjectType.ON_DEMAND, status=Status.APPROVED).exists()
    settings.SUMMARY = True
    assert renew_all() > 0
    assert renew_all() == 0
    assert offered(patient).sources.split("\n") == [HOSPITAL.facility_code, CLINIC.facility_code]


def test_a_scan_asks_once_for_all_offers_of_a_batch(tmp_path: Path, settings: Any) -> None:
    """However many persons a batch has: what there is is asked once, and what is new is stored together."""
    asked = []
    for number in (1, 12):
        storage = Storage(tmp_path / f"STD{number}")
        code = f"13199999{number:02d}"
        add_facility(code=code, name="架空病院", kind="hospital")
        root = add_storage(facility_code=code, path=str(storage.path), quiet_seconds=0)
        for patient_number in range(number):
            chart = f"{number:02d}{patient_number:08d}"
            storage.demographics(chart)
            storage.write(chart)
        with CaptureQueriesContext(connection) as captured:
            scan(root)
        asked.append([each["sql"] for each in captured if "xds_" in each["sql"] and "SET" not in each["sql"]])
    assert len(asked[0]) == len(asked[1])
