"""The admin site in a real browser: sign in, first page in both languages, a hospital joins.

``HIE_SCREENSHOTS`` names a directory that the pages are photographed into.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from apps.network.models import Facility, NodeCertificate
from apps.network.queries import facility
from apps.pix.models import LocalIdentifier, MatchRules, ReviewCase
from apps.pix.services import trials, versions
from apps.xds.models import DocumentEntry
from apps.xds.services import register
from hie.exchange import rows
from hie.values.documents import APND, RPLC
from tests.apps.pix.told import CLINIC, HOSPITAL, open_facilities, somebody, tell
from tests.apps.xds.samples import entry, folder, known_patient, member, relation, submission

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="no chromium is installed"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture
def page(live_server: Any, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A browser that is signed in as an administrator, its data directory an empty one."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # playwright's own loop runs in this thread
    playwright = pytest.importorskip("playwright.sync_api")
    settings.DATA_DIR = tmp_path
    settings.ALLOWED_HOSTS = ["*"]
    User.objects.create_superuser("admin", password="only-for-this-test")
    with playwright.sync_playwright() as driver, _connection_of_this_loop():
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_page(locale="ja-JP", viewport={"width": 1440, "height": 900})
        opened.problems = []
        opened.on("pageerror", lambda error: opened.problems.append(str(error)))
        opened.goto(f"{live_server.url}/admin/")
        photograph(opened, "login")
        opened.fill("[name=username]", "admin")
        opened.fill("[name=password]", "only-for-this-test")
        opened.click("#login-form [type=submit]")
        opened.wait_for_selector("#figures")
        yield opened
        assert opened.problems == []
        browser.close()


@contextmanager
def _connection_of_this_loop() -> Iterator[None]:
    """Django gives a thread another connection while a loop runs in it; what the thread remembers is of before."""
    remembered = vars(rows._thread).copy()
    vars(rows._thread).clear()
    yield
    vars(rows._thread).clear()
    vars(rows._thread).update(remembered)


def photograph(page: Any, name: str) -> None:
    directory = os.environ.get("HIE_SCREENSHOTS")
    if directory:
        page.screenshot(path=str(Path(directory) / f"{name}.png"), full_page=True)


def speak(page: Any, language: str) -> None:
    """Choose a language by the switch in the header."""
    page.click(f"#language-switch button[value={language}]")
    page.wait_for_selector(f"html[lang={language}]")


def test_a_hospital_joins_by_one_form(page: Any) -> None:
    photograph(page, "first-page-empty-ja")
    assert "施設" in page.inner_text("#figures")
    page.click("text=病院を追加")
    page.wait_for_selector("#hospital-form")
    photograph(page, "add-hospital-ja")
    page.fill("[name=code]", "123")
    page.click("#hospital-form [type=submit]")
    page.wait_for_selector("text=10桁")
    photograph(page, "add-hospital-error-ja")
    page.fill("[name=code]", "0110113719")
    page.fill("[name=name]", "北海道中央病院")
    page.fill("[name=kana]", "ホッカイドウチュウオウビョウイン")
    page.fill("[name=sending_application]", "HIS")
    page.fill("[name=sending_facility]", "HOSP1")
    page.click("#hospital-form [type=submit]")
    page.wait_for_selector("#issued")
    photograph(page, "connection-sheet-ja")
    with page.expect_download() as download:
        page.click("#package")
    assert Path(download.value.path()).read_bytes()[:2] == b"PK"
    facility = Facility.objects.get(code="0110113719")
    assert NodeCertificate.objects.get().node.facility == facility
    page.goto(page.url.split("/admin/")[0] + "/admin/")
    photograph(page, "first-page-ja")
    assert "北海道中央病院" in page.inner_text("#members")
    speak(page, "en")
    photograph(page, "first-page-en")
    assert "Certificates that end soon" in page.inner_text("#figures")


@pytest.mark.parametrize(("language", "place"), [("ja", 0), ("en", 1)])
def test_every_list_opens(page: Any, language: str, place: int) -> None:
    """Every other one in Japanese, those between in English; what they say is looked at without a browser."""
    speak(page, language)
    root = page.url.split("/admin/")[0]
    links = page.eval_on_selector_all("#nav-sidebar a[href*='/admin/']", "all => all.map(a => a.getAttribute('href'))")
    assert len(set(links)) >= 8
    for link in list(dict.fromkeys(links))[place::2]:
        answer = page.goto(root + link)
        assert answer.status == 200, link
        photograph(page, f"list{link.replace('/', '-')}{language}")


def test_a_clerk_decides_doubtful_pairs_by_keyboard(page: Any, live_server: Any) -> None:
    open_facilities()
    tell(HOSPITAL, "1001", told=somebody(telephones=("03-1234-5678",), insurance="33120015:123:4567890:01"))
    tell(CLINIC, "A-77", told=somebody("山田 健壱", telephones=("090-9999-1111",)))
    tell(HOSPITAL, "1002", told=somebody("佐藤 花子", "サトウ ハナコ", "19790101", "F"))
    tell(CLINIC, "A-78", told=somebody("佐藤 花子", "サトウ ハナコ", "19790111", "F"))
    page.goto(f"{live_server.url}/admin/")
    assert "確認待ちの人" in page.inner_text("#figures")
    photograph(page, "first-page-review-ja")
    page.goto(f"{live_server.url}/admin/pix/reviewcase/")
    photograph(page, "review-queue-ja")
    page.click("#result_list tbody tr a")
    page.wait_for_selector("#side-by-side")
    photograph(page, "review-case-ja")
    assert page.locator("#side-by-side tr[data-mark=differs]").count() == 2
    assert "同じ日" in page.inner_text("#explanation")
    page.set_viewport_size({"width": 390, "height": 800})
    photograph(page, "review-case-narrow-ja")
    for side in ("td:nth-child(3)", "td:nth-child(4)"):  # nobody decides of a record that is out of sight
        box = page.locator(f"#side-by-side tbody tr:first-child {side}").bounding_box()
        assert box["width"] > 80
        assert box["x"] + box["width"] <= 390
    page.set_viewport_size({"width": 1440, "height": 900})
    page.keyboard.press("n")
    page.keyboard.type("lkp: the letters of a note decide nothing")
    page.keyboard.press("Escape")
    with page.expect_navigation():
        page.keyboard.press("k")
    first, second = ReviewCase.objects.order_by("pk")
    assert (first.state, first.note[:3], second.state) == ("apart", "lkp", "open")
    page.wait_for_selector("text=佐藤")
    speak(page, "en")
    photograph(page, "review-case-en")
    with page.expect_navigation():
        page.keyboard.press("l")
    second.refresh_from_db()
    assert second.state == "linked"


def test_an_administrator_tries_and_adopts_rules_and_undoes_a_link(page: Any, live_server: Any) -> None:
    open_facilities()
    tell(HOSPITAL, "1001")
    tell(CLINIC, "A-77")
    rules = replace(versions.DEFAULT, name="strict", link=1000.0, review=900.0, hard_rules=frozenset())
    row = MatchRules.objects.create(name="strict", rules=rules.as_json())
    page.goto(f"{live_server.url}/admin/pix/matchrules/{row.pk}/change/")
    page.click("text=試算と採用")
    page.click("#try")
    page.wait_for_selector("#runs tr[data-state=waiting]")
    photograph(page, "rules-waiting-ja")
    trials.carry_out()
    page.reload()
    page.wait_for_selector("#difference")
    assert "分かれる人: 1" in page.inner_text("#difference")
    photograph(page, "rules-difference-ja")
    page.fill("[name=reason]", "誤った結合を減らすため")
    page.click("#adopt-form button")
    page.wait_for_selector("#runs tr[data-state=waiting]")
    trials.carry_out()
    assert MatchRules.objects.get(in_force=True).name == "strict"
    page.goto(f"{live_server.url}/admin/pix/matchrules/{row.pk}/what-if")
    speak(page, "en")
    photograph(page, "rules-adopted-en")
    MatchRules.objects.update(in_force=False)
    tell(HOSPITAL, "2001", told=somebody("佐藤 花子", "サトウ ハナコ", "19790101", "F"))
    tell(CLINIC, "A-78", told=somebody("佐藤 花子", "サトウ ハナコ", "19790101", "F"))
    chart = LocalIdentifier.objects.get(value="A-78")
    person = chart.person_id
    page.goto(f"{live_server.url}/admin/pix/person/{person}/change/")
    photograph(page, "person-en")
    page.click("text=Undo a link")
    page.check(f"#chart-{chart.pk}")
    page.fill("[name=reason]", "another patient's card")
    photograph(page, "undo-link-en")
    page.click("#part-form [type=submit]")
    page.wait_for_selector("text=The link was undone")
    chart.refresh_from_db()
    assert chart.person_id != person
    speak(page, "ja")
    page.goto(f"{live_server.url}/admin/pix/person/{person}/undo-link")
    assert "別人とする判断を取り消す" in page.inner_text("#part-form")
    page.goto(f"{live_server.url}/admin/pix/person/{person}/change/")
    page.click("text=過去の日の状態")
    page.wait_for_selector("#standing")
    assert "担当者が別人と判断" in page.inner_text("#happened")
    photograph(page, "past-ja")
    photograph(page, "undo-link-ja")


def test_a_patients_documents_are_a_picture(page: Any, live_server: Any) -> None:
    open_facilities()
    patient = known_patient()
    stored = facility(HOSPITAL)
    assert stored is not None
    first, addendum, second = (
        entry(patient, title=each, repository_unique_id=stored.repository_oid)
        for each in ("退院時サマリー", "検体検査結果 (追記)", "退院時サマリー 改訂版")
    )
    case = folder(patient, title="糖尿病")
    register(
        submission(patient, first, folders=(case,), associations=(member(case.entry_uuid, first.entry_uuid),)),
        facility_code=HOSPITAL,
    )
    known = DocumentEntry.objects.get().entry_uuid
    added = relation(APND, addendum.entry_uuid, known)
    register(submission(patient, addendum, associations=(added,)), facility_code=CLINIC)
    replaces = relation(RPLC, second.entry_uuid, known)
    register(submission(patient, second, associations=(replaces,)), facility_code=HOSPITAL)
    row = DocumentEntry.objects.latest("id")
    for language, word in (("ja", "患者の文書"), ("en", "Patient's documents")):
        page.goto(f"{live_server.url}/admin/xds/documententry/{row.pk}/change/")
        speak(page, language)
        page.click(f"text={word}")
        page.fill("[name=reason]", "苦情 17")
        photograph(page, f"picture-reason-{language}")
        page.click("form:has([name=reason]) [type=submit]")
        page.wait_for_selector("#picture")
        photograph(page, f"picture-{language}")
        page.focus("#picture a >> nth=0")
        assert page.evaluate("document.activeElement.getAttribute('aria-label')")
        assert page.locator("#associations li").count() >= 8
        page.goto(f"{live_server.url}/admin/xds/documententry/")
        photograph(page, f"documents-{language}")
        page.click("text=集計" if language == "ja" else "text=Figures")
        page.wait_for_selector("#total")
        photograph(page, f"figures-{language}")
