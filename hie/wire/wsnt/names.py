"""Names of WS-BaseNotification 1.3, WS-Topics 1.3, WS-Resource 1.2 and WS-BaseFaults 1.2."""

from __future__ import annotations

WSNT = "http://docs.oasis-open.org/wsn/b-2"
BASE_FAULTS = "http://docs.oasis-open.org/wsrf/bf-2"
RESOURCE = "http://docs.oasis-open.org/wsrf/r-2"
SIMPLE_DIALECT = "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Simple"

_ACTION = "http://docs.oasis-open.org/wsn/bw-2"
SUBSCRIBE = f"{_ACTION}/NotificationProducer/SubscribeRequest"
SUBSCRIBE_RESPONSE = f"{_ACTION}/NotificationProducer/SubscribeResponse"
UNSUBSCRIBE = f"{_ACTION}/SubscriptionManager/UnsubscribeRequest"
UNSUBSCRIBE_RESPONSE = f"{_ACTION}/SubscriptionManager/UnsubscribeResponse"
NOTIFY = f"{_ACTION}/NotificationConsumer/Notify"

NOTIFICATION_FAULT = "http://docs.oasis-open.org/wsn/fault"
RESOURCE_FAULT = "http://docs.oasis-open.org/wsrf/fault"


def wsnt(name: str) -> str:
    """A name of WS-BaseNotification as lxml writes it."""
    return f"{{{WSNT}}}{name}"
