"""What a person may see of an invisible identifier."""

import pytest

from hie.values.identifiers import masked


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("", ""),
        ("1", "•"),
        ("1234567", "•••••••"),
        ("12345678", "12••••78"),
        ("ab" + "0" * 28 + "yz", "ab" + "•" * 28 + "yz"),
    ],
)
def test_masked(value, shown):
    assert masked(value) == shown
