"""A small ASGI application on a real socket, to try the transport alone. No threads: the clock may be a fake one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

from routerd.api.connection import Limits
from routerd.api.server import CAPACITY, LIMITS, Capacity, Server, serve_unix
from routerd.api.sockets import bind_unix

BIG = 8 << 20
GET = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"


@attrs.define(eq=False)
class Plain:
    """Where it is served, and what became of its requests."""

    path: str
    server: Server = attrs.field(init=False)
    scope: trio.CancelScope = attrs.field(init=False, factory=trio.CancelScope)
    done: trio.Event = attrs.field(init=False, factory=trio.Event)
    """Serving has ended."""
    cancelled: int = 0
    states: list[dict[str, Any]] = attrs.field(factory=list)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """`/big`, `/hang`, `/stream`, `/fail`, `/half`, `/early`; anything else tells the length of the body."""
        self.states.append(scope["state"])
        kind = scope["path"]
        if kind == "/early":
            await respond(send, b"no thanks", 413)
            return
        size = len(await body_of(receive))
        try:
            if kind == "/hang":
                await trio.sleep_forever()
            if kind == "/slow":
                await trio.sleep(60)
            if kind == "/fail":
                raise RuntimeError("the application fails")
            if kind in ("/stream", "/half"):
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"tick\n", "more_body": True})
                if kind == "/half":
                    raise RuntimeError("the application fails half-way")
                while True:
                    await trio.sleep(1)
                    await send({"type": "http.response.body", "body": b"tick\n", "more_body": True})
        except trio.Cancelled:
            self.cancelled += 1
            raise
        await respond(send, b"x" * BIG if kind == "/big" else b"%d" % size)


async def body_of(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        part = await receive()
        body, more = body + part["body"], part["more_body"]
    return body


async def respond(send: Any, body: bytes, status: int = 200) -> None:
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serving_plain(
    directory: Path, limits: Limits = LIMITS, capacity: Capacity = CAPACITY
) -> AsyncIterator[Plain]:
    plain = Plain(str(directory / "plain.sock"))

    async def run(*, task_status: trio.TaskStatus[Server]) -> None:
        with bind_unix(plain.path, mode=0o600) as listener, plain.scope:
            await serve_unix(
                listener, plain.app, {"mark": 1}, limits=limits, capacity=capacity, task_status=task_status
            )
        plain.done.set()

    async with trio.open_nursery() as nursery:
        plain.server = await nursery.start(run)
        yield plain
        nursery.cancel_scope.cancel()


async def settle(plain: Plain, connections: int = 0) -> None:
    """Wait until so many connections are left."""
    with trio.fail_after(30):
        while plain.server.connections != connections:
            await trio.testing.wait_all_tasks_blocked(0.001)
