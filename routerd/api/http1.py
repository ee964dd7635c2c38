"""HTTP/1.1 by hypercorn's H11 protocol, with what is wrong with it put right.

What is used of hypercorn is no documented interface: the versions are pinned exactly, and
`tests/api/test_stock_defects.py` holds what was wrong with the stock classes. Nothing here knows what is served, only
what a refusal looks like.
"""

from __future__ import annotations

import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

import h11
import trio
from hypercorn.events import Closed, RawData, Updated
from hypercorn.protocol.events import Body, EndBody, Event, Request, Response, StreamClosed
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import HTTPStream

from routerd.api.refusal import refuse_connection

WRITTEN_FOR = {"h11": "0.16.0", "hypercorn": "0.18.0", "quart": "0.22.0", "quart-trio": "0.12.0", "trio": "0.35.0"}
"""The versions whose internals this package knows. A test compares them with what is installed and pinned."""

REASONS = {int(status): status.phrase.encode("ascii") for status in HTTPStatus}


class Http1(H11Protocol):
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

    async def stream_send(self, event: Event) -> None:
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
