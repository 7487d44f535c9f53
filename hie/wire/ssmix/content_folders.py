"""Content folders of the extended storage (5.2 to 5.4): the folder is the unit, one file of it is the main document."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from hie.values.codes import Code
from hie.wire.hl7v2.charset import decode

HEAD_BYTES = 4096

_ISO_LOINC = "2.16.840.1.113883.6.1"
_MIME_TYPES = {
    "hl7": "x-application/hl7-v2+er7",
    "xml": "text/xml",
    "pdf": "application/pdf",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "bmp": "image/bmp",
    "dcm": "application/dicom",
    "txt": "text/plain",
    "csv": "text/csv",
    "json": "application/json",
    "html": "text/html",
    "htm": "text/html",
    "xsl": "text/xml",
    "css": "text/css",
}
_MAIN = re.compile(r"main_document\.[^.]+", re.IGNORECASE)
_EFFECTIVE_TIME = re.compile(rb'<(?:\w+:)?effectiveTime[^>]*?\svalue="(\d{8,14}(?:\.\d+)?(?:[+-]\d{4})?)"')


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a content folder: its path inside (database text), size in bytes, digests in hex, first bytes."""

    path: str
    size: int
    sha1: str
    sha256: str
    head: bytes = b""

    @property
    def suffix(self) -> str:
        name = self.path.rsplit("/", 1)[-1]
        return name.rsplit(".", 1)[-1].lower() if "." in name else ""

    @property
    def mime_type(self) -> str:
        """The media type by content where the first bytes tell, else by the suffix."""
        if self.head.startswith(b"%PDF-"):
            return "application/pdf"
        if self.head.startswith(b"MSH|"):
            return _MIME_TYPES["hl7"]
        return _MIME_TYPES.get(self.suffix, "application/octet-stream")

    @property
    def is_cda(self) -> bool:
        return b"ClinicalDocument" in self.head and b"urn:hl7-org:v3" in self.head


def choose_main(parts: Sequence[Part]) -> Part | None:
    """The main document: the only file; main_document.*; the only CDA or PDF at the top; the largest non-image.

    None where a folder has nothing but images: rule EXT-02.
    """
    if len(parts) == 1:
        return parts[0]
    top = [part for part in parts if "/" not in part.path]
    for wanted in (
        [part for part in top if _MAIN.fullmatch(part.path)],
        [part for part in top if part.is_cda],
        [part for part in top if part.mime_type == "application/pdf"],
    ):
        if len(wanted) == 1:
            return wanted[0]
    others = [part for part in parts if not part.mime_type.startswith("image/")]
    return max(others, key=lambda part: (part.size, part.path)) if others else None


def digest(parts: Sequence[Part]) -> str:
    """SHA-256 in hex over the sorted (path, size, SHA-256) of all files: changes when anything in the folder does."""
    total = hashlib.sha256()
    for part in sorted(parts, key=lambda part: part.path):
        total.update(f"{part.path}\0{part.size}\0{part.sha256}\n".encode())
    return total.hexdigest()


@dataclass(frozen=True, slots=True)
class ContentKind:
    """What a data-type folder names: a local code, a standard code (LOINC of the JAMI table), or both."""

    local: Code | None
    standard: Code | None

    @property
    def display(self) -> str:
        code = self.standard or self.local
        return code.display or code.code if code else ""


def read_kind(folder: str) -> ContentKind:
    """Read ``<local code>^<name>^<99xxx>^<standard code>^<name>^LN``; either triplet may be missing."""
    items = [*folder.split("^"), "", "", "", "", "", ""]
    local = Code(items[0], items[2], items[1]) if items[0] else None
    standard = Code(items[3], _ISO_LOINC if items[5] in ("LN", "") else items[5], items[4]) if items[3] else None
    if local is None and standard is None:
        local = Code(folder.strip("^") or "-", "", items[1])
    return ContentKind(local, standard)


def effective_time(head: bytes) -> str:
    """The first effectiveTime of a CDA as written, or "". Read from the first bytes: the header comes first."""
    match = _EFFECTIVE_TIME.search(head)
    return decode(match[1]).text if match else ""
