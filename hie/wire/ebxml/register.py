"""The codec of ITI-42, Register Document Set-b (ITI TF-2: 3.42)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hie.values.documents import RegistryResult, Submission
from hie.values.errors import ExchangeError

if TYPE_CHECKING:
    from hie.wire.soap.envelope import SoapBody, SoapMessage


def read_request(message: SoapMessage) -> Submission:
    """The request in the body; what is wrong with it stands in its ``findings`` and is the verb's to refuse."""
    raise NotImplementedError


def write_response(message: SoapMessage, result: RegistryResult) -> SoapBody:
    """The answer: Success, PartialSuccess or Failure by what was found (ITI TF-3: 4.2.4.2)."""
    raise NotImplementedError


def write_error(message: SoapMessage, error: ExchangeError) -> SoapBody:
    """A Failure with one RegistryError for each finding."""
    raise NotImplementedError


def write_request(request: Submission) -> SoapBody:
    """The request of a client."""
    raise NotImplementedError


def read_response(message: SoapMessage) -> RegistryResult:
    """The answer as a client reads it; a Failure is raised as ``ExchangeError``."""
    raise NotImplementedError
