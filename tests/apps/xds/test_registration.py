"""ITI-42: what is stored of a submission, and what refuses it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from apps.xds import models
from apps.xds.models import Status
from apps.xds.repository import repositories_here
from apps.xds.services import register
from apps.xds.stored_queries import answer
from hie.values.codes import Code
from hie.values.documents import (
    APND,
    DEPRECATED,
    IS_SNAPSHOT_OF,
    RPLC,
    XFRM,
    XFRM_RPLC,
    Association,
    DocumentEntry,
    Folder,
    Submission,
)
from hie.values.errors import ExchangeError, Finding, Reason
from hie.values.identifiers import new_uuid_urn
from hie.wire.ebxml.fragments import read_fragment
from tests.apps.xds.samples import (
    FACILITY,
    OTHER_FACILITY,
    cx,
    entry,
    find,
    folder,
    known_patient,
    member,
    new_oid,
    permit,
    relation,
    submission,
    submission_set,
)

pytestmark = pytest.mark.django_db


def registered(patient: str, **changes: Any) -> models.DocumentEntry:
    each = entry(patient, **changes)
    register(submission(patient, each), facility_code=FACILITY)
    return models.DocumentEntry.objects.get(unique_id=each.unique_id)


def refused(each: Submission, facility_code: str = FACILITY) -> set[Reason]:
    before = _count()
    with pytest.raises(ExchangeError) as refusal:
        register(each, facility_code=facility_code)
    assert _count() == before
    return {finding.reason for finding in refusal.value.findings}


def _count() -> list[int]:
    tables = (models.DocumentEntry, models.SubmissionSet, models.Folder, models.Association, models.EventCode)
    return [table._default_manager.count() for table in tables]


def test_what_was_submitted_stands_in_columns_and_fragment(patient: str) -> None:
    row = registered(patient, service_start_time="2026033120", title="所見")
    assert (row.patient_id, row.facility_code, row.status, row.version) == (patient, FACILITY, Status.APPROVED, 1)
    assert row.class_code == "11502-2^^2.16.840.1.113883.6.1"
    assert row.service_start_time == "20260331200000"
    assert row.care_date == "20260401", "the day of care is a day in Japan"
    kept = read_fragment(bytes(row.fragment))
    assert isinstance(kept, DocumentEntry)
    assert (kept.title, kept.entry_uuid, kept.logical_id) == ("所見", row.entry_uuid, row.entry_uuid)


def test_symbolic_ids_become_uuids_everywhere(patient: str) -> None:
    register(submission(patient, entry(patient, entry_uuid="d1")), facility_code=FACILITY)
    its_set, document = models.SubmissionSet.objects.get(), models.DocumentEntry.objects.get()
    association = models.Association.objects.get()
    assert document.entry_uuid.startswith("urn:uuid:")
    assert (association.source_uuid, association.target_uuid) == (its_set.entry_uuid, document.entry_uuid)
    kept = read_fragment(bytes(association.fragment))
    assert isinstance(kept, Association)
    assert (kept.source_object, kept.target_object) == (its_set.entry_uuid, document.entry_uuid)


def test_a_uuid_of_the_sender_is_kept(patient: str) -> None:
    uuid = new_uuid_urn()
    assert registered(patient, entry_uuid=uuid).entry_uuid == uuid


def test_a_submission_sent_again_is_recognised(patient: str) -> None:
    each = submission(patient, entry(patient))
    register(each, facility_code=FACILITY)
    before = _count()
    register(each, facility_code=FACILITY)
    assert _count() == before


@pytest.mark.parametrize("change", ["facility", "content"])
def test_another_submission_with_the_same_id_is_a_duplicate(patient: str, change: str) -> None:
    each = submission(patient, entry(patient))
    register(each, facility_code=FACILITY)
    other = each if change == "facility" else replace(each, document_entries=(entry(patient, entry_uuid="other"),))
    other = other if change == "facility" else replace(other, associations=(member("set", "other", "Original"),))
    facility = OTHER_FACILITY if change == "facility" else FACILITY
    assert refused(other, facility) == {Reason.DUPLICATE_ID_IN_REGISTRY}


def test_a_submission_that_was_replaced_meanwhile_is_still_recognised(patient: str) -> None:
    original = registered(patient)
    new = entry(patient)
    each = submission(patient, new, associations=(relation(RPLC, new.entry_uuid, original.entry_uuid),))
    register(each, facility_code=FACILITY)
    before = _count()
    register(each, facility_code=FACILITY)
    assert _count() == before


def test_the_same_document_may_be_registered_twice(patient: str) -> None:
    row = registered(patient)
    again = entry(patient, unique_id=row.unique_id)
    register(submission(patient, again), facility_code=FACILITY)
    assert models.DocumentEntry.objects.filter(unique_id=row.unique_id).count() == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"hash": "0" * 40}, Reason.NON_IDENTICAL_HASH),
        ({"size": 12345}, Reason.NON_IDENTICAL_SIZE),
    ],
)
def test_other_bytes_need_another_unique_id(patient: str, change: dict[str, Any], reason: Reason) -> None:
    row = registered(patient)
    assert refused(submission(patient, entry(patient, unique_id=row.unique_id, **change))) == {reason}


def test_an_unknown_patient(patient: str) -> None:
    assert refused(submission("nobody", entry("nobody"))) == {Reason.UNKNOWN_PATIENT}


def test_a_patient_of_another_domain_is_unknown(patient: str) -> None:
    chart = f"{patient}^^^&1.2.3&ISO"
    each = replace(submission(patient), submission_sets=(submission_set(patient, patient_id=chart),))
    each = replace(each, document_entries=(entry(patient, patient_id=chart),))
    assert Reason.UNKNOWN_PATIENT in refused(each)


def test_everything_that_is_wrong_is_told_at_once(patient: str) -> None:
    row = registered(patient)
    new = entry("nobody", hash="", unique_id=row.unique_id, repository_unique_id="1.9.9")
    each = submission("nobody", new, associations=(relation(RPLC, new.entry_uuid, new_uuid_urn()),))
    each = replace(each, findings=(Finding(Reason.METADATA, "read with an error", "x"),))
    assert refused(each) == {
        Reason.METADATA,
        Reason.UNKNOWN_PATIENT,
        Reason.NON_IDENTICAL_HASH,
        Reason.UNRESOLVED_REFERENCE,
    }


def test_an_id_that_is_taken(patient: str) -> None:
    row = registered(patient)
    assert refused(submission(patient, entry(patient, entry_uuid=row.entry_uuid))) == {Reason.METADATA}


def test_a_document_that_this_repository_does_not_hold(patient: str, settings: Any) -> None:
    each = entry(patient, repository_unique_id=settings.REPOSITORY_OID)
    assert refused(submission(patient, each)) == {Reason.METADATA}


@pytest.mark.parametrize("kind", [RPLC, XFRM_RPLC])
def test_a_replacement_deprecates_the_document_and_what_depends_on_it(patient: str, kind: str) -> None:
    original = registered(patient)
    dependent = []
    for relationship in (APND, XFRM):
        new = entry(patient)
        association = relation(relationship, new.entry_uuid, original.entry_uuid)
        register(submission(patient, new, associations=(association,)), facility_code=FACILITY)
        dependent.append(new.unique_id)
    new = entry(patient)
    association = relation(kind, new.entry_uuid, original.entry_uuid)
    register(submission(patient, new, associations=(association,)), facility_code=FACILITY)
    statuses = dict(models.DocumentEntry.objects.values_list("unique_id", "status"))
    assert statuses[new.unique_id] == Status.APPROVED
    assert all(statuses[each] == Status.DEPRECATED for each in (original.unique_id, *dependent))
    original.refresh_from_db()
    kept = read_fragment(bytes(original.fragment))
    assert isinstance(kept, DocumentEntry)
    assert kept.availability_status == DEPRECATED


def test_a_replacement_inherits_the_folder(patient: str) -> None:
    original, its_folder = entry(patient), folder(patient)
    membership = member(its_folder.entry_uuid, original.entry_uuid)
    register(submission(patient, original, folders=(its_folder,), associations=(membership,)), facility_code=FACILITY)
    models.Folder.objects.update(last_update_time="20200101000000")
    target = models.DocumentEntry.objects.get().entry_uuid
    new = entry(patient)
    register(submission(patient, new, associations=(relation(RPLC, new.entry_uuid, target),)), facility_code=FACILITY)
    row, kept = models.DocumentEntry.objects.get(unique_id=new.unique_id), models.Folder.objects.get()
    inherited = models.Association.objects.get(source_uuid=kept.entry_uuid, target_uuid=row.entry_uuid)
    its_set = models.SubmissionSet.objects.order_by("id").last()
    assert its_set is not None
    assert models.Association.objects.filter(source_uuid=its_set.entry_uuid, target_uuid=inherited.entry_uuid).exists()
    assert kept.last_update_time > "20260101000000"
    fragment = read_fragment(bytes(kept.fragment))
    assert isinstance(fragment, Folder)
    assert fragment.last_update_time == kept.last_update_time


@pytest.mark.parametrize("says_so", [False, True])
def test_a_folder_holds_a_replacement_once(patient: str, says_so: bool) -> None:
    """One document replaces two of a folder, and the submission may put it there itself."""
    originals, its_folder = [entry(patient, entry_uuid=new_uuid_urn()) for _ in range(2)], folder(patient)
    held = tuple(member(its_folder.entry_uuid, each.entry_uuid) for each in originals)
    register(submission(patient, *originals, folders=(its_folder,), associations=held), facility_code=FACILITY)
    kept, new = models.Folder.objects.get(), entry(patient, entry_uuid=new_uuid_urn())
    said = [relation(RPLC, new.entry_uuid, each.entry_uuid) for each in originals]
    if says_so:
        said.append(member(kept.entry_uuid, new.entry_uuid))
    register(submission(patient, new, associations=tuple(said)), facility_code=FACILITY)
    assert models.Association.objects.filter(source_uuid=kept.entry_uuid, target_uuid=new.entry_uuid).count() == 1


def test_two_replacements_of_one_document_in_one_submission(patient: str) -> None:
    """Each is a replacement, and each comes into the folder that held the original (3.42.4.1.3.5)."""
    original, its_folder = entry(patient, entry_uuid=new_uuid_urn()), folder(patient)
    held = (member(its_folder.entry_uuid, original.entry_uuid),)
    register(submission(patient, original, folders=(its_folder,), associations=held), facility_code=FACILITY)
    kept, news = models.Folder.objects.get(), [entry(patient, entry_uuid=new_uuid_urn()) for _ in range(2)]
    said = tuple(relation(RPLC, each.entry_uuid, original.entry_uuid) for each in news)
    register(submission(patient, *news, associations=said), facility_code=FACILITY)
    statuses = dict(models.DocumentEntry.objects.values_list("entry_uuid", "status"))
    assert statuses.pop(original.entry_uuid) == Status.DEPRECATED
    assert set(statuses.values()) == {Status.APPROVED}
    inside = models.Association.objects.filter(source_uuid=kept.entry_uuid).values_list("target_uuid", flat=True)
    assert sorted(inside) == sorted(each.entry_uuid for each in (original, *news))


def test_an_addendum_of_an_addendum_is_none_of_the_document(patient: str) -> None:
    """Deprecated are the addenda "of the DocumentEntry being replaced" (3.42.4.1.3.5), not what hangs on those."""
    original, addendum, further, new = (entry(patient, entry_uuid=new_uuid_urn()) for _ in range(4))
    for each, kind, of in ((original, "", None), (addendum, APND, original), (further, APND, addendum)):
        said = (relation(kind, each.entry_uuid, of.entry_uuid),) if of else ()
        register(submission(patient, each, associations=said), facility_code=FACILITY)
    said = (relation(RPLC, new.entry_uuid, original.entry_uuid),)
    register(submission(patient, new, associations=said), facility_code=FACILITY)
    statuses = dict(models.DocumentEntry.objects.values_list("entry_uuid", "status"))
    assert [statuses[each.entry_uuid] for each in (original, addendum, further, new)] == [
        Status.DEPRECATED, Status.DEPRECATED, Status.APPROVED, Status.APPROVED,
    ]  # fmt: skip
    late = entry(patient)
    onto = (relation(APND, late.entry_uuid, addendum.entry_uuid),)
    assert refused(submission(patient, late, associations=onto)) == {Reason.DEPRECATED_DOCUMENT}


def test_only_its_facility_replaces_a_document(patient: str) -> None:
    original = registered(patient)
    new = entry(patient)
    each = submission(patient, new, associations=(relation(RPLC, new.entry_uuid, original.entry_uuid),))
    assert refused(each, OTHER_FACILITY) == {Reason.CALLER_NOT_ENTITLED}


@pytest.mark.parametrize("kind", [RPLC, XFRM_RPLC, APND, XFRM])
def test_a_deprecated_document_has_no_new_relations(patient: str, kind: str) -> None:
    original = registered(patient)
    models.DocumentEntry.objects.update(status=Status.DEPRECATED)
    new = entry(patient)
    each = submission(patient, new, associations=(relation(kind, new.entry_uuid, original.entry_uuid),))
    assert refused(each) == {Reason.DEPRECATED_DOCUMENT}


@pytest.mark.parametrize("kind", [RPLC, APND])
def test_documents_of_two_patients_are_not_related(patient: str, kind: str) -> None:
    original = registered(known_patient())
    new = entry(patient)
    each = submission(patient, new, associations=(relation(kind, new.entry_uuid, original.entry_uuid),))
    assert refused(each) == {Reason.PATIENT_MISMATCH}


@pytest.mark.parametrize("kind", [RPLC, XFRM_RPLC, APND, XFRM])
def test_a_relation_needs_its_target(patient: str, kind: str) -> None:
    new = entry(patient)
    each = submission(patient, new, associations=(relation(kind, new.entry_uuid, new_uuid_urn()),))
    assert refused(each) == {Reason.UNRESOLVED_REFERENCE}


def test_a_snapshot_needs_an_on_demand_document(patient: str) -> None:
    original = registered(patient)
    new = entry(patient)
    each = submission(patient, new, associations=(relation(IS_SNAPSHOT_OF, new.entry_uuid, original.entry_uuid),))
    assert refused(each) == {Reason.METADATA}


def test_a_folder_holds_documents_of_its_patient_only(patient: str) -> None:
    its_folder = folder(patient)
    register(submission(patient, folders=(its_folder,)), facility_code=FACILITY)
    other, kept = known_patient(), models.Folder.objects.get()
    new = entry(other)
    each = submission(other, new, associations=(member(kept.entry_uuid, new.entry_uuid),))
    assert refused(each) == {Reason.PATIENT_MISMATCH}


def _memberships(patient: str) -> dict[str, tuple[Submission, set[Reason]]]:
    """HasMember that joins what it must not (ITI TF-3: 4.2.2.1)."""
    before = entry(patient, entry_uuid=new_uuid_urn())
    shelf = folder(patient, entry_uuid=new_uuid_urn())
    register(submission(patient, before, folders=(shelf,)), facility_code=FACILITY)
    old_set = models.SubmissionSet.objects.get().entry_uuid
    old_member = models.Association.objects.get(target_uuid=before.entry_uuid).entry_uuid
    new, other = entry(patient), folder(patient)

    def sent(*associations: Association, folders: tuple[Folder, ...] = ()) -> Submission:
        return submission(patient, new, folders=folders, associations=associations)

    wrong = {Reason.METADATA}
    return {
        "an old set": (sent(member(old_set, new.entry_uuid, "Original")), wrong),
        "an old document": (sent(member(before.entry_uuid, new.entry_uuid)), wrong),
        "an old association": (sent(member(old_member, new.entry_uuid)), wrong),
        "a set in a set": (sent(member("set", old_set)), wrong),
        "a folder in a folder": (sent(member(other.entry_uuid, shelf.entry_uuid), folders=(other,)), wrong),
        "a set in a folder": (sent(member(shelf.entry_uuid, old_set)), wrong),
        "an association in a folder": (sent(member(shelf.entry_uuid, old_member)), wrong),
        "a reference that does not say so": (sent(member("set", before.entry_uuid)), wrong),
    }


def test_what_may_be_a_member_of_what(patient: str) -> None:
    for name, (each, reasons) in _memberships(patient).items():
        assert refused(each) == reasons, name


def test_nothing_new_refers_to_a_deprecated_document(patient: str) -> None:
    """ITI TF-3: 4.2.2; a submission set that holds it by reference would."""
    before = registered(patient)
    reference = member("set", before.entry_uuid, "Reference")
    register(submission(patient, associations=(reference,)), facility_code=FACILITY)
    models.DocumentEntry.objects.update(status=Status.DEPRECATED)
    assert refused(submission(patient, associations=(reference,))) == {Reason.DEPRECATED_DOCUMENT}


def test_an_addendum_whose_association_was_withdrawn_is_none_any_more(patient: str) -> None:
    original, addendum, new = (entry(patient, entry_uuid=new_uuid_urn()) for _ in range(3))
    appended = relation(APND, addendum.entry_uuid, original.entry_uuid)
    register(submission(patient, original, addendum, associations=(appended,)), facility_code=FACILITY)
    models.Association.objects.filter(association_type=APND).update(status=Status.DEPRECATED)
    replacing = relation(RPLC, new.entry_uuid, original.entry_uuid)
    register(submission(patient, new, associations=(replacing,)), facility_code=FACILITY)
    approved = models.DocumentEntry.objects.filter(status=Status.APPROVED).values_list("entry_uuid", flat=True)
    assert set(approved) == {addendum.entry_uuid, new.entry_uuid}


def test_codes_as_long_as_ebrim_lets_them_be(patient: str) -> None:
    """rim.xsd: a nodeRepresentation and a Value have at most 256 characters each."""
    long = Code("あ" * 256, "い" * 256, "長い")
    its_set = {"content_type_code": long}
    mime_type = f"application/{'x' * 244}"
    codes = dict.fromkeys(("class_code", "type_code", "format_code", "practice_setting_code"), long)
    new = entry(patient, **codes, event_code_list=(long,), confidentiality_codes=(long,), mime_type=mime_type)
    shelf = folder(patient, code_list=(long,))
    register(submission(patient, new, folders=(shelf,), **its_set), facility_code=FACILITY)
    row = models.DocumentEntry.objects.get()
    assert (row.class_code, row.mime_type) == (f"{long.code}^^{long.scheme}", mime_type)
    asked = find(patient, ClassCode=[row.class_code], EventCodeList=[[row.class_code]])
    assert answer(asked, permit(patient)).object_refs == (row.entry_uuid,)
    longer = Code("x" * 257, "1.2.3", "zu lang")
    assert refused(submission(patient, entry(patient, class_code=longer))) == {Reason.METADATA}
    assert refused(submission(patient, entry(patient, mime_type=f"{mime_type}x"))) == {Reason.METADATA}


def test_the_id_of_a_package_is_none_of_a_document(patient: str) -> None:
    """XDSDuplicateUniqueIdInRegistry "cannot be thrown for DocumentEntry" (ITI TF-3 table 4.2.4.1-2)."""
    shelf = folder(patient)
    register(submission(patient, folders=(shelf,)), facility_code=FACILITY)
    assert refused(submission(patient, entry(patient, unique_id=shelf.unique_id))) == {Reason.METADATA}


def test_a_folder_id_is_unique(patient: str) -> None:
    unique_id = new_oid()
    register(submission(patient, folders=(folder(patient, unique_id=unique_id),)), facility_code=FACILITY)
    assert refused(submission(patient, folders=(folder(patient, unique_id=unique_id),))) == {
        Reason.DUPLICATE_ID_IN_REGISTRY
    }


def test_a_chart_number_of_another_facility_is_refused(patient: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    from apps.xds.services import judging

    owner = SimpleNamespace(code=OTHER_FACILITY)
    monkeypatch.setattr(judging, "facility_of_authority", lambda oid: owner if oid == "1.2.392.77" else None)
    assert refused(submission(patient, entry(patient))) == {Reason.METADATA}


def test_one_submission_takes_few_statements(patient: str, django_assert_max_num_queries: Any) -> None:
    each = submission(patient, *(entry(patient) for _ in range(20)))
    repositories_here()  # who the members are is remembered between messages
    with django_assert_max_num_queries(14):
        register(each, facility_code=FACILITY)


def test_the_documents_of_a_joined_person_follow(patient: str) -> None:
    from apps.pix.models import persons_joined

    row = registered(patient)
    surviving = known_patient()
    persons_joined.send(sender=None, subsumed=patient, surviving=surviving)
    row.refresh_from_db()
    assert row.patient_id == surviving
    for model in (models.DocumentEntry, models.SubmissionSet):
        kept = read_fragment(bytes(model._default_manager.get().fragment))
        assert isinstance(kept, DocumentEntry) or hasattr(kept, "patient_id")
        assert kept.patient_id == cx(surviving)  # type: ignore[union-attr]
    for table in models.PATIENT_TABLES:
        assert not table._default_manager.filter(patient_id=patient).exists()
        assert not table._default_manager.exclude(shard_key=models.shard_key_of(surviving)).exists()


def test_the_documents_of_a_chart_that_was_parted_follow_it(patient: str) -> None:
    from apps.pix.models import records_moved
    from hie.values.identifiers import Identifier

    current = known_patient()
    stays, goes = registered(patient), registered(patient, source_patient_id="aa12^^^&1.2.392.78&ISO")
    records_moved.send(
        sender=None,
        identifiers=(Identifier.from_cx("aa12^^^&1.2.392.78&ISO"),),
        previous=patient,
        current=current,
    )
    for row, owner in ((stays, patient), (goes, current)):
        row.refresh_from_db()
        assert (row.patient_id, row.shard_key) == (owner, models.shard_key_of(owner))
        kept = read_fragment(bytes(row.fragment))
        assert isinstance(kept, DocumentEntry)
        assert kept.patient_id == cx(owner)
    for table in models.PATIENT_TABLES:
        owners = sorted(table._default_manager.values_list("patient_id", flat=True))
        assert owners in ([], sorted([patient, current])), table.__name__
