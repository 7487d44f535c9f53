"""The codec of ITI-51, Multi-Patient Stored Query (ITI TF-2: 3.51): ITI-18 for several patients, or for all."""

from __future__ import annotations

from hie.values.documents import StoredQuery
from hie.wire.ebxml.stored_query import read_query, read_response, write_error, write_request, write_response
from hie.wire.soap.envelope import SoapMessage

__all__ = ["read_request", "read_response", "write_error", "write_request", "write_response"]


def read_request(message: SoapMessage) -> StoredQuery:
    """The query in the body; what is wrong with it, a query of ITI-18 included, stands in its ``findings``.

    Raises ExchangeError where the body is no AdhocQueryRequest.
    """
    return read_query(message, multi_patient=True)
