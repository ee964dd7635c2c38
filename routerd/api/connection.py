"""One connection of a client over a Unix socket, bounded in every direction. What is said on it is HTTP (`http1`)."""

from __future__ import annotations

import logging
import select
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from enum import Enum
from math import inf
from typing import Any

import attrs
import h11
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.trio.worker_context import WorkerContext

from routerd.api.http1 import Http1

log = logging.getLogger(__name__)

MAX_RECEIVE = 1 << 16
MAX_AHEAD = 1 << 16
"""Octets that a client may send before it has had the answer to its last request."""

Asgi = Callable[[Any, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]
"""An ASGI application."""


@attrs.frozen
class Limits:
    """What one connection may take. Seconds, except where said."""

    idle: float = 120
    """Between requests."""
    read: float = 10
    """For a whole request, from its first byte."""
    answer: float = inf
    """From the end of a request to the end of its answer."""
    send: float = 20
    """For one piece of an answer to be taken by the client."""
    age: float = 600
    """After this the connection is closed with its next answer: credentials are those of the day it was opened."""
    linger: float = 1
    """How long the rest of a refused request is read and thrown away, so that the refusal arrives."""


class _Phase(Enum):
    """Where a connection is, by the name of the limit that holds there."""

    IDLE = "idle"
    READING = "read"
    ANSWERING = "answer"
    ENDING = "linger"


class _Mailbox:
    """What hypercorn has for the application: the parts of one request. Bounded, because the application reads a
    body of bounded length and the connection ends when it answers without reading the rest."""

    __slots__ = ("_complete", "_parts", "_reader")

    def __init__(self, complete: Callable[[], None]) -> None:
        self._complete = complete
        self._parts: deque[Any] = deque()
        self._reader: trio.lowlevel.Task | None = None

    async def put(self, part: Any) -> None:
        if part["type"] == "http.request" and not part["more_body"]:
            self._complete()
        self._parts.append(part)
        if self._reader is not None:
            trio.lowlevel.reschedule(self._reader)
            self._reader = None

    async def receive(self) -> Any:
        while not self._parts:
            self._reader = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abandon)
        return self._parts.popleft()

    def _abandon(self, _: Any) -> trio.lowlevel.Abort:
        self._reader = None
        return trio.lowlevel.Abort.SUCCEEDED


@attrs.define(eq=False)
class Connection:
    """A client's connection, from accept to close: a task that reads, and one for the request that is answered.

    Everything in it lives in one cancel scope. It ends when the client is gone (whatever is being answered is
    cancelled with it), when a limit is reached, or after `stop`. Outer cancellation does not reach it: its server
    calls `stop`, which lets an answer under way end in time.
    """

    app: Asgi
    config: Config
    context: WorkerContext
    state: dict[str, Any]
    socket: socket.socket
    limits: Limits
    _scope: trio.CancelScope = attrs.field(init=False, factory=lambda: trio.CancelScope(shield=True))
    _nursery: trio.Nursery = attrs.field(init=False)
    _protocol: Http1 = attrs.field(init=False)
    _writing: trio.Lock = attrs.field(init=False, factory=trio.Lock)
    _last_moment: float = attrs.field(init=False, default=inf)
    _phase: _Phase = attrs.field(init=False, default=_Phase.IDLE)
    _sent_ahead: int = attrs.field(init=False, default=0)
    _timed: _Phase | None = attrs.field(init=False, default=None)
    """The phase for which the scope's deadline stands."""

    @property
    def idle(self) -> bool:
        """No request has begun."""
        return self._phase is _Phase.IDLE

    async def run(self) -> None:
        """Serve until the connection ends, then close it."""
        expires = trio.current_time() + self.limits.age
        try:
            with self._scope:
                async with trio.open_nursery() as self._nursery:
                    arguments = (self.app, self.config, self.context, self, self.state, False, None, None, self._obey)
                    self._protocol = Http1(expires, *arguments)
                    await self._read()
                    self.hang_up()
            if self._phase is _Phase.READING and self._last_moment == inf:
                self._say_timeout()
        finally:
            self.socket.close()

    def hang_up(self) -> None:
        """End now, whatever is under way."""
        self._phase = _Phase.ENDING
        self._scope.cancel()

    def stop(self, grace: float) -> None:
        """End as soon as the present answer is out, in `grace` seconds at the latest."""
        self._last_moment = trio.current_time() + grace
        self._scope.deadline = min(self._scope.deadline, self._last_moment)
        if self.idle:
            self.hang_up()

    def _time(self) -> None:
        """Bound the phase that begins now. Called when the connection is about to wait, not at every change: a short
        request passes through all phases in between."""
        if self._timed is not self._phase:
            self._timed = self._phase
            limit: float = getattr(self.limits, self._phase.value)
            self._scope.deadline = min(trio.current_time() + limit, self._last_moment)

    async def _read(self) -> None:
        """Read until the client has said all, or is gone."""
        while True:
            self._time()
            await trio.lowlevel.wait_readable(self.socket)
            try:
                data = self.socket.recv(MAX_RECEIVE)
            except BlockingIOError:
                continue
            except OSError:
                return
            if self._phase is not _Phase.ENDING:
                await self._take(data)
            if self._sent_ahead > MAX_AHEAD:
                return
            if not data:
                break
        if self._protocol.stream is not None and not _hung_up(self.socket):
            self._time()
            await trio.sleep_forever()  # it only closed its sending side: it waits for the answer, and so do we

    async def _take(self, data: bytes) -> None:
        if self._phase is _Phase.ANSWERING:
            self._sent_ahead += len(data)
        elif self._phase is _Phase.IDLE and data:
            self._phase = _Phase.READING
        await self._protocol.handle(RawData(data))

    # What hypercorn asks of us: as its task group, and as its transport.

    async def spawn_app(
        self, app: Asgi, _: Config, scope: dict[str, Any], send: Callable[[Any], Awaitable[None]]
    ) -> Callable[[Any], Awaitable[None]]:
        mailbox = _Mailbox(self._request_complete)
        self._nursery.start_soon(self._answer, app, scope, mailbox.receive, send)
        return mailbox.put

    async def _answer(self, app: Asgi, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await app(scope, receive, send)
        await send(None)

    def _request_complete(self) -> None:
        self._phase = _Phase.ANSWERING

    async def _obey(self, event: Event) -> None:
        if type(event) is RawData:
            await self._send(event.data)
        elif type(event) is Closed:
            self._finish()
        elif type(event) is Updated and event.idle:
            await self._go_on()
        elif type(event) is Updated:
            self._phase = _Phase.READING

    async def _go_on(self) -> None:
        """An answer is out, unless we have hung up meanwhile."""
        if self._phase is _Phase.ENDING:
            return
        self._phase, self._sent_ahead = _Phase.IDLE, 0
        if await self._protocol.resume():
            self._time()
        else:
            self.hang_up()

    def _finish(self) -> None:
        """No more answers. A client that is still sending is heard out for a moment: closing at once could take the
        answer from it (unread input makes the kernel reset the connection)."""
        if self._phase is _Phase.ENDING:
            return
        if self._protocol.connection.their_state not in (h11.SEND_BODY, h11.ERROR):
            self.hang_up()
            return
        self._phase = _Phase.ENDING
        self._time()
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.hang_up()

    async def _send(self, data: bytes) -> None:
        try:
            sent = self.socket.send(data) if not self._writing.locked() else 0
            if sent < len(data):
                await self._send_rest(memoryview(data)[sent:])
        except BlockingIOError:
            await self._send_rest(memoryview(data))
        except OSError:
            self.hang_up()

    async def _send_rest(self, data: memoryview) -> None:
        async with self._writing:
            with trio.move_on_after(self.limits.send):
                while data:
                    await trio.lowlevel.wait_writable(self.socket)
                    try:
                        data = data[self.socket.send(data) :]
                    except BlockingIOError:
                        continue
                    except OSError:
                        break
        if data:
            self.hang_up()

    def _say_timeout(self) -> None:
        """A last word to a client that took too long over its request, if it can be had without waiting."""
        if self._protocol.connection.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            try:
                self.socket.send(self._protocol.refuse(408))
            except OSError:
                log.debug("a client that was too slow is gone already")


def _hung_up(connection: socket.socket) -> bool:
    """Whether the peer closed the connection altogether, not only its sending side (POLLHUP: both are shut)."""
    poll = select.poll()
    poll.register(connection, 0)
    return any(happened & select.POLLHUP for _, happened in poll.poll(0))
