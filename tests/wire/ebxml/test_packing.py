"""A fragment in its column: nothing is lost, and what was packed once can be read for ever."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hie.wire.ebxml import packing
from hie.wire.ebxml.attributes import MODELS
from hie.wire.ebxml.fragments import write_fragment
from hie.wire.ebxml.packing import pack, unpack
from tests.wire.ebxml import objects

# Rows can only be read with the dictionary that packed them: a digest is added here, and none is ever changed.
DICTIONARIES = {1: "909a0169d65c3d502797b52e69ddc90644418806e4c15eff6507afdc51856a5e"}


@given(st.one_of(*map(objects.objects_of, MODELS)))
@settings(deadline=None, max_examples=100)
def test_a_fragment_comes_back(each: Any) -> None:
    written = write_fragment(each)
    assert unpack(pack(written)) == written


def test_a_row_that_was_not_packed_is_read() -> None:
    written = write_fragment(objects.DOCUMENT_ENTRY)
    assert unpack(written) == written


def test_what_all_fragments_share_takes_no_room() -> None:
    for each in (objects.DOCUMENT_ENTRY, objects.SUBMISSION_SET, objects.FOLDER, *objects.ASSOCIATIONS):
        assert len(pack(write_fragment(each))) < len(write_fragment(each)) / 3


def test_a_dictionary_stays_what_it_is() -> None:
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in _dictionaries()}
    assert files == {f"fragments-{number}.dict": digest for number, digest in DICTIONARIES.items()}


@pytest.mark.parametrize("kept", [b"", b"\x01", b"\x01 no frame", b"\xff(\xb5/\xfd", b"{}"])
def test_what_is_no_packed_fragment_is_refused(kept: bytes) -> None:
    with pytest.raises(ValueError, match="fragment"):
        unpack(kept)


def test_a_damaged_row_is_refused() -> None:
    packed = pack(write_fragment(objects.DOCUMENT_ENTRY))
    with pytest.raises(ValueError, match="fragment"):
        unpack(packed[:-5])


def _dictionaries() -> list[Path]:
    return sorted(Path(packing.__file__).parent.glob("*.dict"))
