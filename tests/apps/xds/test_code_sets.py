"""Code sets: loaded and written, judged where the network is strict, looked after in the admin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from apps.xds.models import AcceptedCode
from apps.xds.queries import accepted_codes
from apps.xds.services import dump_codes, load_codes, register
from hie.values.codes import Code
from hie.values.errors import ExchangeError, Reason
from hie.wire.ebxml.codes import read_codes
from tests.apps.xds.samples import FACILITY, entry, folder, submission
from tests.conformance import CONFORMANCE, needs_conformance

pytestmark = pytest.mark.django_db

CODES = b"""<Codes>
<CodeType name="classCode"><Code code="A" codingScheme="1.2.3" display="Alpha" system="urn:x"/></CodeType>
<CodeType name="eventCodeList"><Code code="E" codingScheme="1.2.3" display="Event"/></CodeType>
<CodeType name="folderCodeList"><Code code="F" codingScheme="1.2.3" display="Folder"/></CodeType>
<CodeType name="mimeType"><Code code="text/plain" ext="txt"/><Code code="application/pdf" ext="pdf"/></CodeType>
</Codes>"""


@pytest.fixture(autouse=True)
def _forgotten() -> None:
    accepted_codes.forget()


def test_loaded_again_nothing_changes() -> None:
    assert load_codes(CODES) == 5
    assert load_codes(CODES) == 0
    fewer = CODES.replace(b'<Code code="application/pdf" ext="pdf"/>', b"").replace(b"Alpha", b"First")
    assert load_codes(fewer) == 1
    assert AcceptedCode.objects.get(code="A").display == "First"
    assert load_codes(fewer, replace=True) == 1
    assert not AcceptedCode.objects.get(code="application/pdf").enabled
    assert AcceptedCode.objects.get(code="E").enabled


def test_written_and_read_again() -> None:
    load_codes(CODES)
    assert read_codes(dump_codes()).code_types == read_codes(CODES).code_types


@needs_conformance
def test_the_public_file_comes_through() -> None:
    raw = (CONFORMANCE / "codes" / "codes.xml").read_bytes()
    load_codes(raw)
    assert set(read_codes(dump_codes()).code_types) == set(read_codes(raw).code_types)


def test_a_wrong_file_changes_nothing() -> None:
    with pytest.raises(ExchangeError):
        load_codes(CODES.replace(b'"classCode"', b'"lassCode"'))
    assert not AcceptedCode.objects.exists()


GOOD = {"class_code": Code("A", "1.2.3"), "event_code_list": (Code("E", "1.2.3"),)}
REFUSED: tuple[tuple[dict[str, Any], dict[str, Any], set[str]], ...] = (
    ({}, {}, set()),
    ({"class_code": Code("B", "1.2.3")}, {}, {"classCode"}),
    ({"class_code": Code("A", "9.9")}, {}, {"classCode"}),
    ({"event_code_list": (Code("E", "1.2.3"), Code("X", "1.2.3"))}, {}, {"eventCodeList"}),
    ({"mime_type": "image/png", "class_code": Code("B", "1.2.3")}, {}, {"mimeType", "classCode"}),
    ({"type_code": Code("any", "9.9")}, {}, set()),
    ({}, {"code_list": (Code("G", "1.2.3"),)}, {"folderCodeList"}),
)


@pytest.mark.parametrize(("of_entry", "of_folder", "refused"), REFUSED)
def test_a_strict_network_refuses_other_codes(
    patient: str, settings: Any, of_entry: dict[str, Any], of_folder: dict[str, Any], refused: set[str]
) -> None:
    load_codes(CODES)
    document = entry(patient, **(GOOD | of_entry))
    its_folder = folder(patient, **({"code_list": (Code("F", "1.2.3"),)} | of_folder))
    sent = submission(patient, document, folders=(its_folder,))
    settings.CODE_SETS = "strict"
    if not refused:
        register(sent, facility_code=FACILITY)
        return
    with pytest.raises(ExchangeError) as refusal:
        register(sent, facility_code=FACILITY)
    assert {each.location.rpartition(": ")[2] for each in refusal.value.findings} == refused
    assert {each.reason for each in refusal.value.findings} == {Reason.METADATA}
    settings.CODE_SETS = "lenient"
    register(sent, facility_code=FACILITY)


def test_the_codes_of_our_own_documents_are_accepted_where_a_list_is_strict() -> None:
    from apps.terminology.queries import codes

    load_codes(CODES)
    own = codes("class")
    assert own
    assert {(each.code, each.scheme) for each in own} < accepted_codes()["classCode"]


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "codes.xml"
    path.write_bytes(CODES)
    call_command("load_code_sets", str(path))
    assert "5 codes" in capsys.readouterr().out
    call_command("load_code_sets", str(tmp_path / "out.xml"), "--export")
    assert read_codes((tmp_path / "out.xml").read_bytes()).code_types == read_codes(CODES).code_types
    path.write_bytes(b"<other/>")
    with pytest.raises(CommandError, match="root"):
        call_command("load_code_sets", str(path))
    with pytest.raises(CommandError, match="No such file"):
        call_command("load_code_sets", str(tmp_path / "none.xml"))


def test_in_the_admin(client: Client) -> None:
    client.force_login(User.objects.create_superuser("admin"))
    load = reverse("admin:xds_acceptedcode_take_in")
    assert client.get(load).status_code == 200
    wrong = client.post(load, {"file": SimpleUploadedFile("codes.xml", b"<other/>")})
    assert "Codes" in wrong.content.decode()
    done = client.post(load, {"file": SimpleUploadedFile("codes.xml", CODES)})
    assert done.status_code == 302
    assert AcceptedCode.objects.count() == 5
    saved = client.get(reverse("admin:xds_acceptedcode_write_out"))
    assert read_codes(saved.content).code_types == read_codes(CODES).code_types
    assert client.get(reverse("admin:xds_acceptedcode_changelist")).status_code == 200
