"""The codec of ITI-92, Restricted Update Document Set (RMU: 3.92): ITI-57 with fewer liberties."""

from __future__ import annotations

from hie.values.documents import MetadataUpdate
from hie.wire.ebxml.submission import read_submission
from hie.wire.ebxml.update import read_response, write_error, write_request, write_response
from hie.wire.ebxml.update_rules import read_update
from hie.wire.soap.envelope import SoapMessage

__all__ = ["read_request", "read_response", "write_error", "write_request", "write_response"]


def read_request(message: SoapMessage) -> MetadataUpdate:
    """The update in the body, judged as a restricted one; findings are the verb's to refuse.

    Raises ExchangeError where the body is no SubmitObjectsRequest.
    """
    return read_update(read_submission(message.body), restricted=True)
