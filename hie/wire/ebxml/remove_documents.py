"""The codec of ITI-86, Remove Documents (RMD: 3.86): each document leaves its repository, or a finding says why not."""

from __future__ import annotations

from hie.values.documents import RemovalResult, RemoveDocuments
from hie.values.errors import ExchangeError, Reason
from hie.wire.ebxml.names import FAILURE, RMD, XDSB
from hie.wire.ebxml.registry_response import (
    REGISTRY_RESPONSE,
    Answering,
    failure,
    read_response_findings,
    status_of,
    write_registry_response,
)
from hie.wire.ebxml.retrieve import read_document_requests, write_document_requests
from hie.wire.soap.envelope import SoapBody, SoapMessage

_REQUEST = f"{{{RMD}}}RemoveDocumentsRequest"


def read_request(message: SoapMessage) -> RemoveDocuments:
    """The documents that shall be removed. Raises ExchangeError with a finding for each request that lacks an id."""
    if message.body.tag != _REQUEST:
        raise ExchangeError(Reason.UNREADABLE, "The body has to be rmd:RemoveDocumentsRequest.")
    return RemoveDocuments(read_document_requests(message.body))


def write_response(message: SoapMessage, result: RemovalResult) -> SoapBody:
    """Success, PartialSuccess or Failure by what was removed, with one RegistryError for each that was not."""
    status = status_of(result.findings, has_results=bool(result.removed))
    return SoapBody((write_registry_response(result.findings, Answering.RETRIEVAL, status),))


def write_error(message: SoapMessage, error: ExchangeError) -> SoapBody:
    """Failure, with one RegistryError for each finding, under the names of a repository. Nothing was removed."""
    return SoapBody((write_registry_response(error.findings, Answering.RETRIEVAL, FAILURE),))


def write_request(removal: RemoveDocuments) -> SoapBody:
    """The request of a client."""
    root = "rmd:RemoveDocumentsRequest"
    inside = write_document_requests(removal.documents)
    return SoapBody((f'<{root} xmlns:rmd="{RMD}" xmlns:xdsb="{XDSB}">{inside}</{root}>'.encode(),))


def read_response(message: SoapMessage) -> RemovalResult:
    """The answer as a client reads it: the findings of a PartialSuccess; what was removed is all that they do not name.

    A Failure is raised as ExchangeError with its findings.
    """
    if message.body.tag != REGISTRY_RESPONSE:
        raise ExchangeError(Reason.UNREADABLE, "The answer has to be rs:RegistryResponse.")
    status, findings = read_response_findings(message.body)
    if status == FAILURE:
        raise failure(findings)
    return RemovalResult(findings=findings)
