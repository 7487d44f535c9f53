"""An answer that is wanted elsewhere is not lost when the whole tree is killed before anybody took it."""

from __future__ import annotations

import time

import pytest

from hie.transport.soap_client import SoapClient
from hie.transport.tls import client_context
from hie.wire.ebxml import stored_query
from hie.wire.soap.envelope import read_envelope, write_request
from tests.apps.xds.samples import find
from tests.journeys.consumers import answers_consumer
from tests.region import free_port, running_region

pytestmark = pytest.mark.django_db

PATIENCE = 60


def test_it_is_delivered_after_the_restart() -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}/consumer"
    with running_region() as region:
        region.rows("INSERT INTO xds_endpoint (node_name, url) VALUES (%s, %s)", "hospital", address)
        action = "urn:ihe:iti:2007:RegistryStoredQuery"
        url = f"https://localhost:{region.ports['https']}/soap/registry"
        context = client_context(region.credentials("hospital"))
        with SoapClient(url, directory=region.directory / "answers", ssl_context=context) as client:
            envelope, message_id = write_request(
                action, url, stored_query.write_request(find("nobody")), reply_to=address
            )
            client.deliver(envelope)
        region.kill()
        assert region.one("SELECT count(*) FROM xds_outgoing") == 1
        with answers_consumer(port) as consumer:
            region.rows("UPDATE xds_outgoing SET due_at = created_at")
            region.start()
            end = time.monotonic() + PATIENCE
            while not consumer.told or region.one("SELECT count(*) FROM xds_outgoing"):
                assert time.monotonic() < end, region.log.read_text()
                time.sleep(0.1)
        ((_, raw),) = consumer.told
        message = read_envelope(raw)
        assert (message.action, message.relates_to) == (f"{action}Response", message_id)
        assert stored_query.read_response(message).fragments == ()
