"""What the flags of one key mean, as a table."""

from __future__ import annotations

import pytest

from apps.ssmix.rules import Version, is_settled, judge, keeps_several


def version(text: str) -> Version:
    """``<time>_<flag>``, then ``x`` for a cancellation, ``!`` for one that cannot be used, ``/dept``."""
    rest, _, department = text.partition("/")
    time, _, flag = rest.partition("_")
    return Version(text, flag[0], time, department, 0, cancels="x" in flag, usable="!" not in flag)


CASES = [
    (["1_1"], False, {"1_1": "current"}, set()),
    (["1_2", "2_1"], False, {"1_2": "history", "2_1": "current"}, set()),
    (["1_0", "2_1"], False, {"1_0": "deleted", "2_1": "current"}, set()),
    (["1_0", "2_0"], False, {"1_0": "deleted", "2_0": "deleted"}, set()),
    (["1_1", "2_1"], False, {"1_1": "history", "2_1": "current"}, {"LIFE-01"}),
    (["1_1/01", "2_1/02"], True, {"1_1/01": "current", "2_1/02": "current"}, {"LIFE-01"}),
    (["1_2"], False, {"1_2": "history"}, {"LIFE-02"}),
    (["1_2", "2_1!"], False, {"1_2": "history"}, set()),
    (["1_1x"], True, {"1_1x": "cancel"}, set()),
    (["1_1/01", "2_1x/01"], True, {"1_1/01": "deleted", "2_1x/01": "cancel"}, set()),
    (
        ["1_1/01", "2_1/02", "3_1x/01"],
        True,
        {"1_1/01": "deleted", "2_1/02": "current", "3_1x/01": "cancel"},
        {"LIFE-01"},
    ),
    (["1_1x/01", "2_1/01"], True, {"1_1x/01": "cancel", "2_1/01": "current"}, set()),
    (["1_1", "2_1x"], False, {"1_1": "deleted", "2_1x": "cancel"}, set()),
    (["1_1x", "2_1"], False, {"1_1x": "cancel", "2_1": "current"}, set()),
]


@pytest.mark.parametrize(("texts", "several", "states", "rules"), CASES)
def test_the_flags_of_a_key(texts: list[str], several: bool, states: dict[str, str], rules: set[str]) -> None:
    verdicts = judge([version(text) for text in texts], several=several)
    assert {name: verdict.state.value for name, verdict in verdicts.items()} == states
    assert {rule for verdict in verdicts.values() for rule in verdict.rules} == rules


@pytest.mark.parametrize(
    ("data_type", "order", "several"),
    [
        ("ADT-12", "9" * 15, True),
        ("ADT-12", "000000000000001", False),
        ("ADT-00", "9" * 15, False),
        ("PPR-01", "9" * 15, False),
        ("OMP-01", "9" * 15, False),
        ("OMG-13", "9" * 15, True),
        ("OML-12", "9" * 15, False),
    ],
)
def test_only_dated_events_share_a_key(data_type: str, order: str, several: bool) -> None:
    assert keeps_several(data_type, order) is several


@pytest.mark.parametrize(("age", "settled"), [(10, True), (9, False), (0, False), (-9, False), (-11, True)])
def test_rest(age: int, settled: bool) -> None:
    now = 1_000_000_000_000
    assert is_settled(now - age * 1_000_000_000, now, 10) is settled
