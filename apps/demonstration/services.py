"""Preparing the demonstration region, once: members, storages, consent, accounts."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone

from apps.consent.models import LegalBasis, Obtained
from apps.consent.services import record_directive
from apps.network import services as network
from apps.network.models import Facility
from apps.pix import queries as pix
from apps.ssmix.management.commands.make_storage import share_out, write_files
from apps.ssmix.models import StorageRoot
from apps.ssmix.services import scan
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.wire.ssmix.fictional.messages import Place
from hie.wire.ssmix.fictional.people import FictionalPerson, make_people
from hie.wire.ssmix.fictional.storage import make_storage

PERSONS = 60
SEED = 20260401
ADMINISTRATOR = "admin"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Member:
    """A facility of the demonstration: its node's name, its (fictional) code, its names, its kind."""

    node: str
    code: str
    name: str
    kana: str
    kind: str


MEMBERS = (
    Member("hospital", "1319999015", "模擬中央病院", "モギチュウオウビョウイン", "hospital"),
    Member("clinic", "1319999023", "架空内科クリニック", "カクウナイカクリニック", "clinic"),
    Member("pharmacy", "1349999035", "見本薬局", "ミホンヤッキョク", "pharmacy"),
)


def is_prepared() -> bool:
    """Whether the region was prepared before."""
    return _marker().exists()


def prepare(say: Say) -> None:
    """Prepare the region; what an interrupted preparation left is completed. ``say`` hears each step."""
    network.set_own_rows()
    network.issue_server_certificate()
    for member in MEMBERS:
        _join(member)
    say("members: " + ", ".join(f"{member.name} ({member.node})" for member in MEMBERS))
    people = _fill_storages(timezone.localdate())
    for root in StorageRoot.objects.order_by("id"):
        say(f"scanning {root.path}")
        scan(root)
    say(f"consent: {_record_consent(people)} of {PERSONS} persons let all members see their records")
    _make_account()
    _marker().touch()


def account() -> tuple[str, str]:
    """The administrator's name and password, as kept in the data directory (readable by its owner alone)."""
    return ADMINISTRATOR, _password_file().read_text(encoding="ascii")


def _join(member: Member) -> None:
    if Facility.objects.filter(code=member.code).exists():
        return
    with transaction.atomic():
        joined = network.add_hospital(
            code=member.code,
            name=member.name,
            kana=member.kana,
            kind=member.kind,
            node_name=member.node,
            sending_facility=member.code,
            sending_application="EHR",
        )
        assert joined.issued is not None
        network.keep_connection(joined.issued)


def _places() -> list[Place]:
    return [Place(member.code, member.name) for member in MEMBERS]


def _fill_storages(today: date) -> list[tuple[FictionalPerson, str, str]]:
    """Write the storages and make them known; return (person, facility code, chart number) of everybody's first one."""
    firsts: dict[int, tuple[FictionalPerson, str, str]] = {}
    for place, patients in share_out(_places(), make_people(PERSONS, SEED, today), shared=0.5).items():
        root = settings.DATA_DIR / "demonstration" / place.facility_code
        if not root.exists():
            write_files(root, make_storage(place, patients, SEED, today))
        StorageRoot.objects.get_or_create(
            path=str(root),
            kind="standard",
            defaults={"facility": Facility.objects.get(code=place.facility_code), "name": "STD01", "quiet_seconds": 0},
        )
        for person, chart_number in patients:
            firsts.setdefault(person.number, (person, place.facility_code, chart_number))
    return list(firsts.values())


def _record_consent(people: list[tuple[FictionalPerson, str, str]]) -> int:
    """Two persons of three have said yes; the third has said nothing, and the network asks first (opt-in)."""
    said_yes = 0
    for person, code, chart_number in people:
        oid = Facility.objects.values_list("patient_id_oid", flat=True).get(code=code)
        regional_id = pix.regional_id_of(Identifier(chart_number, AssigningAuthority(oid)))
        if person.number % 3 == 0 or regional_id is None:
            continue
        record_directive(
            patient_regional_id=regional_id,
            permits=True,
            legal_basis=LegalBasis.CONSENT,
            obtained=Obtained.WRITTEN,
            recorded_by=ADMINISTRATOR,
        )
        said_yes += 1
    return said_yes


def _make_account() -> None:
    users = get_user_model()
    if users.objects.filter(username=ADMINISTRATOR).exists():
        return
    password = secrets.token_urlsafe(9)
    path = _password_file()
    path.touch(mode=0o600)
    path.write_text(password, encoding="ascii")
    users.objects.create_superuser(ADMINISTRATOR, password=password)


def _password_file() -> Path:
    return Path(settings.DATA_DIR) / "demonstration" / "admin-password"


def _marker() -> Path:
    return Path(settings.DATA_DIR) / "demonstration" / "prepared"
