"""``manage.py ask``: speak to the network as a member would, from outside, over the real protocols."""

from __future__ import annotations

import hashlib
import mimetypes
import shutil
import tempfile
import uuid
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from hie.transport.outside import Outside, Wire
from hie.transport.soap_client import CallError
from hie.values.codes import Code
from hie.values.documents import (
    HAS_MEMBER,
    ON_DEMAND,
    STABLE,
    Association,
    Author,
    Content,
    DocumentEntry,
    DocumentRequest,
    Submission,
    SubmissionSet,
)
from hie.values.errors import ExchangeError
from hie.values.identifiers import Identifier, masked, new_uuid_urn, uuid_oid
from hie.values.patients import FeedEvent, PatientFeed
from hie.values.people import Address, Demographics, NameParts, PersonName
from hie.values.times import write_dtm

# What a document sent from this command line says of itself where nothing else is given.
LETTER = {
    "class_code": Code("11488-4", "2.16.840.1.113883.6.1", "Consult note"),
    "type_code": Code("57133-1", "2.16.840.1.113883.6.1", "診療情報提供書"),
    "format_code": Code("urn:ihe:iti:xds:2017:mimeTypeSufficient", "1.3.6.1.4.1.19376.1.2.3", "mimeType sufficient"),
    "healthcare_facility_type_code": Code("22232009", "2.16.840.1.113883.6.96", "Hospital"),
    "practice_setting_code": Code("01", "1.2.392.200250.2.2.2", "内科"),
    "confidentiality_codes": (Code("N", "2.16.840.1.113883.5.25", "normal"),),
}
CONTENT_TYPE = Code("57133-1", "2.16.840.1.113883.6.1", "診療情報提供書")


class Command(BaseCommand):
    help = "Feed a patient, ask for cross-references, find, retrieve and send documents, as a member outside."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--as", dest="node", required=True, help="the member's node, as hospital")
        questions = parser.add_subparsers(dest="question", required=True)
        feed = questions.add_parser(
            "feed", help="tell the network of a patient (ITI-30, or ITI-8 with --version 2.3.1)"
        )
        feed.add_argument("--chart", required=True)
        feed.add_argument("--name", required=True, metavar="姓^名")
        feed.add_argument("--kana", required=True, metavar="セイ^メイ")
        feed.add_argument("--born", required=True, metavar="YYYYMMDD")
        feed.add_argument("--sex", required=True, choices=list("MFOU"))
        feed.add_argument("--address", default="")
        feed.add_argument("--version", default="2.5", choices=["2.3.1", "2.5"], dest="hl7_version")
        feed.add_argument("--charset", default="UNICODE UTF-8", choices=["UNICODE UTF-8", "ISO IR87"])
        merge = questions.add_parser("merge", help="say that two chart numbers are one patient (A40)")
        merge.add_argument("--chart", required=True, help="the number that stays")
        merge.add_argument("--subsumed", required=True, help="the number that goes")
        identify = questions.add_parser("identify", help="ask under which numbers a patient is known (ITI-9)")
        identify.add_argument("--chart", required=True)
        find = questions.add_parser("find", help="find a patient's documents (ITI-9, then ITI-18)")
        find.add_argument("--chart", required=True)
        find.add_argument("--on-demand", action="store_true", help="documents that are made when they are asked for")
        retrieve = questions.add_parser("retrieve", help="retrieve a document (ITI-43)")
        retrieve.add_argument("--document", required=True, metavar="UNIQUE-ID")
        retrieve.add_argument("--repository", required=True, metavar="OID")
        retrieve.add_argument("--to", type=Path, help="write it to this file instead of the terminal")
        send = questions.add_parser("send", help="send a document (ITI-9, then ITI-41)")
        send.add_argument("--chart", required=True)
        send.add_argument("--file", required=True, type=Path)
        send.add_argument("--title", default="")
        for question in (feed, merge, identify, find, retrieve, send):
            question.add_argument("--wire", action="store_true", help="show what went over the wire")
        for question in (find, retrieve, send):
            question.add_argument("--user", default="", metavar="ID:NAME", help="the human who asks")
        for question in (find, retrieve):
            question.add_argument("--emergency", default="", metavar="REASON", help="break the glass, with a reason")

    def handle(self, *args: Any, **options: Any) -> None:
        wire = Wire()
        try:
            with self._outside(options, wire) as outside:
                getattr(self, f"_{options['question']}")(outside, options)
        except ExchangeError as refused:
            lines = [f"  {f.reason.value.registry or f.reason.name}: {f.detail} {f.location}" for f in refused.findings]
            raise CommandError("\n".join(["The network refused:", *lines])) from None
        except (OSError, CallError) as unreachable:
            raise CommandError(str(unreachable)) from None
        finally:
            if options["wire"]:
                self._show(wire)

    @contextmanager
    def _outside(self, options: dict[str, Any], wire: Wire) -> Iterator[Outside]:
        with tempfile.TemporaryDirectory() as directory:
            try:
                outside = Outside.of_node(options["node"], settings.DATA_DIR, Path(directory), wire)
            except FileNotFoundError as absent:
                known = sorted(path.stem for path in (settings.DATA_DIR / "tls" / "nodes").glob("*.json"))
                raise CommandError(
                    f"{absent.filename} is absent. Nodes kept here: {', '.join(known) or 'none'}"
                ) from None
            outside.emergency_reason = options.get("emergency", "")
            user_id, _, name = options.get("user", "").partition(":")
            outside.user = (user_id, name)
            yield outside

    def _feed(self, outside: Outside, options: dict[str, Any]) -> None:
        demographics = Demographics(
            name=PersonName(ideographic=_name(options["name"]), phonetic=_name(options["kana"])),
            birth_date=options["born"],
            sex=options["sex"],
            addresses=(Address(text=options["address"], country="JPN"),) if options["address"] else (),
        )
        event = FeedEvent.REGISTER
        feed = PatientFeed(event, "", "", (outside.chart_number(options["chart"]),), demographics)
        outside.feed(feed, version=options["hl7_version"], character_set=options["charset"])
        self.stdout.write("accepted (AA)")

    def _merge(self, outside: Outside, options: dict[str, Any]) -> None:
        surviving, subsumed = (outside.chart_number(options[name]) for name in ("chart", "subsumed"))
        outside.feed(PatientFeed(FeedEvent.MERGE, "ADT^A40", "", (surviving,), prior_identifiers=(subsumed,)))
        self.stdout.write("accepted (AA)")

    def _identify(self, outside: Outside, options: dict[str, Any]) -> None:
        found = outside.identify(outside.chart_number(options["chart"])).identifiers
        for each in found:
            regional = each.oid == outside.facts.affinity_domain_oid
            self.stdout.write(f"{masked(each.value) if regional else each.value:32} {each.oid}")
        if not found:
            self.stdout.write("known, and nothing more to tell (NF)")

    def _find(self, outside: Outside, options: dict[str, Any]) -> None:
        patient = self._patient(outside, options["chart"])
        found = outside.find_documents(patient, ON_DEMAND if options["on_demand"] else STABLE)
        for entry in found:
            kind = entry.type_code.display if entry.type_code else ""
            date = entry.service_start_time or entry.creation_time
            self.stdout.write(f"{date[:8]:10} {kind:24} {entry.mime_type:28} {entry.size or 0:8} bytes  {entry.title}")
            self.stdout.write(f"{'':10} --document {entry.unique_id} --repository {entry.repository_unique_id}")
        if not found:
            self.stdout.write("no document that this member may see")

    def _retrieve(self, outside: Outside, options: dict[str, Any]) -> None:
        wanted = DocumentRequest(options["repository"], options["document"])
        with outside.retrieve(wanted) as result:
            for document in result.documents:
                with document.path.open("rb") as file:
                    if options["to"]:
                        with Path(options["to"]).open("wb") as target:
                            shutil.copyfileobj(file, target)
                        self.stdout.write(f"{options['to']}: {document.size} bytes, {document.mime_type}")
                    else:
                        self.stdout.write(_readable(file.read()))
                if document.new_repository_unique_id:
                    kept = f"--document {document.new_document_unique_id}"
                    self.stdout.write(f"kept as: {kept} --repository {document.new_repository_unique_id}")
                elif document.new_document_unique_id:
                    self.stdout.write(f"made for this answer, not kept: {document.new_document_unique_id}")
            if result.findings:
                raise ExchangeError.of(result.findings)

    def _send(self, outside: Outside, options: dict[str, Any]) -> None:
        patient = self._patient(outside, options["chart"])
        submission = _letter(outside, patient, options["chart"], options["file"], options["title"])
        outside.provide(submission)
        self.stdout.write(f"stored: --document {submission.document_entries[0].unique_id}")

    def _patient(self, outside: Outside, chart: str) -> Identifier:
        patient = outside.regional_id(chart)
        if patient is None:
            raise CommandError("The index knows no regional identifier for this chart number.")
        return patient

    def _show(self, wire: Wire) -> None:
        for direction, exchanged in wire.exchanged:
            self.stderr.write(f"\n{direction}")
            self.stderr.write(_readable(exchanged))


def _name(text: str) -> NameParts:
    family, _, given = text.partition("^")
    return NameParts(family, given)


def _readable(content: bytes) -> str:
    codec = "iso2022_jp" if b"\x1b$" in content else "utf-8"
    return content.decode(codec, "replace").replace("\r\n", "\n").replace("\r", "\n")


def _letter(outside: Outside, patient: Identifier, chart: str, path: Path, title: str) -> Submission:
    content = path.read_bytes()
    now = write_dtm(datetime.now(UTC))
    entry = DocumentEntry(
        entry_uuid=new_uuid_urn(),
        unique_id=uuid_oid(uuid.uuid4()),
        patient_id=patient.xds_cx,
        mime_type=mimetypes.guess_type(path.name)[0] or "application/octet-stream",
        creation_time=now,
        language_code="ja-JP",
        source_patient_id=outside.chart_number(chart).xds_cx,
        title=title or path.name,
        authors=(Author(institutions=(f"{outside.facts.node}^^^^^^^^^{outside.facts.source_id}",)),),
        **LETTER,  # type: ignore[arg-type]
    )
    submission_set = SubmissionSet(
        entry_uuid=new_uuid_urn(),
        unique_id=uuid_oid(uuid.uuid4()),
        patient_id=patient.xds_cx,
        source_id=outside.facts.source_id,
        submission_time=now,
        authors=entry.authors,
        content_type_code=CONTENT_TYPE,
    )
    member = Association(new_uuid_urn(), HAS_MEMBER, submission_set.entry_uuid, entry.entry_uuid, "Original")
    sha1, sha256 = hashlib.sha1(content).hexdigest(), hashlib.sha256(content).hexdigest()  # noqa: S324 - XDS wants SHA-1
    sent = Content(path, len(content), sha1, sha256, entry.mime_type)
    return Submission((submission_set,), (entry,), associations=(member,), contents={entry.entry_uuid: sent})
