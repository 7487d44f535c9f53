"""``kill -9`` before every single step of ITI-41 leaves all of the submission or nothing of it (``stopping``)."""

from __future__ import annotations

import json

import pytest

from tests.region import prepared_region

pytestmark = pytest.mark.django_db

WHOLE = {
    "entries": 1, "values": 1, "documents": 1, "sets": 1, "associations": 2, "replaced": 1, "records": 1,
}  # fmt: skip
NOTHING = dict.fromkeys(WHOLE, 0)


def test_all_or_nothing_is_left_and_the_message_sent_again_completes_it() -> None:
    with prepared_region() as region:
        certificate = str(region.credentials("hospital").certificate)
        done = region.run("-m", "tests.robustness.stopping", certificate)
    attempts = [json.loads(line) for line in done.stdout.splitlines()]
    steps = [each["step"] for each in attempts]
    assert steps[-1] == ""
    kinds = {step.rpartition(" ")[0] for step in steps}
    assert {"link", "replace", "fsync", "commit", "after commit"} <= kinds
    tables = ("content", "documententry", "submissionset", "association", "confidentialitycode")
    assert {f"INSERT INTO xds_{table}" for table in tables} <= {" ".join(kind.split()[:3]) for kind in kinds}
    for each in attempts:
        assert each["left"] in (NOTHING, WHOLE), each
        assert each["after"] == WHOLE, each
    whole = {each["step"].rpartition(" ")[0] for each in attempts if each["left"] == WHOLE}
    assert {"", "after commit"} <= whole
    assert whole <= {"", "after commit", "unlink"}
