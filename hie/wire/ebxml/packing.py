"""How a fragment lies in its column: Zstandard with a dictionary of what all fragments share.

Nine tenths of a fragment are the words of ebRIM, the schemes and the codes of the network; the dictionary holds them
once. The first byte of what is kept is the number of its dictionary. A fragment that lies there as it is begins with
``<``: so do the rows of a database that is older than this.

A dictionary is never changed, because rows can only be read with the one that packed them. Another one gets the next
number and a file of its own: sample fragments one after the other, the commonest last.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from backports import zstd

_PRESENT = 1  # the dictionary that new rows are packed with
_LEVEL = 1  # higher ones take longer and find nothing more behind a dictionary


def pack(fragment: bytes) -> bytes:
    """A fragment as its column keeps it."""
    return bytes([_PRESENT]) + zstd.compress(fragment, _LEVEL, zstd_dict=_dictionary(_PRESENT).as_digested_dict)


def unpack(kept: bytes) -> bytes:
    """The fragment that a column keeps. Raises ValueError where it is none, or its dictionary is not known here."""
    if kept[:1] == b"<":
        return kept
    try:
        return zstd.decompress(kept[1:], zstd_dict=_dictionary(kept[0]).as_digested_dict)
    except (zstd.ZstdError, OSError, IndexError) as error:
        raise ValueError("not a packed fragment, or one of a newer version of the program") from error


@cache
def _dictionary(number: int) -> zstd.ZstdDict:
    return zstd.ZstdDict((Path(__file__).parent / f"fragments-{number}.dict").read_bytes(), is_raw=True)
