"""The MLLP door, plain or over mutual TLS (ITI TF-2: Appendix C.2.1; HL7 v2.5 MLLP release 1).

asyncio holds the sockets; the work, which waits for the database, runs in a bounded pool of threads. One connection's
messages are answered one after the other, in order; a sender that does not wait is held back by its own socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from django.conf import settings

from hie.exchange import pipeline, registry
from hie.exchange.connection import Connection
from hie.exchange.rows import between_messages
from hie.values.errors import ExchangeError, Reason
from hie.wire.hl7v2.acknowledgement import refusal
from hie.wire.hl7v2.message import Message
from hie.wire.hl7v2.mllp import FrameReader, frame

log = logging.getLogger("hie.transport.mllp")

MOST_WAITING_FRAMES = 16
IDLE_SECONDS = 600
HANDSHAKE_SECONDS = 10
STOP_SECONDS = 15
READ_BYTES = 256 * 1024

Answering = Callable[[bytes | ExchangeError, Connection], bytes]


def handle(received: bytes | ExchangeError, connection: Connection) -> bytes:
    """Answer one frame: its message without the MLLP bytes in, the answer without them out. Never raises."""
    if isinstance(received, ExchangeError):
        return refusal(b"", pipeline.record_refusal(connection, received))
    try:
        message = Message.read(received, settings.MAX_MESSAGE_BYTES)
    except ExchangeError as error:
        return refusal(received, pipeline.record_refusal(connection, error))
    connection = replace(connection, claimed_name=message.sender, called_name=message.receiver)
    transaction = registry.for_trigger(message.trigger, message.version)
    if transaction is None:
        return refusal(message, pipeline.record_refusal(connection, _unsupported(message)))
    answer: bytes = pipeline.answer(transaction, message, connection)
    return answer


def _unsupported(message: Message) -> ExchangeError:
    message_type = message.trigger.split("^")[0]
    if message_type in registry.message_types():
        return ExchangeError(Reason.UNSUPPORTED_EVENT, "MSH-9.2: this trigger event has no door here.", "MSH^1^9^1^2")
    return ExchangeError(Reason.UNSUPPORTED_MESSAGE, "MSH-9.1: this message type has no door here.", "MSH^1^9^1^1")


@dataclass(frozen=True, slots=True)
class MllpDoor:
    """Where to listen. ssl_context None is plain MLLP, which only ever listens on loopback."""

    host: str
    port: int
    ssl_context: ssl.SSLContext | None = None

    @property
    def name(self) -> str:
        return "mllps" if self.ssl_context else "mllp"


class MllpServer:
    """Listens on the doors given; ``run()`` blocks, ``start()`` and ``stop()`` run it in a thread.

    threads: messages answered at once over all connections. ``ports`` holds what was bound, in the order of the doors.
    """

    def __init__(
        self,
        doors: list[MllpDoor],
        *,
        threads: int = 4,
        answer: Answering = handle,
        max_connections: int = 500,
        reuse_port: bool = False,
    ) -> None:
        self.doors = doors
        self.ports: list[int] = []
        self._answer = answer
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="mllp")
        self._max_connections = max_connections
        self._reuse_port = reuse_port
        self._connections: set[asyncio.Task[None]] = set()
        self._listening: set[asyncio.Task[None]] = set()  # those of them that wait for their peer
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None

    def run(self) -> None:
        """Serve until ``stop()`` is called from another thread or a signal handler."""
        asyncio.run(self._serve())

    def start(self) -> MllpServer:
        """Serve in a thread of this process; returns when the doors are open."""
        self._thread = threading.Thread(target=self.run, name="mllp-server", daemon=True)
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("The MLLP doors did not open within 10 seconds.")
        return self

    def stop(self) -> None:
        """Close the doors; messages under way are answered first."""
        if self._loop is not None and self._stopping is not None:
            with contextlib.suppress(RuntimeError):  # the loop has already ended
                self._loop.call_soon_threadsafe(self._stopping.set)
        if self._thread is not None:
            self._thread.join(20)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        servers = []
        for door in self.doors:
            server = await asyncio.start_server(
                lambda reader, writer, door=door: self._accept(door, reader, writer),  # type: ignore[misc]
                door.host,
                door.port,
                limit=READ_BYTES,
                backlog=256,
                reuse_port=self._reuse_port or None,
            )
            self.ports.append(server.sockets[0].getsockname()[1])
            servers.append(server)
        self._ready.set()
        await self._stopping.wait()
        for server in servers:
            server.close()
        await self._close_connections()
        self._pool.shutdown(wait=True)

    async def _close_connections(self) -> None:
        """End what waits for its peer at once, and what is being answered when its answer is sent."""
        for connection in self._listening:
            connection.cancel()
        if self._connections:
            _, late = await asyncio.wait(self._connections, timeout=STOP_SECONDS)
            for connection in late:
                connection.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _accept(self, door: MllpDoor, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._connections) >= self._max_connections:
            writer.close()  # before it said anything there is nothing to answer; the record says that it was here
            await self._in_pool(_record_turned_away, _connection(door, writer), self._max_connections)
            return
        self._connections.add(task)
        try:
            connection = _connection(door, writer)
            if door.ssl_context is not None:
                connection = await self._secure(door.ssl_context, writer, connection)
            await self._converse(task, reader, writer, connection)
        except (ConnectionError, TimeoutError, ssl.SSLError):
            log.info("%s: a connection from %s ended early", door.name, _remote(writer))
        except asyncio.CancelledError:
            log.debug("%s: closed by our own stop", door.name)
        finally:
            self._connections.discard(task)
            self._listening.discard(task)
            writer.close()

    async def _secure(
        self, context: ssl.SSLContext, writer: asyncio.StreamWriter, connection: Connection
    ) -> Connection:
        """Do the handshake here, not in the listener, so that a failed one leaves a record (ITI TF-2: 3.19.5)."""
        try:
            await writer.start_tls(context, ssl_handshake_timeout=HANDSHAKE_SECONDS)
        except (OSError, TimeoutError) as error:
            await self._in_pool(_record_failed_handshake, connection, type(error).__name__)
            raise
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True) or b""
        return replace(connection, certificate=certificate)

    async def _converse(
        self,
        task: asyncio.Task[None],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        connection: Connection,
    ) -> None:
        assert self._stopping is not None
        frames = FrameReader(settings.MAX_MESSAGE_BYTES)
        while not self._stopping.is_set():
            self._listening.add(task)
            received = await _next_bytes(reader)
            self._listening.discard(task)
            found = frames.feed(received) if received else frames.close()
            for each in found:
                answer = await self._in_pool(self._answer, each, connection)
                writer.write(frame(answer))
                await writer.drain()
                if self._stopping.is_set():
                    return
            if not received:
                return

    async def _in_pool(self, function: Callable[..., bytes | None], *arguments: object) -> bytes:
        assert self._loop is not None
        work = self._loop.run_in_executor(self._pool, _with_connections_checked, function, *arguments)
        try:
            return await asyncio.shield(work) or b""
        except asyncio.CancelledError:
            await work  # a message that was begun is finished, whatever stops us
            raise


async def _next_bytes(reader: asyncio.StreamReader) -> bytes:
    """What comes next; b"" at the end, be it in order, by a reset or by silence: half a frame is recorded then."""
    try:
        async with asyncio.timeout(IDLE_SECONDS):
            return await reader.read(READ_BYTES)
    except (ConnectionError, TimeoutError, ssl.SSLError):
        return b""


def _with_connections_checked(function: Callable[..., bytes | None], *arguments: object) -> bytes | None:
    between_messages()
    return function(*arguments)


def _record_failed_handshake(connection: Connection, what: str) -> None:
    detail = f"TLS handshake failed ({what}): a certificate of a believed authority is needed."
    pipeline.record_refusal(connection, ExchangeError(Reason.UNKNOWN_CALLER, detail))


def _record_turned_away(connection: Connection, most: int) -> None:
    detail = f"There are {most} connections at this door already; this one was turned away."
    pipeline.record_refusal(connection, ExchangeError(Reason.BUSY, detail))


def _connection(door: MllpDoor, writer: asyncio.StreamWriter) -> Connection:
    host, port = writer.get_extra_info("sockname")[:2]
    return Connection(door=door.name, address=f"{host}:{port}", remote=_remote(writer))


def _remote(writer: asyncio.StreamWriter) -> str:
    peer = writer.get_extra_info("peername")
    return peer[0] if peer else ""
