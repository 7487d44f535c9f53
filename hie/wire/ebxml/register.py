"""The codec of ITI-42, Register Document Set-b (ITI TF-2: 3.42)."""

from __future__ import annotations

from hie.values.documents import RegistryResult, Submission
from hie.values.errors import ExchangeError
from hie.wire.ebxml.registry_response import (
    Answering,
    read_registry_response,
    with_patient_ids,
    write_registry_response,
)
from hie.wire.ebxml.submission import read_submission, write_submission
from hie.wire.soap.envelope import SoapBody, SoapMessage


def read_request(message: SoapMessage) -> Submission:
    """The submission in the body; what is wrong with it stands in its ``findings`` and is the verb's to refuse.

    Raises ExchangeError where the body is no SubmitObjectsRequest.
    """
    return read_submission(message.body)


def write_response(message: SoapMessage, result: RegistryResult) -> SoapBody:
    """Success, with the warnings of the registration (ITI TF-3: 4.2.4.2)."""
    return SoapBody((write_registry_response(result.warnings, Answering.REGISTRATION),))


def write_error(message: SoapMessage, error: ExchangeError) -> SoapBody:
    """Failure, with one RegistryError for each finding. Nothing was registered."""
    findings = with_patient_ids(error.findings, message.body)
    return SoapBody((write_registry_response(findings, Answering.REGISTRATION),))


def write_request(submission: Submission) -> SoapBody:
    """The request of a client; hash, size and repositoryUniqueId have to be there."""
    return SoapBody((write_submission(submission),))


def read_response(message: SoapMessage) -> RegistryResult:
    """The answer as a client reads it. A Failure is raised as ExchangeError with its findings."""
    return read_registry_response(message.body)
