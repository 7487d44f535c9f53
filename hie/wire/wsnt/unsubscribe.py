"""The codec of ITI-52, the end of a subscription (ITI TF-2: 3.52.4.3, 3.52.4.4).

The message says nothing; which subscription ends is the address that it is sent to, wsa:To. Ours are the address of the
service with the id of the subscription as its query, so that one door serves them all.
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit

from hie.values.errors import ExchangeError, Reason
from hie.values.subscriptions import Unsubscription, UnsubscriptionAnswer
from hie.wire.soap.envelope import SoapBody, SoapMessage
from hie.wire.soap.faults import SoapFault
from hie.wire.wsnt.faults import fault_of
from hie.wire.wsnt.names import WSNT, wsnt

_REQUEST, _RESPONSE = wsnt("Unsubscribe"), wsnt("UnsubscribeResponse")
_PARAMETER = "subscription"


def reference(service_url: str, subscription_id: str) -> str:
    """The address of one subscription at a service (``https://host/soap/broker``)."""
    return f"{service_url}?{urlencode({_PARAMETER: subscription_id})}"


def subscription_id(reference: str) -> str:
    """The id in an address of ours, "" where it has none: then it is no subscription."""
    try:
        return "".join(parse_qs(urlsplit(reference).query, max_num_fields=8).get(_PARAMETER, ())[:1])
    except ValueError:
        return ""


def read_request(message: SoapMessage) -> Unsubscription:
    """Which subscription shall end. Raises ExchangeError where the body is no wsnt:Unsubscribe."""
    if message.body.tag != _REQUEST:
        raise ExchangeError(Reason.UNREADABLE, "The body has to be wsnt:Unsubscribe.")
    return Unsubscription(message.to)


def write_response(message: SoapMessage, result: UnsubscriptionAnswer) -> SoapBody:
    """The subscription is no more."""
    return SoapBody((f'<wsnt:UnsubscribeResponse xmlns:wsnt="{WSNT}"/>'.encode(),))


def write_error(message: SoapMessage, error: ExchangeError) -> SoapFault:
    """ResourceUnknownFault, or UnableToDestroySubscriptionFault for whatever else stands in the way."""
    return fault_of(error, Reason.SUBSCRIPTION_KEPT)


def write_request(unsubscription: Unsubscription) -> SoapBody:
    """The request of a client, who sends it to the address of the subscription."""
    return SoapBody((f'<wsnt:Unsubscribe xmlns:wsnt="{WSNT}"/>'.encode(),))


def read_response(message: SoapMessage) -> UnsubscriptionAnswer:
    """The answer as a client reads it; a fault is raised by the SOAP client and read by ``faults.error_of``."""
    if message.body.tag != _RESPONSE:
        raise ExchangeError(Reason.UNREADABLE, "The answer has to be wsnt:UnsubscribeResponse.")
    return UnsubscriptionAnswer()
