"""Sealed documents: what was sealed comes back; what was altered, cut, moved or swapped does not."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from apps.xds.stores import sealing
from apps.xds.stores.sealing import CHUNK, TAG, Sealed

PLACE = "sealed:x"
WHOLE = CHUNK + TAG


def sealed(data: bytes, key: bytes) -> bytes:
    return b"".join(sealing.seal(io.BytesIO(data), key))


def opened(path: Path, data: bytes, key: bytes) -> bytes:
    path.write_bytes(data)
    with Sealed(path, key).open("rb") as file:
        return file.read()


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 7])
def test_what_was_sealed_comes_back(size: int, tmp_path: Path) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    data, key = data[:size], sealing.new_key()
    kept = sealed(data, key)
    assert len(kept) == sealing.sealed_size(size)
    assert len(data) < 32 or data[:32] not in kept
    assert opened(tmp_path / "x", kept, key) == data


def test_it_is_read_in_pieces_and_again(tmp_path: Path) -> None:
    key, data = sealing.new_key(), b"0123456789" * 20_000
    path = tmp_path / "x"
    path.write_bytes(sealed(data, key))
    each = Sealed(path, key)
    for _ in range(2):
        with each.open("rb") as file:
            assert b"".join(iter(lambda: file.read(777), b"")) == data


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "a bit in the first chunk": lambda kept: bytes((kept[0] ^ 1,)) + kept[1:],
    "a bit in the last tag": lambda kept: kept[:-1] + bytes((kept[-1] ^ 1,)),
    "cut inside a chunk": lambda kept: kept[:-3],
    "cut between two chunks": lambda kept: kept[: 2 * WHOLE],
    "nothing left": lambda kept: b"",
    "two chunks exchanged": lambda kept: kept[WHOLE : 2 * WHOLE] + kept[:WHOLE] + kept[2 * WHOLE :],
    "a chunk left out": lambda kept: kept[:WHOLE] + kept[2 * WHOLE :],
    "a chunk twice": lambda kept: kept[:WHOLE] + kept,
    "something after the end": lambda kept: kept + b"x",
    "the last chunk twice": lambda kept: kept + kept[2 * WHOLE :],
}


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_damage_is_noticed(damage: str, tmp_path: Path) -> None:
    key = sealing.new_key()
    kept = sealed(b"a" * (2 * CHUNK + 100), key)
    with pytest.raises(OSError, match="chunk"):
        opened(tmp_path / "x", DAMAGES[damage](kept), key)


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="chunk 0"):
        opened(tmp_path / "x", sealed(b"abc", sealing.new_key()), sealing.new_key())


def test_a_wrapped_key_opens_only_with_its_opener_and_at_its_place() -> None:
    key, opener = sealing.new_key(), sealing.new_key()
    wrapped = sealing.wrap(key, PLACE, opener)
    assert key not in wrapped
    assert sealing.wrap(key, PLACE, opener) != wrapped
    assert sealing.unwrap(wrapped, PLACE, opener) == key
    for place, other in ((PLACE, sealing.new_key()), ("sealed:y", opener)):
        with pytest.raises(ValueError, match="does not open"):
            sealing.unwrap(wrapped, place, other)
