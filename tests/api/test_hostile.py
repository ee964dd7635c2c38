"""Clients that mean ill, or are broken: named attacks, seeded mutations of them, races, and nothing left behind.

The API runs in this process, so that a connection that fails shows in the log, and a descriptor or task that stays
shows in a count.
"""

from __future__ import annotations

import random
import socket
import struct
import time
from functools import partial
from typing import Literal

import pytest
import trio

from routerd.api import stream
from routerd.api.runtime import open_files
from tests.api.client import control, fetch
from tests.api.conftest import Served

How = Literal["whole", "pieces", "reset", "quiet"]

HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"
PATH = control("/status").encode()


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def get(headers: bytes = b"", target: bytes = PATH, method: bytes = b"GET", body: bytes = b"") -> bytes:
    return method + b" " + target + b" HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n" + body


def websocket(headers: bytes, early: bytes = b"") -> bytes:
    return get(b"Connection: Upgrade\r\nUpgrade: websocket\r\n" + headers, body=early)


KEY = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
EVENTS = control("/events").encode()
ATTACKS = {
    "h2c bad settings": get(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: !!!\r\n"),
    "h2c bad base64 length": get(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: a\r\n"),
    "h2c odd settings": get(b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAA\r\n"),
    "h2c no settings": get(b"Upgrade: h2c\r\n"),
    "h2c not ascii": get(b"Upgrade: h2c\r\nHTTP2-Settings: \xff\xfe\r\n"),
    "h2c connect": get(b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", b"/", b"CONNECT"),
    "PRI garbage": b"PRI * HTTP/2.0\r\n\r\ngarbagegarbage",
    "PRI only": HTTP2,
    "PRI bad frame": HTTP2 + b"\xff" * 100,
    "PRI header junk": HTTP2 + SETTINGS + frame(1, 5, 1, b"\xff" * 20),
    "PRI data on idle stream": HTTP2 + SETTINGS + frame(0, 1, 1, b"x"),
    "PRI reset of idle stream": HTTP2 + SETTINGS + frame(3, 0, 1, b"\0\0\0\0"),
    "PRI window update 0": HTTP2 + SETTINGS + frame(8, 0, 0, b"\0\0\0\0"),
    "PRI priority on itself": HTTP2 + SETTINGS + frame(2, 0, 1, b"\0\0\0\1\x10"),
    "PRI push promise": HTTP2 + SETTINGS + frame(5, 4, 1, b"\0\0\0\2\x82"),
    "PRI GET": HTTP2 + SETTINGS + frame(1, 5, 1, b"\x82\x84\x86\x41\x01x"),
    "PRI no method": HTTP2 + SETTINGS + frame(1, 5, 1, b"\x84\x86\x41\x01x"),
    "PRI no path": HTTP2 + SETTINGS + frame(1, 5, 1, b"\x82\x86\x41\x01x"),
    "PRI path not ascii": HTTP2 + SETTINGS + frame(1, 5, 1, b"\x82\x44\x02\xff\xfe\x86\x41\x01x"),
    "PRI method not ascii": HTTP2 + SETTINGS + frame(1, 5, 1, b"\x42\x02\xff\xfe\x84\x86\x41\x01x"),
    "PRI headers, reset, data": HTTP2
    + SETTINGS
    + frame(1, 4, 1, b"\x82\x84\x86\x41\x01x")
    + frame(3, 0, 1, b"\0\0\0\0")
    + frame(0, 1, 1, b"zz"),
    "PRI CONNECT": HTTP2 + SETTINGS + frame(1, 5, 1, b"\x42\x07CONNECT\x41\x01x"),
    "PRI CONNECT websocket": HTTP2
    + SETTINGS
    + frame(1, 4, 1, b"\x42\x07CONNECT\x84\x86\x41\x01x\x00\x09:protocol\x09websocket"),
    "PRI goaway": HTTP2 + SETTINGS + frame(7, 0, 0, b"\0" * 8),
    "websocket without key": websocket(b""),
    "websocket bad version": websocket(b"Sec-WebSocket-Version: 99\r\nSec-WebSocket-Key: aaa\r\n"),
    "websocket": websocket(KEY),
    "websocket with early data": websocket(KEY, b"\xff" * 6),
    "websocket protocol not ascii": websocket(b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: \xff\xfe\r\n"),
    "websocket bad extension": websocket(
        KEY + b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=abc\r\n"
    ),
    "websocket version not ascii": websocket(b"Sec-WebSocket-Version: \xff\r\n"),
    "empty path": get(target=b"?x"),
    "star": get(target=b"*", method=b"OPTIONS"),
    "absolute target": get(target=b"http://x" + PATH),
    "absolute target, bad": get(target=b"http://[/"),
    "bad percent": get(target=b"/%ff%zz"),
    "slashes": get(target=b"//" + PATH),
    "dots": get(target=b"/../../etc/passwd"),
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "bad host": b"GET / HTTP/1.1\r\nHost: a b[:99999999\r\n\r\n",
    "lower-case method": get(method=b"get"),
    "TRACE": get(method=b"TRACE"),
    "negative length": get(b"Content-Length: -1\r\n", method=b"POST"),
    "huge length": get(b"Content-Length: 99999999999999999999\r\n", method=b"POST"),
    "two lengths": get(b"Content-Length: 1\r\nContent-Length: 2\r\n", method=b"POST"),
    "transfer coding gzip": get(b"Transfer-Encoding: gzip\r\n", method=b"POST"),
    "bad chunk": get(b"Transfer-Encoding: chunked\r\n", method=b"POST", body=b"zz\r\n"),
    "bad chunk after a good one": get(b"Transfer-Encoding: chunked\r\n", method=b"POST", body=b"1\r\na\r\nzz\r\n"),
    "expect": get(b"Expect: 100-continue\r\nContent-Length: 3\r\n", method=b"POST"),
    "binary": bytes(range(256)),
    "NUL": b"\0" * 20_000,
    "TLS": bytes.fromhex("16030100a5010000a10303"),
    "garbage after a request": get(target=EVENTS + b"?wait=60s&since=9") + b"\xff" * 1000,
    "content type junk": get(
        b"Content-Type: \xff\xfe; boundary=\r\nContent-Length: 3\r\n", method=b"POST", body=b"abc"
    ),
    "cookie junk": get(b"Cookie: \xff=\xfe;;;=\r\nIf-Modified-Since: \xff\r\nRange: bytes=a-b\r\n"),
    "query junk": get(target=PATH + b"?%ff=%fe&&&==;;"),
    "parameter junk": get(target=EVENTS + b"?since=%ff&topic=%00&severity=%f0%9f%98%80"),
    "event id junk": get(b"Accept: text/event-stream\r\nLast-Event-ID: \xff\xfe\r\n", EVENTS),
    "a stream": get(b"Accept: text/event-stream\r\n", EVENTS),
    "length that is a lie": get(b"Content-Length: 5\r\n", body=b"abc"),
}


def attack(path: str, data: bytes, how: How) -> None:
    """From a thread: a blocking socket can do what a well-behaved client would not."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(0.03)
        try:
            client.connect(path)
            if how == "pieces":
                for start in range(0, len(data), 7):
                    client.send(data[start : start + 7])
            else:
                client.sendall(data)
            if how in ("whole", "pieces"):
                client.recv(65536)
        except OSError:
            pass


class Watch:
    """Counts descriptors and tasks, and looks at the log, before and after."""

    def __init__(self, served: Served, caplog: pytest.LogCaptureFixture) -> None:
        self.served, self.caplog = served, caplog
        self.files, self.tasks = self.count()

    async def check(self) -> None:
        """Still served, nothing failed, nothing left."""
        assert (await fetch(self.served.status, control("/status"))).status == 200
        assert [record.getMessage() for record in self.caplog.records] == []
        with trio.move_on_after(10):
            while self.count() != (self.files, self.tasks):
                await trio.testing.wait_all_tasks_blocked(0.05)
        assert self.count() == (self.files, self.tasks)

    @staticmethod
    def count() -> tuple[int, int]:
        """Descriptors and tasks."""
        return open_files(), trio.lowlevel.current_statistics().tasks_living


@pytest.fixture
async def watch(served: Served, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Watch:
    monkeypatch.setattr(stream, "HEARTBEAT", 0.5)  # by which a stream notices that a half-closed client has left
    await trio.to_thread.run_sync(attack, served.status, get(), "whole")  # whatever is made at first use is made
    await trio.sleep(0.05)
    return Watch(served, caplog)


async def test_named_attacks(watch: Watch) -> None:
    for name, data in ATTACKS.items():
        for how in ("whole", "pieces", "reset"):
            await trio.to_thread.run_sync(attack, watch.served.status, data, how)
        assert watch.caplog.records == [], name
    await watch.check()


MUTATING = 6.0
"""Seconds of them; the seeds are the same each time."""


async def test_mutated_attacks(watch: Watch) -> None:
    chance = random.Random(1)
    until = time.monotonic() + MUTATING
    count = 0
    while time.monotonic() < until:
        data = mutated(chance, chance.choice(list(ATTACKS.values())))
        how: How = chance.choice(("reset", "quiet"))
        await trio.to_thread.run_sync(attack, chance.choice((watch.served.status, watch.served.daemon)), data, how)
        count += 1
        assert watch.caplog.records == [], (count, data)
    assert count > 100
    await watch.check()


def mutated(chance: random.Random, seed: bytes) -> bytes:
    data = bytearray(seed)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(data))
        match chance.randrange(4):
            case 0 | 1:
                data[at] = chance.randrange(256)
            case 2:
                del data[at : at + chance.randint(1, 8)]
            case _:
                data[at:at] = chance.randbytes(chance.randint(1, 8))
        data = data or bytearray(b"x")
    return bytes(data)


RACING = 4.0
CHUNKED = b"Transfer-Encoding: chunked\r\n"
HEADS = (
    get(CHUNKED),
    get(CHUNKED, method=b"POST", body=b"3\r\nabc\r\n"),
    get(CHUNKED, b"/openapi.json"),
    get(CHUNKED + b"Accept: text/event-stream\r\n", EVENTS),
    get(CHUNKED, control("/get", limit="x").encode()),
    get(),
    get(target=b"/openapi.json"),
    get(b"Accept: text/event-stream\r\n", EVENTS),
    get(b"Expect: 100-continue\r\nContent-Length: 5\r\n"),
    get(target=EVENTS + b"?since=9&wait=1s"),
)
TAILS = (b"zz\r\n", b"\xff\xff\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"1\r\nab\r\n", b"0\r\n\r\n", b"", get())


async def test_races(watch: Watch) -> None:
    """Six clients at once: a head, a while, a tail that does not fit, and some reading, half-closing or leaving."""
    until = time.monotonic() + RACING
    async with trio.open_nursery() as nursery:
        for seed in range(6):
            nursery.start_soon(partial(trio.to_thread.run_sync, race, watch.served.status, seed, until))
    await watch.check()


def race(path: str, seed: int, until: float) -> None:
    chance = random.Random(seed)
    while time.monotonic() < until:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(0.1)
            try:
                client.connect(path)
                client.sendall(chance.choice(HEADS))
                if chance.random() < 0.7:
                    time.sleep(chance.random() * 0.006)
                client.sendall(chance.choice(TAILS))
                if chance.random() < 0.3:
                    client.shutdown(socket.SHUT_WR)
                for share in (0.6, 0.3):
                    if chance.random() < share:
                        client.recv(chance.choice((10, 65536)))
            except OSError:
                pass


async def test_nothing_is_left_of_many_clients(watch: Watch) -> None:
    """Served and gone; gone before the answer, with a byte more; a stream that is left, with a byte more."""
    for data, how in (
        (get(), "whole"),
        (get() + b"X", "reset"),
        (HEADS[7] + b"X", "whole"),
        (b"G", "quiet"),
        (b"", "quiet"),
    ):
        for _ in range(50):
            await trio.to_thread.run_sync(attack, watch.served.status, data, how)
    await watch.check()
