"""The codec of ITI-61, Register On-Demand Document Entry (ITI TF-2: 3.61): ITI-42 for documents not yet made."""

from __future__ import annotations

from dataclasses import replace

from hie.values.documents import Submission
from hie.wire.ebxml.register import read_response, write_error, write_request, write_response
from hie.wire.ebxml.submission import read_submission
from hie.wire.ebxml.validation import ON_DEMAND_REGISTRATION, validate
from hie.wire.soap.envelope import SoapMessage

__all__ = ["read_request", "read_response", "write_error", "write_request", "write_response"]


def read_request(message: SoapMessage) -> Submission:
    """The submission in the body, with all that is wrong with it as an on-demand one in its ``findings``.

    Its rules are judged here already, so that a verb need not: ``validate`` is not called again.
    Raises ExchangeError where the body is no SubmitObjectsRequest.
    """
    submission = read_submission(message.body)
    judged = validate(submission, wanted=ON_DEMAND_REGISTRATION)
    return replace(submission, findings=(*submission.findings, *judged))
