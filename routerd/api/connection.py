"""One HTTP/1.1 connection: hypercorn's H11 protocol over a Unix socket, bounded in every direction.

hypercorn's own TCPServer is not used, and what is used of hypercorn is no documented interface: the versions are
pinned exactly, and `tests/api/test_stock_defects.py` holds what was wrong with the stock classes. Nothing here knows
what is served, only what a refusal looks like.
"""

from __future__ import annotations

import logging
import select
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from enum import Enum
from http import HTTPStatus
from math import inf
from typing import Any

import attrs
import h11
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Body, EndBody, Request, Response, StreamClosed
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.trio.worker_context import WorkerContext

from routerd.api.refusal import refuse_connection

log = logging.getLogger(__name__)

WRITTEN_FOR = {"h11": "0.16.0", "hypercorn": "0.18.0", "quart": "0.22.0", "quart-trio": "0.12.0", "trio": "0.35.0"}
"""The versions whose internals this package knows. A test compares them with what is installed and pinned."""

MAX_RECEIVE = 1 << 16
MAX_AHEAD = 1 << 16
"""Octets that a client may send before it has had the answer to its last request."""
REASONS = {int(status): status.phrase.encode("ascii") for status in HTTPStatus}

App = Callable[[Any, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]
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


class _Protocol(H11Protocol):
    """HTTP/1.1 only (no upgrade to HTTP/2 or websockets), head and body in one write, JSON refusals. It never waits:
    what a client sends ahead stays in the buffer until `resume`."""

    def __init__(self, expires: float, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._expires = expires
        self._head = b""

    async def resume(self) -> bool:
        """Go on with what the client sent ahead. False when that was its end, and all that it asked for is answered."""
        data, ended = self.connection.trailing_data
        if data or ended:
            await self._handle_events()
        return self.stream is not None or not ended

    async def _handle_events(self) -> None:
        while True:
            if self.connection.they_are_waiting_for_100_continue:
                await self._send_h11_event(h11.InformationalResponse(status_code=100, headers=[]))
            try:
                event = self.connection.next_event()
            except h11.RemoteProtocolError as error:
                if self.connection.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                    await self._send_error_response(error.error_status_hint)
                await self.send(Closed())
                return
            if type(event) is h11.Request:
                await self.send(Updated(idle=False))
                await self._create_stream(event)
            elif type(event) is h11.Data and self.stream is not None:
                await self.stream.handle(Body(stream_id=STREAM_ID, data=event.data))
            elif type(event) is h11.EndOfMessage and self.stream is not None:
                await self.stream.handle(EndBody(stream_id=STREAM_ID))
            else:
                return  # more is needed, or an answer is under way, or the client has said all

    async def _create_stream(self, request: h11.Request) -> None:
        self.stream = HTTPStream(
            self.app, self.config, self.context, self.task_group, False, None, None, self.stream_send, STREAM_ID
        )
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=list(request.headers),
                http_version=request.http_version.decode("ascii"),
                method=request.method.decode("ascii"),
                raw_path=request.target,
                state=self.connection_state,
            )
        )

    async def stream_send(self, event: StreamEvent) -> None:
        if type(event) is Response:
            headers = [*event.headers, (b"date", _date())]
            if trio.current_time() >= self._expires:
                headers.append((b"connection", b"close"))
            reason = REASONS.get(event.status_code, b"")
            self._head = self._encode(h11.Response(status_code=event.status_code, headers=headers, reason=reason))
        elif type(event) is Body:
            await self._flush(h11.Data(data=event.data))
        elif type(event) is EndBody:
            await self._flush(h11.EndOfMessage())
        elif type(event) is StreamClosed:
            await self._maybe_recycle()

    async def _flush(self, event: h11.Data | h11.EndOfMessage) -> None:
        data, self._head = self._head + self._encode(event), b""
        if data:
            await self.send(RawData(data))

    def _encode(self, event: h11.Response | h11.Data | h11.EndOfMessage) -> bytes:
        try:
            return self.connection.send(event) or b""
        except h11.LocalProtocolError:
            if self.connection.their_state is not h11.ERROR:
                raise
            return b""  # the peer broke the protocol while we answered; the connection is ending

    async def _close_stream(self) -> None:
        stream, self.stream = self.stream, None
        if stream is not None:
            await stream.handle(StreamClosed(stream_id=STREAM_ID))

    async def _send_error_response(self, status_code: int) -> None:
        await self.send(RawData(self.refuse(status_code)))

    def refuse(self, status: int) -> bytes:
        """The bytes that answer what never became a request."""
        return b"".join(self._encode(event) for event in _refusal(status))


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

    app: App
    config: Config
    context: WorkerContext
    state: dict[str, Any]
    socket: socket.socket
    limits: Limits
    _scope: trio.CancelScope = attrs.field(init=False, factory=lambda: trio.CancelScope(shield=True))
    _nursery: trio.Nursery = attrs.field(init=False)
    _protocol: _Protocol = attrs.field(init=False)
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
                    self._protocol = _Protocol(expires, *arguments)
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
        self, app: App, _: Config, scope: dict[str, Any], send: Callable[[Any], Awaitable[None]]
    ) -> Callable[[Any], Awaitable[None]]:
        mailbox = _Mailbox(self._request_complete)
        self._nursery.start_soon(self._answer, app, scope, mailbox.receive, send)
        return mailbox.put

    async def _answer(self, app: App, scope: dict[str, Any], receive: Any, send: Any) -> None:
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
        """An answer is out."""
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


def refusal_bytes(status: int) -> bytes:
    """What tells a client off before it has asked."""
    fresh = h11.Connection(h11.SERVER)
    return b"".join(fresh.send(event) or b"" for event in _refusal(status))


def _refusal(status: int) -> tuple[h11.Response, h11.Data, h11.EndOfMessage]:
    headers, body = refuse_connection(status)
    headers = [*headers, (b"date", _date()), (b"connection", b"close")]
    head = h11.Response(status_code=status, headers=headers, reason=REASONS.get(status, b""))
    return head, h11.Data(data=body), h11.EndOfMessage()


_date_of: tuple[int, bytes] = (0, b"")


def _date() -> bytes:
    """The Date header's value, made once a second."""
    global _date_of
    now = int(time.time())
    if _date_of[0] != now:
        _date_of = now, formatdate(now, usegmt=True).encode("ascii")
    return _date_of[1]


def _hung_up(connection: socket.socket) -> bool:
    """Whether the peer closed the connection altogether, not only its sending side (POLLHUP: both are shut)."""
    poll = select.poll()
    poll.register(connection, 0)
    return any(happened & select.POLLHUP for _, happened in poll.poll(0))
