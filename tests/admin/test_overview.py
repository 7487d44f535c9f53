"""The first page, its JSON and the health check."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from apps.network import services
from apps.network.models import NodeCertificate

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(settings: Any, tmp_path: Any) -> Client:
    settings.DATA_DIR, settings.TLS_CERTIFICATE, settings.TLS_CLIENT_CA = tmp_path, "", ""
    services.add_hospital(code="0110113719", name="北海道中央病院", node_name="north")
    client = Client(headers={"accept-language": "ja"})
    client.force_login(User.objects.create_superuser("admin", password="only-for-this-test"))
    return client


def figures(client: Client) -> dict[str, dict[str, Any]]:
    return {each["key"]: each for each in client.get("/api/overview").json()["figures"]}


def test_healthz_asks_the_database_and_says_nothing_else(client: Client) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok\n")


def test_healthz_fails_where_the_database_does(client: Client) -> None:
    with mock.patch("hie.overview.connection.cursor", side_effect=OperationalError):
        assert client.get("/healthz").status_code == 503


def test_the_overview_is_for_staff_only(client: Client, staff: Client) -> None:
    assert client.get("/api/overview").status_code == 403
    User.objects.create_user("doctor", password="only-for-this-test")
    client.login(username="doctor", password="only-for-this-test")
    assert client.get("/api/overview").status_code == 403
    assert staff.get("/api/overview").status_code == 200


def test_every_figure_leads_to_a_list_that_opens(staff: Client) -> None:
    found = figures(staff)
    assert set(found) == {
        "facilities", "persons", "review", "insurances", "documents", "repositories", "refused", "failed", "expiring",
    }  # fmt: skip
    for each in found.values():
        assert each["link"] == "" or staff.get(each["link"]).status_code == 200


def test_a_certificate_that_ends_soon_is_counted_and_listed(staff: Client) -> None:
    assert figures(staff)["expiring"]["value"] == 0
    NodeCertificate.objects.update(valid_until=timezone.now() + timedelta(days=29))
    found = figures(staff)["expiring"]
    assert (found["value"], found["state"]) == (1, "warning")
    assert "north" in staff.get(found["link"]).content.decode()
    services.issue_certificate(node_name="north")
    assert figures(staff)["expiring"]["value"] == 0


def test_the_page_names_the_facilities_in_both_languages(staff: Client) -> None:
    page = staff.get("/admin/").content.decode()
    assert "北海道中央病院" in page
    assert "最後の患者通知" in page
    staff.post("/i18n/setlang/", {"language": "en"})
    assert "Last feed" in staff.get("/admin/").content.decode()


def test_a_row_that_messages_point_at_cannot_be_deleted(staff: Client) -> None:
    facility = NodeCertificate.objects.get().node.facility
    assert staff.post(f"/admin/network/facility/{facility.pk}/delete/", {"post": "yes"}).status_code == 403


def test_switching_a_node_off_leaves_a_trace(staff: Client) -> None:
    node = NodeCertificate.objects.get().node
    staff.post("/admin/network/node/", {"action": "switch_off", "_selected_action": [node.pk]})
    node.refresh_from_db()
    assert not node.enabled
    history = staff.get(f"/admin/network/node/{node.pk}/history/").content.decode()
    assert "有効 を変更しました" in history


def test_a_certificate_made_elsewhere_is_bound(staff: Client, settings: Any) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    certificate = NodeCertificate.objects.get()
    pem = certificate.pem.encode()
    node = certificate.node
    certificate.delete()
    answer = staff.post(
        "/admin/network/nodecertificate/add/", {"node": node.pk, "upload": SimpleUploadedFile("c.pem", pem)}
    )
    assert answer.status_code == 302
    assert NodeCertificate.objects.get().node == node
    answer = staff.post(
        "/admin/network/nodecertificate/add/", {"node": node.pk, "upload": SimpleUploadedFile("c.pem", b"nonsense")}
    )
    assert answer.status_code == 200


def test_issuing_asks_first(staff: Client) -> None:
    node = NodeCertificate.objects.get().node
    address = f"/admin/network/node/{node.pk}/issue"
    assert staff.get(address, follow=True).status_code == 200
    assert NodeCertificate.objects.count() == 1
    answer = staff.post(address if staff.get(address).status_code == 200 else f"{address}/")
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    assert NodeCertificate.objects.count() == 2


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("/admin/terminology/datatype/", "既定では文書にしない"),
        ("/admin/network/assigningauthority/", "患者番号"),
        ("/admin/network/nodecertificate/", "信頼中"),
    ],
)
def test_labels_speak_japanese(staff: Client, address: str, words: str) -> None:
    assert words in staff.get(address).content.decode()
