"""Facility codes, the rows and their constraints, the questions, the built-in authority, the sheet, the commands."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from apps.network import queries, services
from apps.network.models import AssigningAuthority, Community, Facility, Node
from hie.values import facilities
from hie.values.facilities import PatientIdProfile
from hie.values.identifiers import is_oid

CODE = "0110113719"


@pytest.fixture(autouse=True)
def _own_directory(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR, settings.TLS_CERTIFICATE, settings.TLS_CLIENT_CA = tmp_path, "", ""


@pytest.mark.parametrize(
    "digits", ["33120015", "01130012", "06139463", "39131156", "01010016", "138016", "130013", "0110113719"]
)
def test_luhn_vectors(digits: str) -> None:
    assert facilities.luhn_digit(digits[:-1]) == digits[-1]


@pytest.mark.parametrize(
    ("code", "is_code", "holds"),
    [
        ("0110113719", True, True),
        ("1311234567", True, False),
        ("4711234567", True, False),
        ("4811234567", False, False),
        ("0011234567", False, False),
        ("131123456", False, False),
        ("13112345678", False, False),
        ("１３11234567", False, False),
        ("13112345a7", False, False),
        ("1311234567\n", False, False),
        ("", False, False),
    ],
)
def test_facility_codes(code: str, is_code: bool, holds: bool) -> None:
    assert facilities.is_facility_code(code) is is_code
    assert facilities.check_digit_holds(code) is holds


@pytest.mark.parametrize(
    ("code", "kind"),
    [("1311234567", "hospital"), ("1331234567", "dental"), ("1341234567", "pharmacy"), ("1361234567", "home-nursing")],
)
def test_the_third_digit_tells_the_kind(code: str, kind: str) -> None:
    assert facilities.kinds_of(code)[0] == kind


def test_oids_of_a_facility_are_oids() -> None:
    assert facilities.patient_id_oid("1311234567") == "1.2.392.100495.20.3.51.11311234567"
    root = f"2.25.{2**128 - 1}"
    assert is_oid(facilities.repository_oid(root, "0110113719"))


@pytest.mark.parametrize(
    ("profile", "one", "other", "same"),
    [
        (PatientIdProfile(), "000111", "111", False),
        (PatientIdProfile(), " 111 ", "111", True),
        (PatientIdProfile(strip_zeros=True), "000111", "111", True),
        (PatientIdProfile(strip_zeros=True), "000", "0", True),
        (PatientIdProfile(strip_zeros=True), "い312", "い312", True),
        (PatientIdProfile(length=10, pad=True), "111", "0000000111", True),
        (PatientIdProfile(uppercase=True), "aa12", "AA12", True),
        (PatientIdProfile(), "aa12", "AA12", False),
    ],
)
def test_chart_numbers_compare_as_the_facility_writes_them(
    profile: PatientIdProfile, one: str, other: str, same: bool
) -> None:
    assert (profile.comparable(one) == profile.comparable(other)) is same


@pytest.mark.django_db
def test_a_facility_brings_its_authority() -> None:
    services.add_facility(code=CODE, name="北海道中央病院", kana="ホッカイドウ")
    found = queries.facility(CODE)
    assert found is not None
    assert found.kind == "hospital"
    assert found.authority.oid == "1.2.392.100495.20.3.51.10110113719"
    assert queries.facility_of_authority(found.authority.oid) == found
    assert queries.authority(found.authority.namespace) == found.authority
    assert queries.authority("9.9.9") is None
    assert queries.facility_of_authority(queries.affinity_domain().oid) is None
    assert queries.affinity_domain() in queries.authorities()


@pytest.mark.django_db
def test_adding_twice_adds_once() -> None:
    for _ in range(2):
        services.add_facility(code=CODE, name="北海道中央病院")
        services.add_node(facility_code=CODE, name="north")
        services.set_own_rows()
    assert (Facility.objects.count(), Node.objects.count(), Community.objects.count()) == (1, 1, 1)
    assert AssigningAuthority.objects.count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize("values", [{"code": "123"}, {"name": ""}, {"patient_id_oid": "1.02"}, {"kind": "ship"}])
def test_a_facility_that_cannot_be_is_refused(values: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        services.add_facility(**{"code": CODE, "name": "病院", **values})


@pytest.mark.django_db
@pytest.mark.parametrize(
    "second",
    [
        lambda: Facility.objects.create(code=CODE, name="x", patient_id_oid="1.2.3", repository_oid="1.2.4"),
        lambda: Facility.objects.create(code="1311234567", name=""),
        lambda: Facility.objects.create(code="1311234567", name="x", patient_id_pad=True),
        lambda: Facility.objects.create(
            code="1311234567", name="x", patient_id_pad=True, patient_id_length=5, patient_id_strip_zeros=True
        ),
        lambda: _node(name="north"),
        lambda: _node(name="other", sending_facility="F", sending_application="A"),
        lambda: _node(name="other", sending_facility="F"),
        lambda: AssigningAuthority.objects.create(oid="1.2.3", namespace=f"H{CODE}", name="x"),
        lambda: AssigningAuthority.objects.create(oid="1.2.3", namespace="", name="x"),
        lambda: Community.objects.create(home_community_oid="1.2.3", name="x", is_own=True),
    ],
)
def test_the_database_refuses(second: Any) -> None:
    services.add_facility(code=CODE, name="病院")
    services.add_node(facility_code=CODE, name="north", sending_facility="F", sending_application="A")
    with pytest.raises(IntegrityError), transaction.atomic():
        second()


def _node(**values: str) -> Node:
    return Node.objects.create(facility=Facility.objects.get(code=CODE), **values)


@pytest.mark.django_db
def test_nodes_without_a_sender_stand_beside_each_other() -> None:
    services.add_facility(code=CODE, name="病院")
    services.add_node(facility_code=CODE, name="one")
    services.add_node(facility_code=CODE, name="two")
    assert Node.objects.count() == 2


@pytest.mark.django_db
def test_the_built_in_authority_signs_and_keeps_its_key_to_itself(tmp_path: Path) -> None:
    joined = services.add_hospital(code=CODE, name="北海道中央病院", node_name="north")
    assert joined.issued is not None
    authority = x509.load_pem_x509_certificate(joined.issued.authority)
    certificate = x509.load_pem_x509_certificate(joined.issued.certificate)
    certificate.verify_directly_issued_by(authority)
    path = services.keep_certificate(joined.issued)
    for file in (*tmp_path.glob("tls/*.key"), *tmp_path.glob("tls/nodes/*.key")):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert path == tmp_path / "tls" / "nodes" / "north.pem"
    row = joined.node.certificates.get()
    assert "PRIVATE" not in row.pem
    assert row.fingerprint == joined.issued.fingerprint
    opened = serialization.pkcs12.load_key_and_certificates(joined.issued.pkcs12("secret"), b"secret")
    assert opened[1] == certificate


@pytest.mark.django_db
def test_the_server_certificate_names_the_hosts_and_is_kept(settings: Any) -> None:
    settings.HOST_NAMES = ["hie.example.jp"]
    path = services.issue_server_certificate()
    first = path.read_bytes()
    names = x509.load_pem_x509_certificate(first).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "hie.example.jp" in names.get_values_for_type(x509.DNSName)
    assert "127.0.0.1" in [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    assert services.issue_server_certificate().read_bytes() == first
    settings.HOST_NAMES = ["other.example.jp"]
    assert services.issue_server_certificate().read_bytes() != first


@pytest.mark.django_db
def test_a_network_with_its_own_authority_has_no_built_in_one(settings: Any) -> None:
    settings.TLS_CLIENT_CA = "/etc/ca.pem"
    with pytest.raises(services.NoBuiltInAuthorityError):
        services.add_hospital(code=CODE, name="病院", node_name="north")
    assert not Facility.objects.exists(), "all or nothing"


@pytest.mark.django_db
def test_a_certificate_stands_for_one_node() -> None:
    services.add_facility(code=CODE, name="病院")
    services.add_node(facility_code=CODE, name="one")
    services.add_node(facility_code=CODE, name="two")
    issued = services.issue_certificate(node_name="one")
    assert services.bind_certificate(node_name="one", certificate=issued.certificate).node.name == "one"
    with pytest.raises(ValueError, match="another node"):
        services.bind_certificate(node_name="two", certificate=issued.certificate)
    with pytest.raises(ValueError, match="cannot be read"):
        services.bind_certificate(node_name="two", certificate=b"-----BEGIN nonsense")


@pytest.mark.django_db
@pytest.mark.parametrize("language", ["ja", "en"])
def test_the_sheet_says_what_a_hospital_types_in(language: str) -> None:
    joined = services.add_hospital(
        code=CODE, name="A&B病院", node_name="north", sending_facility="HOSP1", sending_application="HIS"
    )
    assert joined.issued is not None
    sheet = services.connection_sheet(node_name="north", language=language)
    for words in (
        "A&B病院",
        f"H{CODE}&1.2.392.100495.20.3.51.1{CODE}&ISO",
        "HOSP1",
        "HIS",
        queries.affinity_domain().hd,
        queries.home_community_id(),
        joined.issued.fingerprint,
        "north.pem",
    ):
        assert words in sheet
    package = zipfile.ZipFile(io.BytesIO(services.connection_package(joined.issued)))
    assert {"north.pem", "north.key", "ca.pem", "connection-sheet-ja.md"} <= set(package.namelist())


@pytest.mark.django_db
def test_commands(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    call_command("add_hospital", "1311234567", "中央病院", node="central", language="en")
    printed = capsys.readouterr()
    assert "Connection sheet: 中央病院" in printed.out
    assert "check digit" in printed.err
    call_command("issue_certificate", "central")
    call_command("issue_certificate", server=True)
    assert (tmp_path / "tls" / "server.key").is_file()
    capsys.readouterr()
    call_command("network", json=True)
    assert json.loads(capsys.readouterr().out)[0]["nodes"][0]["name"] == "central"
    with pytest.raises(CommandError):
        call_command("add_hospital", "123", "x")
    with pytest.raises(CommandError, match="no node"):
        call_command("issue_certificate", "nobody")
