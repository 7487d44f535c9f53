"""Everything operational comes from the environment: one table of variables with their defaults.

``docs/operations.md`` prints this table; a test compares them. ``HIE_DATA_DIR/environment`` (KEY=value lines) is read
first, so that an installation keeps its choices; the process environment outweighs it.
"""

from __future__ import annotations

import os
import secrets
import uuid
from dataclasses import dataclass
from pathlib import Path

from hie.values.identifiers import is_oid

BASE_DIR = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable: its default as text ("" where there is none) and a sentence for the operator."""

    name: str
    default: str
    meaning: str


VARIABLES = (
    Variable("HIE_DATA_DIR", "var", "Directory of the database, documents, keys and logs; relative to the project."),
    Variable("HIE_DATABASE_URL", "", "postgresql://user:password@host:port/name; empty: SQLite in the data directory."),
    Variable("HIE_BROKER_URL", "", "Celery broker, redis://host:port/0; empty: background work in the process tree."),
    Variable("HIE_SECRET_KEY", "", "Django's secret; empty: made once and kept in the data directory."),
    Variable("HIE_DEBUG", "0", "1 shows Django's error pages; never on a machine that others reach."),
    Variable("HIE_HOST", "127.0.0.1", "Address that the doors listen on; MLLP without TLS always stays on loopback."),
    Variable("HIE_HOST_NAMES", "localhost,127.0.0.1", "Names under which others reach this server, comma separated."),
    Variable("HIE_HTTP_PORT", "8080", "Port of the admin site and the status page."),
    Variable("HIE_HTTPS_PORT", "8443", "Port of SOAP and REST over mutual TLS."),
    Variable("HIE_MLLP_PORT", "2575", "Port of MLLP without TLS; open only where HIE_MLLP_PLAIN is 1."),
    Variable("HIE_MLLPS_PORT", "2576", "Port of MLLP over mutual TLS."),
    Variable("HIE_MLLP_PLAIN", "0", "1 opens MLLP without TLS on loopback; the demonstration sets it."),
    Variable("HIE_WEB_WORKERS", "2", "Processes that answer SOAP and REST over mutual TLS."),
    Variable("HIE_WEB_THREADS", "4", "Threads of each web process."),
    Variable(
        "HIE_MLLP_WORKERS",
        "0",
        "Processes that answer MLLP messages; 0: on SQLite one, on PostgreSQL one a processor, at most four.",
    ),
    Variable("HIE_MLLP_THREADS", "4", "Threads of each MLLP process."),
    Variable("HIE_TLS_CERTIFICATE", "", "PEM chain of this server; empty: the built-in authority makes one."),
    Variable("HIE_TLS_KEY", "", "PEM key of this server; empty: the built-in authority makes one."),
    Variable(
        "HIE_TLS_CLIENT_CA", "", "PEM bundle of authorities whose client certificates are believed; empty: built-in."
    ),
    Variable("HIE_OID_ROOT", "", "OID arc of this installation; empty: a fresh 2.25 arc, made once and kept."),
    Variable(
        "HIE_IDENTITY_SOURCE",
        "",
        "OID and node, as 1.2.3.4 master-index: who issues the patient ids of the region; empty: this server.",
    ),
    Variable("HIE_HOME_COMMUNITY", "", "homeCommunityId as a bare OID; empty: <OID root>.7."),
    Variable("HIE_NETWORK_NAME", "地域医療連携ネットワーク", "Name of the network, shown in the admin and the audit."),
    Variable("HIE_CONSENT_DEFAULT", "opt-in", "Without a directive: opt-in discloses nothing, opt-out discloses."),
    Variable("HIE_DOCUMENT_STORE", "", "Directory of submitted documents; empty: documents/ in the data directory."),
    Variable(
        "HIE_DOCUMENT_SCANNER", "", "Dotted path of a function path -> clean? asked of every document; empty: none."
    ),
    Variable("HIE_DOCUMENT_STORAGE", "local", "local keeps documents in HIE_DOCUMENT_STORE, s3 in a bucket."),
    Variable("HIE_S3_ENDPOINT", "", "URL of the S3-compatible storage; empty: AWS, by region."),
    Variable("HIE_S3_BUCKET", "", "Bucket of the documents; nothing else belongs in it."),
    Variable("HIE_S3_REGION", "", "Region of the bucket; empty: us-east-1, which most other makers take."),
    Variable("HIE_S3_ACCESS_KEY", "", "Access key id; empty: found as AWS clients do."),
    Variable("HIE_S3_SECRET_KEY", "", "Secret access key."),
    Variable("HIE_S3_SECONDS", "20", "Seconds without a sign of the storage after which a message is told to retry."),
    Variable("HIE_DOCUMENT_KEY", "", "Name of the key that new documents are sealed with; empty: kept as they came."),
    Variable("HIE_DOCUMENT_KEYS", "", "Directory of the keys of sealed documents; empty: keys/ in the data directory."),
    Variable("HIE_CHECK_HOURS", "168", "Hours between two checks that every document is there and whole; 0: none."),
    Variable("HIE_MAX_MESSAGE_MB", "8", "Largest message without its documents (HL7 v2 or SOAP part), in MiB."),
    Variable("HIE_MAX_DOCUMENT_MB", "4096", "Largest single document, in MiB."),
    Variable("HIE_MAX_RESULTS", "10000", "Most objects that one stored query answers with; above: XDSTooManyResults."),
    Variable("HIE_CODE_SETS", "lenient", "strict refuses metadata with codes outside the network's code sets."),
    Variable("HIE_SUMMARY", "0", "1 offers a patient summary on demand, made of the SS-MIX2 storages for its reader."),
    Variable("HIE_SUMMARY_SNAPSHOTS", "1", "1 keeps each summary that was read as a document; 0 keeps none."),
    Variable("HIE_SCAN_SECONDS", "60", "Pause between two scans of a storage."),
    Variable("HIE_LOG_LEVEL", "INFO", "Level of the log on standard error."),
    Variable("HIE_LANGUAGE", "ja", "Language of the admin where the browser asks for none: ja or en."),
)

_DEFAULTS = {variable.name: variable.default for variable in VARIABLES}


def data_directory() -> Path:
    """The data directory, absolute. Created where it does not exist, readable by its owner alone."""
    path = Path(os.environ.get("HIE_DATA_DIR", _DEFAULTS["HIE_DATA_DIR"]))
    path = path if path.is_absolute() else BASE_DIR / path
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def _kept_choices() -> dict[str, str]:
    path = data_directory() / "environment"
    if not path.exists():
        return {}
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


_KEPT = _kept_choices()


def text(name: str) -> str:
    """The value of a variable: the process environment, else the kept choice, else the default."""
    return os.environ.get(name) or _KEPT.get(name) or _DEFAULTS[name]


def number(name: str) -> int:
    """The value of a numeric variable. A value that is no number stops the start with a sentence."""
    value = text(name)
    if not value.isdigit():
        raise SystemExit(f"{name} has to be a whole number, not {value!r}.")
    return int(value)


def flag(name: str) -> bool:
    """The value of a switch: 1, true, yes, on (any case) are on."""
    return text(name).lower() in ("1", "true", "yes", "on")


def identity_source() -> tuple[str, str]:
    """HIE_IDENTITY_SOURCE: the OID of the affinity domain and the node that feeds it; ("", "") where we issue the ids.

    Half of it, or an OID that is none, stops the start with a sentence.
    """
    parts = text("HIE_IDENTITY_SOURCE").split()
    if not parts:
        return "", ""
    if len(parts) != 2 or not is_oid(parts[0]):
        raise SystemExit("HIE_IDENTITY_SOURCE has to be an OID and the name of a node, as: 1.2.3.4 master-index")
    return parts[0], parts[1]


def kept_once(file_name: str, make: str) -> str:
    """A value made on the first start and kept in the data directory: ``secret`` or ``oid``."""
    path = data_directory() / file_name
    if not path.exists():
        fresh = secrets.token_urlsafe(50) if make == "secret" else f"2.25.{uuid.uuid4().int}"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return path.read_text(encoding="ascii").strip()
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(fresh)
    return path.read_text(encoding="ascii").strip()
