"""The MLLP server's sockets, with an answering function in place of the pipeline: order, bounds, stopping."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import hl7
import pytest
from django.db import OperationalError
from hl7.client import MLLPClient as IndependentClient

from hie.exchange.connection import Connection
from hie.transport import mllp_conversation, mllp_server
from hie.transport.mllp_client import MllpClient
from hie.transport.mllp_conversation import MllpDoor
from hie.transport.mllp_server import MllpServer
from hie.values.errors import ExchangeError
from hie.wire.hl7v2.mllp import FrameReader, frame

MESSAGE = b"MSH|^~\\&|EHR|HOSP|HIE|REGION|20260401||ADT^A28|%s|P|2.5\r"


def echo(received: bytes | ExchangeError, connection: Connection) -> bytes:
    return b"error" if isinstance(received, ExchangeError) else received


@contextmanager
def serving(answer: Callable[..., bytes] = echo, **choices: Any) -> Iterator[MllpServer]:
    server = MllpServer([MllpDoor("127.0.0.1", 0)], answer=answer, **choices).start()
    try:
        yield server
    finally:
        server.stop()


def connect(server: MllpServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.ports[0]), 10)


def answers(peer: socket.socket, count: int) -> list[bytes]:
    """So many answers, fewer where the connection ends."""
    reader, found = FrameReader(1 << 24), []
    while len(found) < count and (received := peer.recv(65536)):
        found += reader.feed(received)
    return found


def test_messages_of_one_connection_are_answered_in_order():
    with serving(threads=4) as server, connect(server) as peer:
        sent = [b"%d" % number for number in range(200)]
        peer.sendall(b"".join(map(frame, sent)))
        assert answers(peer, 200) == sent


def test_a_message_in_single_bytes_is_one_message():
    with serving() as server, connect(server) as peer:
        for byte in frame(b"slow"):
            peer.sendall(bytes((byte,)))
        assert answers(peer, 1) == [b"slow"]


def test_connections_do_not_wait_for_each_other():
    slow = threading.Event()

    def answer(received: bytes, connection: Connection) -> bytes:
        if received == b"slow":
            slow.wait(10)
        return received

    with serving(answer, threads=2) as server, connect(server) as first, connect(server) as second:
        first.sendall(frame(b"slow"))
        second.sendall(frame(b"fast"))
        assert answers(second, 1) == [b"fast"]
        slow.set()
        assert answers(first, 1) == [b"slow"]


def test_no_more_messages_are_answered_at_once_than_there_are_threads():
    busy, most, lock = 0, 0, threading.Lock()

    def answer(received: bytes, connection: Connection) -> bytes:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.02)
        with lock:
            busy -= 1
        return received

    with serving(answer, threads=3) as server:
        peers = [connect(server) for _ in range(20)]
        for peer in peers:
            peer.sendall(frame(b"x"))
        assert all(answers(peer, 1) == [b"x"] for peer in peers)
        for peer in peers:
            peer.close()
    assert most <= 3


def test_five_hundred_idle_connections_block_nobody():
    with serving(threads=2, max_connections=600) as server:
        idle = [connect(server) for _ in range(500)]
        with connect(server) as peer:
            began = time.monotonic()
            peer.sendall(frame(b"x") * 50)
            assert len(answers(peer, 50)) == 50
            print(f"\n500 idle connections: 50 messages in {time.monotonic() - began:.3f} s")
        idle[250].sendall(frame(b"awake"))
        assert answers(idle[250], 1) == [b"awake"]
        for each in idle:
            each.close()


def test_one_connection_too_many_is_turned_away_and_the_others_live():
    with serving(max_connections=3) as server:
        peers = [connect(server) for _ in range(3)]
        for peer in peers:
            peer.sendall(frame(b"x"))
            assert answers(peer, 1) == [b"x"]
        with connect(server) as surplus:
            assert surplus.recv(100) == b""
        peers.pop().close()
        for _ in range(100):  # the place becomes free when the server has noticed
            peers.append(connect(server))
            with contextlib.suppress(ConnectionError):  # turned away again
                peers[-1].sendall(frame(b"y"))
                if answers(peers[-1], 1) == [b"y"]:
                    break
            peers.pop().close()
            time.sleep(0.02)
        assert len(peers) == 3
        for peer in peers:
            peer.close()


def test_a_peer_that_reads_no_answers_is_held_back_by_its_own_socket():
    answered = 0

    def answer(received: bytes, connection: Connection) -> bytes:
        nonlocal answered
        answered += 1
        return b"x" * 1_000_000

    with serving(answer) as server, connect(server) as peer:
        peer.settimeout(1)
        peer.sendall(frame(b"x") * 200)
        time.sleep(0.5)
        assert answered < 50


def test_an_answer_under_way_is_finished_before_the_server_stops():
    begun = threading.Event()

    def answer(received: bytes, connection: Connection) -> bytes:
        begun.set()
        time.sleep(0.5)
        return b"finished"

    server = MllpServer([MllpDoor("127.0.0.1", 0)], answer=answer).start()
    with connect(server) as peer, connect(server):
        peer.sendall(frame(b"x"))
        assert begun.wait(5)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        assert answers(peer, 1) == [b"finished"]
        stopping.join(10)
        assert not stopping.is_alive()
        with pytest.raises(OSError):
            connect(server)


def test_silence_ends_a_connection(monkeypatch):
    monkeypatch.setattr(mllp_server, "IDLE_SECONDS", 0.2)
    with serving() as server:
        with connect(server) as idle:
            assert idle.recv(100) == b""
        with connect(server) as half:
            half.sendall(b"\x0bhalf a message")
            assert answers(half, 1) == [b"error"]
            assert half.recv(100) == b""


def test_stopping_does_not_wait_for_a_peer_that_reads_nothing(monkeypatch):
    monkeypatch.setattr(mllp_server, "STOP_SECONDS", 0.3)
    server = MllpServer([MllpDoor("127.0.0.1", 0)], answer=lambda *_: b"x" * 20_000_000).start()
    with connect(server) as peer:
        peer.sendall(frame(b"x"))
        time.sleep(0.3)
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("received", [b"no message", MESSAGE % b"1"])
def test_a_database_that_is_away_is_told_and_not_silence(monkeypatch, settings, received):
    def away(connection: Connection) -> None:
        raise OperationalError

    parts = {"authenticate": away, "recorder": away}
    monkeypatch.setattr(mllp_server.pipeline, "_part", lambda name: parts[name])
    answer = mllp_server.handle(received.replace(b"A28", b"A99"), Connection("mllps"))
    assert b"MSA|AR|" in answer
    assert b"BUSY" in answer


def test_an_answering_function_that_raises_ends_its_connection_alone():
    def answer(received: bytes, connection: Connection) -> bytes:
        raise MemoryError

    with serving(answer) as server:
        with connect(server) as peer:
            peer.sendall(frame(b"x"))
            assert peer.recv(100) == b""
        with connect(server) as peer:
            peer.sendall(frame(b"x"))
            assert peer.recv(100) == b""


def test_a_handshake_that_never_comes_ends(monkeypatch, tmp_path):
    monkeypatch.setattr(mllp_server, "HANDSHAKE_SECONDS", 0.2)
    recorded = []
    monkeypatch.setattr(mllp_server.pipeline, "record_refusal", lambda connection, error: recorded.append(error))
    monkeypatch.setattr(mllp_conversation, "between_messages", lambda: None)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server = MllpServer([MllpDoor("127.0.0.1", 0, context)], answer=echo).start()
    try:
        with connect(server) as peer:
            assert peer.recv(100) == b""
        for _ in range(100):
            if recorded:
                break
            time.sleep(0.02)
        assert len(recorded) == 1
    finally:
        server.stop()


def test_the_independent_client_of_python_hl7():
    """Another implementation's frames: its blocking client, and its asyncio one with several connections."""
    with serving() as server:
        with IndependentClient("127.0.0.1", server.ports[0]) as client:
            for number in range(3):
                message = MESSAGE % b"%d" % number
                got = client.send_message(hl7.parse(message.decode()))
                assert hl7.parse(got.strip(b"\x0b\x1c\r").decode()).segment("MSH")[10][0] == str(number)
        assert asyncio.run(_together(server.ports[0])) == [b"0\r", b"1\r", b"2\r"]


async def _together(port: int) -> list[bytes]:
    async def one(number: int) -> bytes:
        from hl7.mllp import open_hl7_connection

        reader, writer = await open_hl7_connection("127.0.0.1", port)
        writer.writemessage(hl7.parse((MESSAGE % b"%d" % number).decode()))
        await writer.drain()
        got = await reader.readmessage()
        writer.close()
        return bytes(str(got.segment("MSH")[10][0]), "ascii") + b"\r"

    return await asyncio.gather(*(one(number) for number in range(3)))


def test_our_client_opens_again_what_was_lost():
    with serving() as server:
        client = MllpClient("127.0.0.1", server.ports[0])
        assert client.send(b"x") == b"x"
        assert client._socket is not None
        client._socket.shutdown(socket.SHUT_RDWR)
        with pytest.raises(OSError):
            client.send(b"y")
        assert client.send(b"y") == b"y"
        client.close()
