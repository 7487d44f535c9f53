"""The codec of ITI-53, Document Metadata Notify (ITI TF-2: 3.53): sent one way, to whom a subscription names."""

from __future__ import annotations

from lxml import etree

from hie.values.errors import ExchangeError, Reason
from hie.values.subscriptions import Notification, Received
from hie.wire.ebxml.fragments import model_of_element, write_fragment
from hie.wire.ebxml.names import LCM, RIM, rim
from hie.wire.ebxml.reading import read_object
from hie.wire.ebxml.submission import SUBMIT_OBJECTS_REQUEST
from hie.wire.soap.envelope import SoapBody, SoapMessage
from hie.wire.soap.faults import WSA, SoapFault
from hie.wire.wsnt.names import SIMPLE_DIALECT, WSNT, wsnt
from hie.wire.xml import escape

_NOTIFY, _MESSAGE, _CONTENT = wsnt("Notify"), wsnt("NotificationMessage"), wsnt("Message")
_TOPIC = wsnt("Topic")
_OBJECTS, _REFERENCE = rim("RegistryObjectList"), rim("ObjectRef")
_ADDRESS = f"{{{WSA}}}Address"


def write_request(notification: Notification) -> SoapBody:
    """What is told: the objects as they are, or references to them (3.53.4.1.2)."""
    references = "".join(f'<rim:ObjectRef id="{escape(each)}"/>' for each in notification.object_refs).encode()
    topic = f'<wsnt:Topic Dialect="{SIMPLE_DIALECT}">{escape(notification.topic)}</wsnt:Topic>'
    head = (
        f'<wsnt:Notify xmlns:wsnt="{WSNT}" xmlns:wsa="{WSA}" xmlns:lcm="{LCM}" xmlns:rim="{RIM}">'
        f"<wsnt:NotificationMessage>{write_reference('SubscriptionReference', notification.subscription)}{topic}"
        f"{write_reference('ProducerReference', notification.producer)}<wsnt:Message><lcm:SubmitObjectsRequest>"
        "<rim:RegistryObjectList>"
    )
    return SoapBody((head.encode(), *notification.fragments, references, _TAIL))


def read_request(message: SoapMessage) -> Notification:
    """What a recipient is told, its objects as canonical fragments. Raises ExchangeError where it cannot be read."""
    told = only_message(message.body)
    request = submitted_in(told)
    fragments, references = [], []
    for element in request.iterfind(f"{_OBJECTS}/*"):
        if element.tag == _REFERENCE:
            references.append((element.get("id") or "").strip())
        else:
            fragments.append(write_fragment(read_object(element, model_of_element(element), [])))
    return Notification(
        (told.findtext(_TOPIC) or "").strip(),
        tuple(fragments),
        tuple(references),
        read_reference(told, "SubscriptionReference"),
        read_reference(told, "ProducerReference"),
    )


def write_response(message: SoapMessage, result: Received) -> SoapBody:
    """Nothing: the door says HTTP 202."""
    return SoapBody(())


def write_error(message: SoapMessage, error: ExchangeError) -> SoapFault:
    """A fault: the dialect has no answer in which it could be said."""
    return SoapFault.of(error)


_TAIL = b"</rim:RegistryObjectList></lcm:SubmitObjectsRequest></wsnt:Message></wsnt:NotificationMessage></wsnt:Notify>"


def only_message(notify: etree._Element) -> etree._Element:
    """The one NotificationMessage of a wsnt:Notify; raises ExchangeError where it is another body, or several."""
    messages = notify.findall(_MESSAGE) if notify.tag == _NOTIFY else []
    if len(messages) != 1:
        detail = "The body has to be wsnt:Notify with exactly one wsnt:NotificationMessage."
        raise ExchangeError(Reason.UNREADABLE, detail)
    return messages[0]


def submitted_in(message: etree._Element) -> etree._Element:
    """The lcm:SubmitObjectsRequest of a NotificationMessage; raises ExchangeError where it has none."""
    request = message.find(f"{_CONTENT}/{SUBMIT_OBJECTS_REQUEST}")
    if request is None:
        detail = "wsnt:Message has to have one lcm:SubmitObjectsRequest with a RegistryObjectList."
        raise ExchangeError(Reason.UNREADABLE, detail)
    return request


def write_reference(name: str, address: str) -> str:
    """An endpoint reference with nothing but its address, or "" without one."""
    return f"<wsnt:{name}><wsa:Address>{escape(address)}</wsa:Address></wsnt:{name}>" if address else ""


def read_reference(message: etree._Element, name: str) -> str:
    """The address of an endpoint reference, or ""."""
    return (message.findtext(f"{wsnt(name)}/{_ADDRESS}") or "").strip()
