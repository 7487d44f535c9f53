"""Ids that are derived from a name are the UUIDs of version 5 that the standard library makes."""

import uuid

import pytest

from hie.values.identifiers import named_uuid_urn, urn_oid, uuid_oid


@pytest.mark.parametrize("name", ["", "entry|1319999998|検査|0", *(f"urn:uuid:{number}#" for number in range(64))])
def test_the_same_as_the_standard_librarys(name: str) -> None:
    wanted = uuid.uuid5(uuid.NAMESPACE_URL, name)
    urn = named_uuid_urn(uuid.NAMESPACE_URL.bytes + name.encode())
    assert urn == wanted.urn
    assert urn_oid(urn) == uuid_oid(wanted)
