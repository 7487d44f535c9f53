"""The MLLP door, plain or over mutual TLS (ITI TF-2: Appendix C.2.1; HL7 v2.5 MLLP release 1).

A bounded number of threads answers; connections rest meanwhile, watched by the kernel. Whichever thread is free gets
the next connection that can go on (``readiness``), takes one step with it, which is a handshake, a read, an answer or a
write as far as it goes without waiting, and lets it rest again. So a message crosses from no thread to another, and a
peer that is slow, silent or reads no answers holds no thread. One connection's messages are answered one after the
other, in order; between two of them the others have their turn (decision 0014).
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from dataclasses import dataclass

from django.conf import settings

from hie.exchange import pipeline, registry
from hie.exchange.connection import Connection
from hie.exchange.rows import between_messages
from hie.transport.mllp_conversation import END, WRITE, Answering, Conversation, MllpDoor, connection_of
from hie.transport.readiness import Readiness, readiness
from hie.values.errors import ExchangeError, Reason
from hie.wire.hl7v2.acknowledgement import refusal
from hie.wire.hl7v2.message import Message

log = logging.getLogger("hie.transport.mllp")

IDLE_SECONDS = 600
HANDSHAKE_SECONDS = 10
STOP_SECONDS = 15
SECONDS_BETWEEN_ROUNDS = 1.0
MORE_THAN_OTHERS_SECONDS = 0.002
BACKLOG = 256


def handle(received: bytes | ExchangeError, connection: Connection) -> bytes:
    """Answer one frame: its message without the MLLP bytes in, the answer without them out. Never raises."""
    if isinstance(received, ExchangeError):
        return refusal(b"", pipeline.record_refusal(connection, received))
    try:
        message = Message.read(received, settings.MAX_MESSAGE_BYTES)
    except ExchangeError as error:
        return refusal(received, pipeline.record_refusal(connection, error))
    connection = Connection(
        door=connection.door,
        address=connection.address,
        remote=connection.remote,
        certificate=connection.certificate,
        claimed_name=message.sender,
        called_name=message.receiver,
    )
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


class Share:
    """How many connections this process has beside others that listen on the same sockets; alone, just how many."""

    def __init__(self, counts: memoryview | list[int] | None = None, own: int = 0) -> None:
        """counts: a number for each process, in memory that all of them share. own: the place of this one."""
        self._counts = [0] if counts is None else counts
        self._own = own
        self._counts[own] = 0

    def add(self, connections: int) -> None:
        self._counts[self._own] += connections

    @property
    def all(self) -> int:
        return sum(self._counts)

    @property
    def is_large(self) -> bool:
        """Whether another process has fewer."""
        return self._counts[self._own] > min(self._counts)


class MllpServer:
    """Listens on the doors given; ``run()`` blocks, ``start()`` and ``stop()`` run it in a thread.

    threads: messages answered at once over all connections. ``open()`` binds, so that several processes may be forked
    off that listen together (``mllp_workers``); ``ports`` holds what was bound, in the order of the doors.
    max_connections: of all these processes together.
    """

    def __init__(
        self, doors: list[MllpDoor], *, threads: int = 4, answer: Answering = handle, max_connections: int = 500
    ) -> None:
        self.doors = doors
        self.ports: list[int] = []
        self.share = Share()
        self._answer = answer
        self._threads = threads
        self._max_connections = max_connections
        self._listeners: list[socket.socket] = []
        self._resting: dict[int, Conversation | _Listener | None] = {}  # whom nobody has a hand on, by descriptor
        self._conversations: set[Conversation] = set()
        self._counting = threading.Lock()
        self._is_stopping = False
        self._has_ended = False
        self._until_stopped = threading.Lock()  # a signal handler may let go of it, whatever it interrupts
        self._until_stopped.acquire()
        self._ready = threading.Event()
        self._readiness: Readiness
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Bind the doors; whoever connects waits until ``run()``."""
        for door in self.doors:
            family, _, _, _, address = socket.getaddrinfo(door.host, door.port, type=socket.SOCK_STREAM)[0]
            listener = socket.create_server(address[:2], family=family, backlog=BACKLOG)
            listener.setblocking(False)
            self._listeners.append(listener)
            self.ports.append(listener.getsockname()[1])

    def run(self) -> None:
        """Serve until ``stop()`` is called from another thread or a signal handler."""
        if not self._listeners:
            self.open()
        self._readiness = readiness()
        self._woken, self._waking = os.pipe()
        for door, listener in zip(self.doors, self._listeners, strict=True):
            self._rest(listener.fileno(), _Listener(door, listener))
        self._rest(self._woken, None)
        workers = [
            threading.Thread(target=self._work, name=f"mllp-{number}", daemon=True) for number in range(self._threads)
        ]
        for worker in workers:
            worker.start()
        self._ready.set()
        while not self._is_stopping:
            self._end_the_late()
            self._until_stopped.acquire(timeout=min(SECONDS_BETWEEN_ROUNDS, IDLE_SECONDS / 2, HANDSHAKE_SECONDS / 2))
        self._close_connections()
        self._has_ended = True
        os.write(self._waking, b"x")
        for worker in workers:
            worker.join()  # a message that was begun is finished, whatever stops us
        self._readiness.close()
        os.close(self._woken)
        os.close(self._waking)

    def start(self) -> MllpServer:
        """Serve in a thread of this process; returns when the doors are open."""
        self._thread = threading.Thread(target=self.run, name="mllp-server", daemon=True)
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("The MLLP doors did not open within 10 seconds.")
        return self

    def stop(self) -> None:
        """Close the doors; messages under way are answered first."""
        self._is_stopping = True
        with contextlib.suppress(RuntimeError):  # told already
            self._until_stopped.release()
        if self._thread is not None:
            self._thread.join(20)

    def close(self) -> None:
        """Close the doors of a server that does not run in this process."""
        for listener in self._listeners:
            listener.close()

    # Ending ---------------------------------------------------------------------------------------------------------

    def _end_the_late(self) -> None:
        """Who rested too long sees its connection end: a thread then does what is to be done at the end of one."""
        now = time.monotonic()
        for each in list(self._resting.values()):
            if isinstance(each, Conversation) and each.rests_until < now:
                each.is_late = True
                with contextlib.suppress(OSError):
                    each.socket.shutdown(socket.SHUT_RDWR if each.unsent else socket.SHUT_RD)

    def _close_connections(self) -> None:
        """End what waits for its peer at once, and what is being answered when its answer is sent."""
        self.close()
        end = time.monotonic() + STOP_SECONDS
        while self._conversations and time.monotonic() < end:
            for fileno, each in list(self._resting.items()):
                if isinstance(each, Conversation) and not each.unsent:
                    self._take_and_close(fileno)
            time.sleep(0.01)
        for fileno in list(self._resting):
            self._take_and_close(fileno)

    def _take_and_close(self, fileno: int) -> None:
        each = self._resting.pop(fileno, None)
        if isinstance(each, Conversation):
            self._close(each)

    def _close(self, conversation: Conversation) -> None:
        if conversation.socket.fileno() >= 0:
            self._readiness.forget(conversation.socket.fileno())
        with self._counting:
            self._conversations.discard(conversation)
            self.share.add(-1)  # before the peer sees the end: whoever connects next then is counted right
        conversation.close()

    # What a thread does ---------------------------------------------------------------------------------------------

    def _rest(self, fileno: int, each: Conversation | _Listener | None, *, writing: bool = False) -> None:
        """Nobody has a hand on it until it can go on."""
        self._resting[fileno] = each
        try:
            self._readiness.watch(fileno, writing=writing)
        except (OSError, ValueError):
            if not self._is_stopping:  # else it was closed meanwhile
                raise

    def _work(self) -> None:
        """Take what is ready, one after the other, until all has ended."""
        while not self._has_ended:
            fileno = self._readiness.wait()
            each = self._resting.pop(fileno, None)
            try:
                if isinstance(each, Conversation):
                    self._go_on(each)
                elif isinstance(each, _Listener):
                    self._accept(each)
                elif fileno == self._woken:
                    self._rest(fileno, None)  # for the next thread
            except Exception:
                log.exception("a connection is lost; this thread goes on with the others")

    def _go_on(self, conversation: Conversation) -> None:
        """One step of a conversation, then its rest or its end."""
        try:
            wish = conversation.step(self._answer)
        except Exception as error:
            if not isinstance(error, OSError):
                log.exception("%s: a connection from %s is closed", *conversation.names)
            else:
                log.info("%s: a connection from %s ended early", *conversation.names)
            wish = END
        if wish is END or (self._is_stopping and not conversation.unsent):
            self._close(conversation)
            return
        if conversation.secured:
            conversation.rests_until = time.monotonic() + IDLE_SECONDS
        self._rest(conversation.socket.fileno(), conversation, writing=wish is WRITE)

    def _accept(self, listener: _Listener) -> None:
        """Take one connection, unless it is another process's turn: who has more than others lets them go first."""
        if self.share.is_large:
            time.sleep(MORE_THAN_OTHERS_SECONDS)
        taken = None
        try:
            taken = listener.socket.accept()[0]
        except (BlockingIOError, ConnectionError):
            pass  # another process was first, or the peer is gone
        except OSError as error:
            if not self._is_stopping:
                log.error("%s: no connection can be taken: %s", listener.door.name, error)
                time.sleep(SECONDS_BETWEEN_ROUNDS)
        self._rest(listener.socket.fileno(), listener)
        if taken is not None:
            self._begin(listener.door, taken)

    def _begin(self, door: MllpDoor, taken: socket.socket) -> None:
        try:
            connection = connection_of(door, taken)
            conversation = Conversation(taken, door, connection)
        except OSError:  # the peer is gone already
            taken.close()
            return
        with self._counting:
            is_surplus = self.share.all >= self._max_connections
            if not is_surplus:
                self.share.add(1)
        if is_surplus:
            taken.close()  # before it said anything there is nothing to answer; the record says that it was here
            between_messages()
            _record_turned_away(connection, self._max_connections)
            return
        conversation.rests_until = time.monotonic() + (IDLE_SECONDS if conversation.secured else HANDSHAKE_SECONDS)
        self._conversations.add(conversation)
        self._rest(taken.fileno(), conversation)


@dataclass(frozen=True, slots=True)
class _Listener:
    door: MllpDoor
    socket: socket.socket


def _record_turned_away(connection: Connection, most: int) -> None:
    detail = f"There are {most} connections at this door already; this one was turned away."
    pipeline.record_refusal(connection, ExchangeError(Reason.BUSY, detail))
