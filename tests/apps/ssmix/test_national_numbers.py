"""A file of a storage with a My Number or a resident record code in it becomes known to nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from apps.ids.rules import names_national_number
from apps.network.services import add_facility
from apps.pix.models import LocalIdentifier
from apps.pix.services import feed
from apps.ssmix.models import State, StorageRoot, StoredFile
from apps.ssmix.services import add_storage, scan
from apps.ssmix.services.national_numbers import Watch
from apps.xds.models import DocumentEntry
from hie.values.identifiers import Identifier
from hie.values.patients import FeedEvent, PatientFeed
from tests.apps.ssmix.conftest import FACILITY
from tests.apps.ssmix.storage import Storage, message
from tests.apps.ssmix.test_extended import P, write

pytestmark = pytest.mark.django_db
P1, P2 = "0000000001", "0000000002"
MY_NUMBER, RESIDENT_CODE = "個人番号 9832-0567-3214", "住民票コード:24727059608"


@pytest.mark.parametrize("number", [MY_NUMBER, RESIDENT_CODE])
def test_a_document_with_such_a_number_is_kept_out(storage: Storage, root: StorageRoot, number: str) -> None:
    storage.demographics(P1)
    storage.write(P1)
    storage.write(P1, order="000000000000102", raw=message(P1, order="000000000000102", more=number))
    scan(root)
    bad = StoredFile.objects.get(order_number="000000000000102")
    assert (bad.state, bad.rules) == (State.QUARANTINED, "OWN-08")
    assert DocumentEntry.objects.count() == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [("^花子0000", "^花子983205673214 "), ("PV1|0001|O", "NTE|1||マイナンバー 983205673214\rPV1|0001|O")],
)
def test_a_patient_with_such_a_number_is_not_fed(storage: Storage, root: StorageRoot, before: str, after: str) -> None:
    raw = message(P2, "ADT^A08^ADT_A01").decode("iso2022_jp").replace(before, after).encode("iso2022_jp")
    storage.write(P2, "ADT-00", date="-", order="9" * 15, department="-", raw=raw)
    storage.write(P2)
    scan(root)
    assert "OWN-08" in StoredFile.objects.get(data_type="ADT-00").rules
    assert not LocalIdentifier.objects.exists()
    assert not DocumentEntry.objects.exists()


def test_long_numbers_of_other_kinds_are_none(storage: Storage, root: StorageRoot) -> None:
    storage.demographics(P1)
    storage.write(P1, raw=message(P1, more=" 983205673214 JAN 4912345678904"))
    scan(root)
    assert DocumentEntry.objects.count() == 1


@pytest.mark.parametrize("encoding", ["utf-8", "cp932", "iso2022_jp", "euc_jp"])
def test_a_content_folder_with_such_a_number_is_kept_out(tmp_path: Path, encoding: str) -> None:
    place = tmp_path / "ANX01"
    place.mkdir()
    add_facility(code=FACILITY, name="架空病院", kind="hospital")
    feed(PatientFeed(FeedEvent.REGISTER, "ADT^A08", "1", (Identifier(P),)), FACILITY)
    root = add_storage(facility_code=FACILITY, path=str(place), kind="extended", quiet_seconds=0)
    write(place, {"main_document.txt": b"clean", "note.txt": f"紹介 {MY_NUMBER}".encode(encoding)})
    scan(root)
    assert "OWN-08" in StoredFile.objects.get().rules
    assert not DocumentEntry.objects.exists()


def test_a_number_across_two_pieces_of_a_file_is_found() -> None:
    raw = ("あ" * 1000 + MY_NUMBER).encode()
    for cut in range(len(raw) - 30, len(raw)):
        watch = Watch()
        for piece in (raw[:cut], raw[cut:]):
            watch.see(piece, "note.txt")
        assert watch.found
    watch = Watch()
    watch.see(raw, "picture.png")
    assert not watch.found


@pytest.mark.parametrize(
    "text",
    [
        "ﾏｲﾅﾝﾊﾞｰ 983205673214",
        "My Number:983205673214",
        "ＮＮＪＰＮ 983205673214",
        "resident code 24727059608",
        MY_NUMBER,
    ],
)
def test_every_spelling_of_the_words_is_looked_for(text: str) -> None:
    found = names_national_number(f"{'|' * 5000}{text}{'|' * 5000}")
    assert found is not None
    assert found.refused
