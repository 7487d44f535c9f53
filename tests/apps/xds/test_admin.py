"""The registry in the admin: masked, read-only, each look recorded."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.atna.models import AuditRecord
from apps.terminology.models import Code as TerminologyCode
from apps.terminology.models import CodeSystem
from apps.xds import models, outbox
from apps.xds.admin import registry as screens
from apps.xds.queries import picture as queries_picture
from apps.xds.queries.figures import figures
from apps.xds.services import register
from hie.exchange.remembered import forget_all
from hie.values.codes import Code
from hie.values.documents import RPLC
from hie.values.identifiers import masked, new_uuid_urn
from hie.values.times import JST
from tests.apps.xds.samples import FACILITY, cx, entry, folder, member, relation, submission

pytestmark = pytest.mark.django_db

SCREENS = (models.DocumentEntry, models.SubmissionSet, models.Folder, models.Association)


@pytest.fixture
def browser(db: None) -> Client:
    user = User.objects.create_superuser("admin", password="not-a-secret")
    client = Client(headers={"accept-language": "en"})
    client.force_login(user)
    return client


@pytest.fixture
def registered(patient: str) -> str:
    document, its_folder = entry(patient, title="所見"), folder(patient)
    membership = member(its_folder.entry_uuid, document.entry_uuid)
    register(submission(patient, document, folders=(its_folder,), associations=(membership,)), facility_code=FACILITY)
    return patient


@pytest.mark.parametrize("model", SCREENS, ids=lambda each: each.__name__)
def test_list_and_row_are_masked_and_recorded(browser: Client, registered: str, model: Any) -> None:
    name = model._meta.model_name
    row = model._default_manager.first()
    for url in (reverse(f"admin:xds_{name}_changelist"), reverse(f"admin:xds_{name}_change", args=[row.pk])):
        before = AuditRecord.objects.filter(patient_regional_id=registered).count()
        response = browser.get(url)
        page = response.content.decode()
        assert response.status_code == 200
        assert registered not in page
        assert masked(registered) in page
        assert AuditRecord.objects.filter(patient_regional_id=registered).count() == before + 1


def test_a_document_is_found_by_its_ids(browser: Client, registered: str) -> None:
    row = models.DocumentEntry.objects.get()
    url = reverse("admin:xds_documententry_changelist")
    for text in (row.entry_uuid, row.unique_id, registered):
        assert "所見" in browser.get(url, {"q": text}).content.decode()
    assert "所見" not in browser.get(url, {"q": "9.9.9"}).content.decode()


def test_associations_are_found_by_their_ends(browser: Client, registered: str) -> None:
    uuid = models.DocumentEntry.objects.get().entry_uuid
    url = reverse("admin:xds_association_changelist")
    assert browser.get(url, {"q": uuid}).content.decode().count("HasMember") == 2
    its_folder = models.Folder.objects.get().entry_uuid
    assert browser.get(url, {"q": its_folder}).content.decode().count("HasMember") == 2
    assert "HasMember" not in browser.get(url, {"q": new_uuid_urn()}).content.decode()


def test_more_associations_than_are_shown_are_said(
    browser: Client, registered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = reverse("admin:xds_documententry_change", args=[models.DocumentEntry.objects.get().pk])
    assert "There are more" not in browser.get(url).content.decode()
    monkeypatch.setattr(screens, "MOST_RELATIONS", 1)
    assert "There are more; the first 1 are shown." in browser.get(url).content.decode()


@pytest.mark.parametrize("model", SCREENS, ids=lambda each: each.__name__)
def test_nothing_can_be_changed(browser: Client, registered: str, model: Any) -> None:
    name, row = model._meta.model_name, model._default_manager.first()
    assert browser.get(reverse(f"admin:xds_{name}_add")).status_code == 403
    assert browser.post(reverse(f"admin:xds_{name}_change", args=[row.pk]), {}).status_code == 403
    assert browser.post(reverse(f"admin:xds_{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403


def picture_of(browser: Client, row: Any, reason: str = "complaint 17") -> str:
    """The page with the picture that belongs to a row, once a reason is given."""
    response = browser.post(reverse(f"admin:xds_{row._meta.model_name}_picture", args=[row.pk]), {"reason": reason})
    assert response.status_code == 200
    return response.content.decode()


def test_a_patients_documents_are_drawn_for_a_reason_and_recorded(browser: Client, registered: str) -> None:
    row = models.DocumentEntry.objects.get()
    url = reverse("admin:xds_documententry_picture", args=[row.pk])
    before = AuditRecord.objects.filter(patient_regional_id=registered).count()
    assert 'id="picture"' not in browser.get(url).content.decode()
    assert 'id="picture"' not in picture_of(browser, row, reason="")
    assert AuditRecord.objects.filter(patient_regional_id=registered).count() == before
    page = picture_of(browser, row)
    assert registered not in page
    assert masked(registered) in page
    for each in (row, models.Folder.objects.get(), models.SubmissionSet.objects.get()):
        assert f'href="{reverse(f"admin:xds_{each._meta.model_name}_change", args=[each.pk])}"' in page
    assert "糖尿病 — HasMember → 所見" in page
    assert AuditRecord.objects.filter(patient_regional_id=registered).count() == before + 1
    assert b"complaint 17" in bytes(AuditRecord.objects.order_by("-id")[0].message)


def test_versions_and_relations_are_named(browser: Client, registered: str) -> None:
    old = models.DocumentEntry.objects.get()
    new = entry(registered, title="所見 (訂正)")
    register(
        submission(registered, new, associations=(relation(RPLC, new.entry_uuid, old.entry_uuid),)),
        facility_code=FACILITY,
    )
    page = picture_of(browser, models.SubmissionSet.objects.latest("id"))
    assert "所見 (訂正) — RPLC → 所見" in page
    assert "stroke-dasharray" in page
    first = models.SubmissionSet.objects.earliest("id")
    assert first.unique_id in picture_of(browser, models.DocumentEntry.objects.latest("id"))


def test_what_a_document_calls_itself_is_text(browser: Client, patient: str) -> None:
    register(submission(patient, entry(patient, title="<script>alert(1)</script>")), facility_code=FACILITY)
    assert "<script>alert(1)" not in picture_of(browser, models.DocumentEntry.objects.get())


def test_more_than_can_be_drawn_is_said(browser: Client, patient: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries_picture, "MOST", 2)
    entries = [entry(patient) for _ in range(5)]
    register(submission(patient, *entries), facility_code=FACILITY)
    assert "3 older objects are not drawn" in picture_of(browser, models.DocumentEntry.objects.latest("id"))


def test_who_may_not_look_sees_no_picture(registered: str) -> None:
    clerk = User.objects.create_user("clerk", password="not-a-secret", is_staff=True)
    client = Client()
    client.force_login(clerk)
    url = reverse("admin:xds_documententry_picture", args=[models.DocumentEntry.objects.get().pk])
    assert client.post(url, {"reason": "curious"}).status_code == 403
    assert client.get(reverse("admin:xds_documententry_figures")).status_code == 403


def test_figures_by_facility_type_and_day(browser: Client, registered: str) -> None:
    register(submission(registered, entry(registered, type_code=Code("=1+1", "1.2.3", "x"))), facility_code=FACILITY)
    moment = datetime(2026, 4, 1, 23, 30, tzinfo=JST)
    models.DocumentEntry.objects.update(registered_at=moment)
    url = reverse("admin:xds_documententry_figures")
    counted = figures(date(2026, 3, 31), date(2026, 4, 2))
    assert [(each.name, each.count) for each in counted.by_day] == [
        ("2026-03-31", 0), ("2026-04-01", 2), ("2026-04-02", 0),
    ]  # fmt: skip
    assert counted.total == 2
    assert [each.count for each in counted.by_type] == [1, 1]
    asked = {"first": "2026-04-01", "last": "2026-04-01"}
    assert "2 documents registered" in browser.get(url, asked).content.decode()
    assert (
        "0 documents registered"
        in browser.get(url, asked | {"first": "2026-03-01", "last": "2026-03-31"}).content.decode()
    )
    table = browser.get(url, asked | {"format": "csv"}).content.decode("utf-8-sig").splitlines()
    assert table[0] == "by,name,code,documents"
    assert {"day,2026-04-01,,2", "type,'=1+1,\"'=1+1, 1.2.3\",1"} <= set(table)
    assert "before the last" in browser.get(url, {"first": "2026-04-02", "last": "2026-04-01"}).content.decode()


def test_a_longer_period_than_can_be_counted_is_said(browser: Client) -> None:
    url = reverse("admin:xds_documententry_figures")
    page = browser.get(url, {"first": "2025-04-01", "last": "2026-04-02"}).content.decode()
    assert "At most 366 days at once." in page
    assert "documents registered" not in page
    assert "documents registered" in browser.get(url, {"first": "2025-04-01", "last": "2026-04-01"}).content.decode()


def test_figures_are_counted_from_an_index_alone(registered: str) -> None:
    """However many documents there are: of each facility the range of the period, and no row of the table itself."""
    models.DocumentEntry.objects.update(registered_at=datetime(2026, 4, 1, tzinfo=JST))
    with CaptureQueriesContext(connection) as seen:
        figures(date(2026, 4, 1), date(2026, 4, 1))
    codes, *counts = [each["sql"] for each in seen if "xds_documententry" in each["sql"]]
    assert len(counts) == 3
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            for sql in (codes, *counts):
                plan = cursor.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
                read = [detail for *_, detail in plan if "xds_documententry" in detail or " e " in f" {detail} "]
                assert read
                assert all("USING COVERING INDEX xds_entry_figures" in detail for detail in read), sql
            return
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        for sql in counts:
            cursor.execute(f"EXPLAIN {sql}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert "Index Only Scan" in plan
            assert "Seq Scan" not in plan


@pytest.mark.parametrize("model", SCREENS, ids=lambda each: each.__name__)
def test_a_list_is_sorted_by_nothing_that_would_read_the_whole_table(
    browser: Client, registered: str, model: Any
) -> None:
    page = browser.get(reverse(f"admin:xds_{model._meta.model_name}_changelist")).content.decode()
    assert "?o=" not in page or model is models.DocumentEntry


@pytest.mark.parametrize(
    ("failure", "given_up", "words"),
    [
        ("CallError", False, ("no answer", "waiting")),
        ("CallError 503", False, ("answered with HTTP 503", "waiting")),
        ("FaultError 400", True, ("answered with HTTP 400", "given up")),
        ("NotCalledError", False, ("address withdrawn, or system switched off", "waiting")),
        ("TypeError", False, ("TypeError", "waiting")),
    ],
)
def test_why_a_message_waits_is_said_in_words(
    browser: Client, patient: str, failure: str, given_up: bool, words: tuple[str, ...]
) -> None:
    outbox.put(
        lane="a",
        number="ITI-53",
        url="https://x.example/",
        envelope=b"<e/>",
        patient_id=patient,
        last_failure=failure,
        given_up=given_up,
    )
    row = models.Outgoing.objects.get()
    for url in (reverse("admin:xds_outgoing_changelist"), reverse("admin:xds_outgoing_change", args=[row.pk])):
        page = browser.get(url).content.decode()
        assert all(each in page for each in (*words, "notification (ITI-53)")), url
        assert patient not in page


def test_what_a_subscription_wants_is_said(browser: Client, patient: str) -> None:
    query = {"$XDSDocumentEntryPatientId": [[cx(patient)]], "$XDSDocumentEntryClassCode": [["A^^1.2.3", "B^^1.2.3"]]}
    row = models.Subscription.objects.create(
        reference="a" * 32,
        node_name="clinic",
        facility_code=FACILITY,
        consumer="https://x.example/",
        topic="ihe:FullDocumentEntry",
        query_id="urn:uuid:aa2332d0-f8fe-11e0-be50-0800200c9a66",
        query=query,
        ends_at=timezone.now(),
    )
    models.SubscriptionPatient.objects.create(subscription=row, patient_id=patient)
    listed = browser.get(reverse("admin:xds_subscription_changelist")).content.decode()
    page = browser.get(reverse("admin:xds_subscription_change", args=[row.pk])).content.decode()
    assert "$XDSDocumentEntryClassCode: A^^1.2.3, B^^1.2.3" in page
    for each in (listed, page):
        assert "ended" in each
        assert masked(patient) in each
        assert patient not in each


def test_a_message_is_removed_with_its_files(
    browser: Client, tmp_path: Path, django_capture_on_commit_callbacks: Any
) -> None:
    for how in ("one", "chosen"):
        kept = tmp_path / how
        kept.write_bytes(b"abc")
        outbox.put(
            lane=how, url="https://x.example/", envelope=b"<e/>", attachments=[["1@x", str(kept), 3, "text/plain"]]
        )
        row = models.Outgoing.objects.get()
        with django_capture_on_commit_callbacks(execute=True):
            if how == "one":
                browser.post(reverse("admin:xds_outgoing_delete", args=[row.pk]), {"post": "yes"})
            else:
                asked = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
                browser.post(reverse("admin:xds_outgoing_changelist"), asked)
        assert not models.Outgoing.objects.exists()
        assert not kept.exists()


def test_a_long_period_is_cut_to_a_year() -> None:
    assert len(figures(date(2000, 1, 1), date(2026, 4, 2)).by_day) == 366


@pytest.mark.parametrize(
    ("language", "name", "own"), [("ja", "病理所見", "このネットワーク"), ("en", "Pathology", "This network")]
)
def test_codes_and_facilities_have_names(browser: Client, registered: str, language: str, name: str, own: str) -> None:
    system, _ = CodeSystem.objects.get_or_create(scheme="1.2.3.4.5", defaults={"name": "ours"})
    TerminologyCode.objects.create(system=system, code="T-1", display_ja="病理所見", display_en="Pathology")
    models.DocumentEntry.objects.update(
        type_code="T-1^^1.2.3.4.5",
        event_codes="T-1^^1.2.3.4.5\nT-2^^9.9",
        facility_code="",
        registered_at=timezone.now(),
    )
    models.SubmissionSet.objects.update(content_type_code="T-1^^1.2.3.4.5")
    forget_all()
    row, its_set = models.DocumentEntry.objects.get(), models.SubmissionSet.objects.get()
    speaking = {"accept-language": language}
    for url in ("xds_documententry_changelist", "xds_submissionset_changelist"):
        page = browser.get(reverse(f"admin:{url}"), headers=speaking).content.decode()
        assert f'<span title="T-1, 1.2.3.4.5">{name}</span>' in page
    page = browser.get(reverse("admin:xds_documententry_change", args=[row.pk]), headers=speaking).content.decode()
    assert f"{name} (T-1, 1.2.3.4.5)" in page
    assert "T-2 (T-2, 9.9)" in page
    assert own in page
    page = browser.get(reverse("admin:xds_submissionset_change", args=[its_set.pk]), headers=speaking).content.decode()
    assert f"{name} (T-1, 1.2.3.4.5)" in page
    page = browser.get(reverse("admin:xds_documententry_figures"), headers=speaking).content.decode()
    assert f">{own}</th>" in page
    assert f">{name} <span" in page
    url = reverse("admin:xds_documententry_picture", args=[row.pk])
    assert f">{name}</span>" in browser.post(url, {"reason": "complaint"}, headers=speaking).content.decode()


def test_a_code_that_only_the_code_sets_name_has_their_name(browser: Client, registered: str) -> None:
    models.AcceptedCode.objects.create(attribute="typeCode", code="T-9", scheme="8.8", display="手術記録")
    models.DocumentEntry.objects.update(type_code="T-9^^8.8")
    forget_all()
    assert (
        '<span title="T-9, 8.8">手術記録</span>'
        in browser.get(reverse("admin:xds_documententry_changelist")).content.decode()
    )


def test_authors_are_named_as_people_write_them(browser: Client, registered: str) -> None:
    row = models.DocumentEntry.objects.get()
    page = browser.get(reverse("admin:xds_documententry_change", args=[row.pk])).content.decode()
    assert "山田 太郎 (7)" in page
    assert "^" not in page.split("authors", 1)[-1].split("Codes", 1)[0]
    assert screens._institution("中央病院^^^^^&1.2.3&ISO^^^^1310000001") == "中央病院 (1310000001)"


@pytest.mark.parametrize(
    ("title", "short"),
    [("検体検査結果 2025/08/02", "検体検査結果 2025/08/02"), ("あ" * 17, "あ" * 15 + "…"), ("a" * 33, "a" * 31 + "…")],
)
def test_a_title_is_cut_where_the_box_ends(title: str, short: str) -> None:
    assert queries_picture.Box(None, "documententry", 0, 0, title, False).short == short  # type: ignore[arg-type]
