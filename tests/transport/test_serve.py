"""``manage.py serve``: one command, one process tree, started, stopped, mended, and two of them side by side."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import pytest

from hie.transport.soap_client import CallError
from hie.transport.tls import client_context
from hie.values.patients import FeedEvent, PatientFeed
from tests import region as regions
from tests.region import Region, prepared_region, running_region
from tests.robustness.clients import person

MIB = 1024 * 1024
BROKER = os.environ.get("HIE_BROKER_URL", "")


@pytest.fixture(scope="module", autouse=True)
def _copies_removed() -> Iterator[None]:
    yield
    regions.remove_prepared()


@pytest.fixture(scope="module")
def region() -> Iterator[Region]:
    with running_region() as running:
        yield running


def feed(region: Region, chart: str) -> None:
    member = region.member("hospital")
    member.feed(PatientFeed(FeedEvent.REGISTER, "", "", (member.chart_number(chart),), person(int(chart))))


def page(region: Region, path: str = "/admin/login/") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", region.ports["http"], timeout=20)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def test_all_doors_answer(region: Region) -> None:
    assert page(region) == 200
    feed(region, "1")
    patient = region.member("hospital").regional_id("1")
    assert patient is not None
    assert region.member("hospital").find_documents(patient) == ()
    assert "The exchange is open" in region.log.read_text()


def test_a_second_start_is_quick_and_the_tree_is_small() -> None:
    """Figures are printed; what is asserted is far from them, for a machine that has other things to do."""
    with prepared_region() as region:
        region.start()
        region.stop()
        began = time.monotonic()
        region.start(doors=("mllps",))
        feed(region, "2")
        first = time.monotonic() - began
        region._await("https", began + 30)
        region._await("http", began + 30)
        page(region)
        time.sleep(1)
        memory = region.memory()
        print(f"\nfirst answer {first:.2f} s after a second start, {memory / MIB:.0f} MiB at rest")
        assert first < 15
        assert memory < 300 * MIB
        region.stop()


def test_two_regions_stand_side_by_side_by_environment_alone(region: Region) -> None:
    with running_region(HIE_OID_ROOT="1.2.392.100") as other:
        feed(region, "3")
        feed(other, "3")
        own, others = (each.member("hospital").regional_id("3") for each in (region, other))
        assert own is not None
        assert own != others
        assert set(region.processes()).isdisjoint(other.processes())
        other.stop()
        feed(region, "4")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_whole_tree_within_seconds(number: int) -> None:
    with prepared_region() as region:
        region.start()
        idle = socket.create_connection(("127.0.0.1", region.ports["mllp"]))
        kept = http.client.HTTPConnection("127.0.0.1", region.ports["http"], timeout=5)
        kept.request("GET", "/admin/login/")
        kept.getresponse().read()
        seconds = region.stop(number)
        print(f"\n{signal.Signals(number).name}: stopped in {seconds:.2f} s")
        assert seconds < 10
        assert region.process is not None
        assert region.process.returncode == 0
        assert not region.processes()
        activities = region.rows("SELECT action FROM atna_auditrecord WHERE event_id = '110100' ORDER BY id")
        assert len(activities) == 2
        assert "Traceback" not in region.log.read_text()
        idle.close()
        kept.close()


def test_messages_under_way_are_answered_before_the_end() -> None:
    """Members send without a pause while the tree stops: what was done was answered, and the other way round."""
    with prepared_region() as region:
        region.start()
        answered: list[str] = []
        stopping = threading.Event()

        def send(first: int) -> None:
            chart = first
            with contextlib.suppress(OSError, CallError):
                while not stopping.is_set():
                    feed(region, str(chart))
                    answered.append(str(chart))
                    chart += 10

        threads = [threading.Thread(target=send, args=(1000 + number,), daemon=True) for number in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        region.stop()
        stopping.set()
        for thread in threads:
            thread.join(20)
        assert sorted(answered) == sorted(value for (value,) in region.rows("SELECT value FROM pix_localidentifier"))


def test_a_part_that_was_killed_is_started_again() -> None:
    with prepared_region() as region:
        region.start()
        assert region.process is not None
        parts = region.children(region.process.pid)
        assert len(parts) == 4
        for pid in parts:
            os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + 30
        while len(set(region.children(region.process.pid)) - set(parts)) < 4:
            assert time.monotonic() < end, region.log.read_text()
            time.sleep(0.1)
        for door in region.ports:
            region._await(door, end)
        feed(region, "5")
        assert page(region) == 200
        assert region.log.read_text().count("ended by itself") == 4
        region.stop()


def test_nothing_is_left_when_the_parent_is_killed() -> None:
    with prepared_region() as region:
        region.start()
        assert region.process is not None
        region.process.kill()
        region.process.wait(10)
        end = time.monotonic() + 30
        while region.processes():
            assert time.monotonic() < end, region.processes()
            time.sleep(0.1)
        region.start()
        feed(region, "6")


def test_a_part_may_run_alone() -> None:
    with prepared_region() as region:
        region.start("--only", "mllp", doors=("mllps",))
        feed(region, "7")
        with pytest.raises(ConnectionRefusedError):
            page(region)
        region.stop()


def test_a_region_without_certificates_says_how_to_make_them() -> None:
    with prepared_region() as region:
        (region.directory / "tls" / "server.pem").unlink()
        done = region.run("manage.py", "serve", check=False)
        assert done.returncode != 0
        assert "issue_certificate --server" in done.stderr
        assert "Traceback" not in done.stderr


def test_plain_mllp_is_closed_unless_it_is_opened() -> None:
    with prepared_region(HIE_MLLP_PLAIN="0") as region:
        region.start("--only", "mllp", doors=("mllps",))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", region.ports["mllp"]))
        region.stop()


def test_plain_mllp_stays_on_loopback_whatever_the_host() -> None:
    with prepared_region(HIE_HOST="0.0.0.0") as region:
        region.start("--only", "mllp", doors=("mllps",))
        lines = subprocess.run(["cat", "/proc/net/tcp"], capture_output=True, text=True, check=True).stdout
        assert f" 0100007F:{region.ports['mllp']:04X} " in lines
        assert f" 00000000:{region.ports['mllps']:04X} " in lines
        region.stop()


# TLS: what an auditor's tool looks at -----------------------------------------------------------------------------

OFFERS = {
    "TLS 1.3": (["-tls1_3"], True),
    "TLS 1.2 with ECDHE and GCM": (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], True),
    "TLS 1.2 with 256 bits": (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"], True),
    "TLS 1.2 without forward secrecy": (["-tls1_2", "-cipher", "AES128-GCM-SHA256:AES256-SHA"], False),
    "TLS 1.2 with CBC": (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA"], False),
    "TLS 1.1": (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], False),
    "TLS 1.0": (["-tls1", "-cipher", "ALL:@SECLEVEL=0"], False),
}


@pytest.mark.parametrize("door", ["https", "mllps"])
@pytest.mark.parametrize("case", OFFERS)
def test_only_what_bcp_195_recommends_is_spoken(region: Region, door: str, case: str) -> None:
    arguments, accepted = OFFERS[case]
    credentials = region.credentials("hospital")
    done = subprocess.run(
        [
            *("openssl", "s_client", "-connect", f"127.0.0.1:{region.ports[door]}", "-brief", "-verify_return_error"),
            *("-cert", credentials.certificate, "-key", credentials.key, "-CAfile", credentials.authorities),
            *arguments,
        ],
        input=b"Q\n",
        capture_output=True,
        check=False,
        timeout=20,
    )
    said = (done.stdout + done.stderr).decode()
    assert ("CONNECTION ESTABLISHED" in said) is accepted, said


# Neighbours that are slow or many ---------------------------------------------------------------------------------


def test_five_hundred_idle_connections_do_not_keep_a_member_waiting() -> None:
    with running_region() as region:
        context = client_context(region.credentials("hospital"))
        idle = [socket.create_connection(("127.0.0.1", region.ports["mllp"])) for _ in range(450)]
        for _ in range(40):
            raw = socket.create_connection(("localhost", region.ports["mllps"]))
            idle.append(context.wrap_socket(raw, server_hostname="localhost"))
        began = time.monotonic()
        feed(region, "8")
        print(f"\na feed beside {len(idle)} idle connections took {time.monotonic() - began:.3f} s")
        for each in idle:
            each.close()


def test_slow_senders_do_not_hold_the_https_door_for_ever() -> None:
    """More senders of a byte a second than there are threads: a member is still answered, and they are let go."""
    with running_region() as region:
        context = client_context(region.credentials("clinic"))
        slow = []
        for _ in range(6):
            raw = socket.create_connection(("localhost", region.ports["https"]), 60)
            secured = context.wrap_socket(raw, server_hostname="localhost", do_handshake_on_connect=False)
            slow.append(secured)
        for each in slow[:4]:
            each.do_handshake()
            each.sendall(SLOW_REQUEST)
        for each in slow[4:]:
            socket.socket.send(each, b"\x16")  # the first byte of a handshake, and then no more
        stopping = threading.Event()
        drips = threading.Thread(target=_drip, args=(slow, stopping), daemon=True)
        drips.start()
        feed(region, "9")
        member = region.member("hospital")
        patient = member.regional_id("9")
        assert patient is not None
        began = time.monotonic()
        while True:  # one that is turned away meanwhile tries again, as members do
            with contextlib.suppress(CallError):
                assert member.find_documents(patient) == ()
                break
        print(f"\na query beside {len(slow)} senders of a byte a second took {time.monotonic() - began:.1f} s")
        stopping.set()
        drips.join(10)
        for each in slow:
            each.close()


SLOW_REQUEST = (
    b"POST /soap/registry HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/soap+xml\r\n"
    b"Content-Length: 100000\r\n\r\n"
)


def test_silent_connections_do_not_hold_the_https_door() -> None:
    with running_region() as region:
        feed(region, "12")
        silent = [socket.create_connection(("127.0.0.1", region.ports["https"])) for _ in range(200)]
        member = region.member("hospital")
        patient = member.regional_id("12")
        assert patient is not None
        began = time.monotonic()
        assert member.find_documents(patient) == ()
        seconds = time.monotonic() - began
        print(f"\na query beside {len(silent)} silent connections took {seconds:.2f} s")
        assert seconds < 4
        for each in silent:
            each.close()


def _drip(slow: list[socket.socket], stopping: threading.Event) -> None:
    while not stopping.wait(1):
        for each in slow:
            with contextlib.suppress(OSError):
                each.sendall(b" ")


# Production: several workers, PostgreSQL, Redis and Celery ----------------------------------------------------------


def test_several_web_workers_answer() -> None:
    with running_region(HIE_WEB_WORKERS="3") as region:
        feed(region, "10")
        answering = set()
        for _ in range(40):
            member = region.member("hospital")
            patient = member.regional_id("10")
            assert patient is not None
            member.find_documents(patient)
            messages = region.rows("SELECT message FROM atna_auditrecord ORDER BY id DESC LIMIT 1")
            answering.add(bytes(messages[0][0]).partition(b'AlternativeUserID="')[2].partition(b'"')[0])
            if len(answering) > 1:
                break
        assert len(answering) > 1, "one worker answered everything"


@pytest.mark.skipif(not BROKER, reason="HIE_BROKER_URL is not set: make suite-production runs this with Redis")
def test_celery_runs_the_schedule() -> None:
    broker = urlunsplit(urlsplit(BROKER)._replace(path="/7"))
    with prepared_region(HIE_BROKER_URL=broker, HIE_SCAN_SECONDS="1") as region:
        storage = region.directory / "storage"
        made = ("make_storage", str(storage), "--facility", regions.HOSPITAL, "--patients", "2")
        region.run("manage.py", *made)
        path = str(storage / regions.HOSPITAL)
        region.run("manage.py", "add_storage", regions.HOSPITAL, path, "--quiet-seconds", "0")
        region.start()
        end = time.monotonic() + 60
        while not region.rows("SELECT 1 FROM ssmix_scan WHERE ended_at IS NOT NULL"):
            assert time.monotonic() < end, region.log.read_text()
            time.sleep(0.2)
        assert "Celery" in region.log.read_text()
        assert region.one("SELECT count(*) FROM pix_localidentifier") == 2
        feed(region, "11")
        seconds = region.stop()
        print(f"\nwith Celery stopped in {seconds:.2f} s")
        assert seconds < 30
