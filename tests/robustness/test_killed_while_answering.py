"""``kill -9`` of the whole process tree at random moments while members feed patients and provide documents.

Whatever was answered is there, once, with its audit record; whatever was not answered is there whole or not at all.
``HIE_KILLS=20`` is the full form; the suite kills fewer times to stay short.
"""

from __future__ import annotations

import base64
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from hie.values.documents import DocumentRequest
from tests.region import Region, running_region
from tests.robustness.clients import Feeding, Providing, Sender, feed_message

KILLS = int(os.environ.get("HIE_KILLS", "4"))
HAS_MEMBER = "%HasMember"


@pytest.fixture(scope="module")
def survived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Region, list[Feeding], list[Providing]]]:
    """The region after all kills, running again, and the clients that never gave up."""
    with running_region() as region:
        feeding, providing = _clients(region, tmp_path_factory.mktemp("sent"))
        clients: list[Sender] = [*feeding, *providing]
        stopping = threading.Event()
        threads = [threading.Thread(target=each.run, args=(stopping,), daemon=True) for each in clients]
        for thread in threads:
            thread.start()
        for _ in range(KILLS):
            time.sleep(random.uniform(0.05, 1.0))
            region.kill()
            region.start()
        _until_each_is_past_its_first(clients)
        stopping.set()
        for thread in threads:
            thread.join(30)
        _report(clients)
        yield region, feeding, providing


def _until_each_is_past_its_first(clients: list[Sender]) -> None:
    """On a slow machine nothing may get through between the kills; nobody is done before a second message is."""
    end = time.monotonic() + 60
    while time.monotonic() < end and any(len(each.sent) < 2 and not each.problems for each in clients):
        time.sleep(0.1)


def _clients(region: Region, directory: Path) -> tuple[list[Feeding], list[Providing]]:
    hospital, clinic = region.member("hospital"), region.member("clinic")
    feeding = [Feeding.of(hospital, "2.5", "H"), Feeding.of(clinic, "2.3.1", "C")]
    providing = []
    for name, node in (("P", "hospital"), ("Q", "hospital"), ("R", "clinic")):
        member = region.member(node)
        first = Feeding.of(member, "2.5", name)
        first._send(feed_message(member, name, control_id=f"FIRST-{name}"))
        providing.append(Providing(member=member, patient=member.regional_id(name), directory=directory))
    return feeding, providing


def _report(clients: list[Sender]) -> None:
    sent = [note for each in clients for note in each.sent]
    print(
        f"\n{KILLS} kills: {len(sent)} messages, {sum(each.attempts for each in sent)} times sent,"
        f" {sum(each.answers for each in sent)} times answered"
    )


def test_nobody_was_refused_and_everybody_was_answered(survived):
    _, feeding, providing = survived
    for each in (*feeding, *providing):
        assert not each.problems, each.problems
        assert len(each.sent) > 1
        assert all(note.answers for note in each.sent)


def test_the_kills_hit_messages_under_way(survived):
    _, feeding, providing = survived
    again = [note for each in (*feeding, *providing) for note in each.sent if note.attempts > note.answers]
    assert again, "no kill came while a message was under way: this run proved nothing"


def test_every_patient_is_in_the_index_once(survived):
    region, feeding, _ = survived
    rows = Counter(value for (value,) in region.rows("SELECT value FROM pix_localidentifier"))
    expected = {note.name: 1 for each in feeding for note in each.sent}
    assert rows == expected | {"P": 1, "Q": 1, "R": 1}
    events = Counter(
        message_id for (message_id,) in region.rows("SELECT message_id FROM pix_linkevent WHERE kind = 'register'")
    )
    assert set(events.values()) <= {1}
    for each in feeding:
        assert each.member.regional_id(each.sent[-1].name) is not None


def test_every_document_is_found_and_retrieved_with_its_bytes(survived):
    _, _, providing = survived
    for each in providing:
        found = {entry.unique_id: entry for entry in each.member.find_documents(each.patient)}
        assert set(found) == {unique_id for unique_id, (_, _, current) in each.documents.items() if current}
        requests = [
            DocumentRequest(next(iter(found.values())).repository_unique_id, unique_id) for unique_id in each.documents
        ]
        for at in range(0, len(requests), 20):
            with each.member.retrieve(*requests[at : at + 20]) as result:
                assert not result.findings
                for document in result.documents:
                    content = each.documents[document.request.document_unique_id][1]
                    assert document.path.read_bytes() == content


def test_nothing_is_doubled_and_no_submission_is_half_registered(survived):
    region, _, providing = survived
    submissions = {note.name for each in providing for note in each.sent}
    documents = {unique_id for each in providing for unique_id in each.documents}
    assert sorted(submissions) == sorted(name for (name,) in region.rows("SELECT unique_id FROM xds_submissionset"))
    assert sorted(documents) == sorted(name for (name,) in region.rows("SELECT unique_id FROM xds_documententry"))
    members = region.rows(
        "SELECT s.unique_id, e.unique_id FROM xds_submissionset s"
        " JOIN xds_association a ON a.source_uuid = s.entry_uuid AND a.association_type LIKE %s"
        " JOIN xds_documententry e ON e.entry_uuid = a.target_uuid",
        HAS_MEMBER,
    )
    pairs = [(part[0], unique_id) for each in providing for unique_id, part in each.documents.items()]
    assert sorted(members) == sorted(pairs)
    replaced = sum(not part[2] for each in providing for part in each.documents.values())
    assert region.one("SELECT count(*) FROM xds_documententry WHERE status = 1") == replaced
    assert region.one("SELECT count(*) FROM xds_association WHERE association_type LIKE %s", "%RPLC") == replaced


def test_every_answer_has_its_audit_record(survived):
    """At least as many records as answers, and no more than times sent: one that was killed may have been recorded."""
    region, feeding, providing = survived
    records = [
        bytes(message)
        for (message,) in region.rows(
            'SELECT message FROM atna_auditrecord WHERE outcome = 0 AND "transaction" IN (%s, %s, %s)',
            "ITI-8",
            "ITI-30",
            "ITI-41",
        )
    ]
    for each in feeding:
        for note in each.sent:
            _check(note, records, base64.b64encode(f"MSG-{note.name}".encode()))
    for each in providing:
        for note in each.sent:
            _check(note, records, note.name.encode())


def _check(note, records, mark):
    count = sum(mark in message for message in records)
    assert note.answers <= count <= note.attempts, f"{note}: {count} records"


def test_nothing_is_left_behind_that_grows(survived):
    """A document that was kept and not registered when the kill came stays; there are few of them a kill."""
    region, _, providing = survived
    store = region.directory / "documents"
    kept = sum(path.is_file() for path in (store / "sha256").rglob("*"))
    contents = region.one("SELECT count(*) FROM xds_content")
    assert contents == sum(len(each.documents) for each in providing)
    assert contents <= kept <= contents + KILLS * len(providing)
