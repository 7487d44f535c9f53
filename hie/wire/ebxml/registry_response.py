"""What every ebXML answer has in common: the status, and one RegistryError for each finding (ITI TF-3: 4.2.4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from enum import Enum

from lxml import etree

from hie.values.documents import RegistryResult
from hie.values.errors import ExchangeError, Finding, Reason
from hie.wire.ebxml.attributes import MODELS, SUBMISSION_SET
from hie.wire.ebxml.names import ERROR, FAILURE, PARTIAL_SUCCESS, RS, SUCCESS, WARNING, rim
from hie.wire.ebxml.reading import uuid_of
from hie.wire.xml import escape

_ERROR_LIST, _ERROR = f"{{{RS}}}RegistryErrorList", f"{{{RS}}}RegistryError"
REGISTRY_RESPONSE = f"{{{RS}}}RegistryResponse"

_AT_REPOSITORY = {
    "XDSRegistryError": "XDSRepositoryError",
    "XDSRegistryBusy": "XDSRepositoryBusy",
    "XDSRegistryOutOfResources": "XDSRepositoryOutOfResources",
}
_AT_REGISTRY = {name: other for other, name in _AT_REPOSITORY.items()}


# Nobody mends more at once, and an answer has to stay smaller than what it answers.
_MOST_ERRORS = 500


class Answering(Enum):
    """Which actor answers what: the codes of the error table that are called otherwise there (table 4.2.4.1-2).

    The metadata codes belong to submissions; a query or a retrieval has only the general code in their place.
    """

    REGISTRATION = _AT_REGISTRY
    PROVISION = {
        **_AT_REPOSITORY,
        "XDSRegistryMetadataError": "XDSRepositoryMetadataError",
        "XDSRegistryDuplicateUniqueIdInMessage": "XDSRepositoryDuplicateUniqueIdInMessage",
    }
    QUERY = {
        **_AT_REGISTRY,
        "XDSRegistryMetadataError": "XDSRegistryError",
        "XDSRepositoryMetadataError": "XDSRegistryError",
    }
    RETRIEVAL = {
        **_AT_REPOSITORY,
        "XDSRegistryMetadataError": "XDSRepositoryError",
        "XDSRepositoryMetadataError": "XDSRepositoryError",
    }

    def code(self, reason: Reason) -> str:
        """The errorCode of a reason."""
        return self.value.get(reason.value.registry, reason.value.registry)


# errorCode -> reason, for clients. Of several reasons with one code the last row of the table is the particular one.
_REASONS = {reason.value.registry: reason for reason in Reason}
_NAMES = _AT_REGISTRY | Answering.PROVISION.value
_REASONS = {other: _REASONS[code] for code, other in _NAMES.items() if code in _REASONS} | _REASONS


def is_warning(finding: Finding) -> bool:
    """Whether a finding accompanies a success and refuses nothing."""
    return finding.reason.value.outcome == 0


def status_of(findings: Iterable[Finding], *, has_results: bool) -> str:
    """The status of an answer: warnings leave it a Success; errors beside results make a PartialSuccess."""
    if all(is_warning(finding) for finding in findings):
        return SUCCESS
    return PARTIAL_SUCCESS if has_results else FAILURE


def write_errors(findings: tuple[Finding, ...], answering: Answering) -> str:
    """The RegistryErrorList with the prefix ``rs``, or "" where nothing was found. A flood is cut, and says so."""
    if len(findings) > _MOST_ERRORS:
        left = Finding(findings[0].reason, f"{len(findings) - _MOST_ERRORS} more of these are not listed.", "")
        findings = (*findings[:_MOST_ERRORS], left)
    written = [
        f'<rs:RegistryError codeContext="{escape(finding.detail)}" errorCode="{answering.code(finding.reason)}"'
        f' severity="{WARNING if is_warning(finding) else ERROR}" location="{escape(finding.location)}"/>'
        for finding in findings
    ]
    if not written:
        return ""
    highest = WARNING if all(is_warning(finding) for finding in findings) else ERROR
    return f'<rs:RegistryErrorList highestSeverity="{highest}">{"".join(written)}</rs:RegistryErrorList>'


def write_registry_response(findings: tuple[Finding, ...], answering: Answering, status: str = "") -> bytes:
    """The whole answer where there is nothing to return. status: "" for a submission, stored whole or not at all."""
    status = status or status_of(findings, has_results=False)
    errors = write_errors(findings, answering)
    return f'<rs:RegistryResponse xmlns:rs="{RS}" status="{status}">{errors}</rs:RegistryResponse>'.encode()


def with_patient_ids(findings: tuple[Finding, ...], request: etree._Element) -> tuple[Finding, ...]:
    """Findings about patients with the patientId in question, which the answer to its sender has to say.

    ITI TF-3 table 4.2.4.1-2: XDSUnknownPatientId, XDSPatientIdDoesNotMatch. It is read from the request when the answer
    is written: a finding, which logs and audit records keep, never carries it.
    """
    if not any(each.reason in _ABOUT_PATIENTS for each in findings):
        return findings
    patient_ids = {
        key: (each.get("value") or "").strip()[:_LONGEST_ID]
        for each in request.iter(rim("ExternalIdentifier"))
        if (scheme := uuid_of(each.get("identificationScheme"))) in _PATIENT_ID_SCHEMES
        for key in ((each.get("registryObject") or "").strip(), _PATIENT_ID_SCHEMES[scheme])
    }
    return tuple(_with_patient_id(each, patient_ids) for each in findings)


def _with_patient_id(finding: Finding, patient_ids: dict[str, str]) -> Finding:
    """patient_ids: by id of their object, and by its kind. What names no object of its own is about the submission."""
    object_id = finding.location.partition(": ")[0]
    patient_id = patient_ids.get(object_id) or patient_ids.get(SUBMISSION_SET.name)
    if finding.reason not in _ABOUT_PATIENTS or not patient_id:
        return finding
    return replace(finding, detail=f"{finding.detail} The patientId in question is {patient_id}.")


_ABOUT_PATIENTS = frozenset((Reason.UNKNOWN_PATIENT, Reason.PATIENT_MISMATCH))
_LONGEST_ID = 256
# identificationScheme -> kind of object
_PATIENT_ID_SCHEMES = {row.key: model.name for model in MODELS for row in model.attributes if row.field == "patient_id"}


def read_response_findings(response: etree._Element) -> tuple[str, tuple[Finding, ...]]:
    """The status of an answer, and what its RegistryErrorList says. An unknown code stands before the detail."""
    findings = []
    for error in response.iterfind(f"{_ERROR_LIST}/{_ERROR}"):
        code = error.get("errorCode", "").strip()
        detail = error.get("codeContext") or (error.text or "").strip()
        known = _REASONS.get(code)
        if error.get("severity") == WARNING and known is not Reason.EXTRA_METADATA_NOT_SAVED:
            known, detail = Reason.EXTRA_METADATA_NOT_SAVED, f"{code}: {detail}"
        fallback = Finding(Reason.REGISTRY_ERROR, f"{code}: {detail}", error.get("location", ""))
        findings.append(Finding(known, detail, error.get("location", "")) if known else fallback)
    return response.get("status", "").strip(), tuple(findings)


def failure(findings: tuple[Finding, ...]) -> ExchangeError:
    """The error a client makes of an answer that is a Failure."""
    return ExchangeError.of(findings or (Finding(Reason.REGISTRY_ERROR, "The answer is a Failure without errors."),))


def read_registry_response(response: etree._Element) -> RegistryResult:
    """The answer to a submission as a client reads it. A Failure is raised as ExchangeError with its findings."""
    if response.tag != REGISTRY_RESPONSE:
        raise ExchangeError(Reason.UNREADABLE, "The answer has to be rs:RegistryResponse.")
    status, findings = read_response_findings(response)
    if status != SUCCESS:
        raise failure(findings)
    return RegistryResult(findings)
