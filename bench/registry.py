"""The registry at two sizes: how fast each of its doors is, and how much slower a hundred times as many rows make it.

Every caller asks for another patient with each message, so that nothing answers out of a small cache. Documents that
are submitted differ in every byte that matters; so do their ids and patients.
"""

from __future__ import annotations

import itertools
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from apps.network.models import Facility
from bench import doors
from bench.load import Rate, Send, measure
from bench.population import DOCUMENTS, Template, make_template, populate, size_of_database
from bench.region import Region
from bench.wire import https_sender
from hie.transport.outside import FIND_DOCUMENTS
from hie.values.documents import APPROVED, RetrieveRequest, StoredQuery
from hie.values.identifiers import Identifier
from hie.wire.ebxml import register, retrieve, stored_query
from hie.wire.soap.envelope import SoapBody, write_request
from hie.wire.soap.mtom import write_multipart

CALLERS = 8
KB = 1024
_REPOSITORY = "1.2.392.99.7"
# Messages of each caller before the measuring: a connection plans a statement anew ten times for each partition.
_WARM_UP = 160


@dataclass(frozen=True, slots=True)
class Case:
    """One door: what is sent, and the aim at the full size (messages a second). size: bytes of its document."""

    name: str
    service: str
    content_type: str
    message: bytes
    aim: int
    size: int = 0


def fill_first(region: Region, entries: int) -> tuple[Template, list[Case]]:
    """A region with a hundredth of the entries, and what will be sent to it."""
    fixture = doors.prepare(region, persons=3)
    patient = doors._regional(fixture.outside.chart_number("P00002"))  # who has no documents yet
    Facility.objects.filter(code=doors.CODE).update(repository_oid=_REPOSITORY)
    path = region.directory / "template.txt"
    path.write_bytes(b"t" * 2 * KB)
    template = make_template(patient, doors._submission(patient, path), region.directory, facility_code=doors.CODE)
    populate(template, 0, max(entries // 100 // DOCUMENTS, 1))
    return template, list(_cases(region, fixture, template))


def measure_all(region: Region, cases: list[Case], entries: int, seconds: float) -> list[Rate]:
    """Each door in turn, with so many entries there; a line each."""
    patients = max(entries // DOCUMENTS, 1)
    context = doors._tls_context(region)
    print(f"{entries:,} entries of {patients:,} patients, {CALLERS} callers", flush=True)
    return [_measure(region, context, case, patients, seconds) for case in cases]


def fill_up(template: Template, entries: int) -> None:
    """The rest of the entries."""
    populate(template, max(entries // 100 // DOCUMENTS, 1), entries // DOCUMENTS)
    size = size_of_database()
    print(f"  database: {size / 1024**3:,.1f} GiB, {size / entries:,.0f} bytes an entry", flush=True)


def compare_sizes(cases: list[Case], before: list[Rate], after: list[Rate]) -> None:
    """What the size costs: a line each."""
    for case, first, second in zip(cases, before, after, strict=True):
        slower = 1 - second.per_second / first.per_second
        print(f"  {case.name:28} {slower:+.0%} slower at a hundred times the size", flush=True)


def _measure(region: Region, context: ssl.SSLContext, case: Case, patients: int, seconds: float) -> Rate:
    ours = _sender(region.https_port, context, case, f"/soap/{case.service}", b"ResponseStatusType:Success")
    length = _spread(ours, case, patients)()(1)
    floor = _sender(region.floor_https_port, context, case, f"/{length}", b"xxxx")
    rates = [
        measure(_spread(sender, case, patients), callers=CALLERS, seconds=seconds, warm_up=_WARM_UP)
        for sender in (floor, ours)
    ]
    base, rate = rates
    met = "met" if rate.per_second >= case.aim else "MISSED"
    volume = f"  {rate.per_second * case.size / 1e6:,.0f} MB/s" if case.size else ""
    print(
        f"  {case.name:28} {rate.per_second:7,.0f}/s  p50 {rate.median_ms:6.2f} ms  p99 {rate.p99_ms:6.2f} ms"
        f"   floor {base.per_second:7,.0f}/s   ratio {rate.per_second / base.per_second:4.2f}"
        f"   aim {case.aim:,}/s: {met}{volume}",
        flush=True,
    )
    return rate


_numbers = itertools.count(1)  # of messages with ids of their own, the whole run long


def _sender(port: int, context: ssl.SSLContext, case: Case, path: str, expected: bytes) -> Callable[[], Send]:
    return https_sender(port, context, path, case.content_type, case.message, expected)


def _spread(make_sender: Callable[[], Send], case: Case, patients: int) -> Callable[[], Send]:
    """Callers whose messages go to patients all over the registry; what has an id of its own counts up."""

    def open_connection() -> Send:
        send = make_sender()
        return lambda number: send(next(_numbers) + 1_000_000 * (number * 7919 % patients))

    return open_connection


def _cases(region: Region, fixture: doors.Fixture, template: Template) -> Iterator[Case]:
    somebody = Identifier(template.patient_pattern, fixture.patient.assigning_authority)
    parameters = {
        "$XDSDocumentEntryPatientId": ((somebody.xds_cx,),),
        "$XDSDocumentEntryStatus": ((APPROVED,),),
    }
    asked = stored_query.write_request(StoredQuery(FIND_DOCUMENTS, parameters))
    find = _envelope("urn:ihe:iti:2007:RegistryStoredQuery", asked)
    yield Case(f"ITI-18, {DOCUMENTS} documents", "registry", doors.SOAP, find, 1500)
    yield Case("ITI-42", "registry", doors.SOAP, _registration(region, somebody), 800)
    content_type, message = doors._provide(region, somebody, size=100 * KB)
    yield Case("ITI-41, 100 KB", "repository", content_type, message, 400, size=100 * KB)
    for name, wanted, size, aim in (("100 KB", fixture.middle, 100 * KB, 1500), ("2 KB", fixture.small, 2 * KB, 0)):
        body = retrieve.write_request(RetrieveRequest((wanted,)))
        outgoing = write_multipart(_envelope("urn:ihe:iti:2007:RetrieveDocumentSet", body), ())
        content = b"".join(outgoing.pieces)
        yield Case(f"ITI-43, {name}", "repository", outgoing.content_type, content, aim, size=size)


def _registration(region: Region, patient: Identifier) -> bytes:
    """A submission of one document that lies in its hospital's repository."""
    path = region.directory / "registered.txt"
    path.write_bytes(b"r" * 2 * KB)
    template = doors._submission(patient, path)
    (content,) = template.contents.values()
    entry = replace(
        template.document_entries[0], repository_unique_id=_REPOSITORY, hash=content.sha1, size=content.size
    )
    body = register.write_request(replace(template, document_entries=(entry,), contents={}))
    message = _envelope("urn:ihe:iti:2007:RegisterDocumentSet-b", body)
    return doors.with_own_ids(message, template)


def _envelope(action: str, body: SoapBody) -> bytes:
    return write_request(action, "https://localhost/", body)[0]
