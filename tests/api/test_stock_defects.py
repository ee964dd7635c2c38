"""What is wrong with hypercorn 0.18 and quart-trio 0.12 as they come, each as a test of what we have in their place."""

from __future__ import annotations

import re
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import pytest
import trio

from routerd.api.connection import Limits
from routerd.api.http1 import WRITTEN_FOR
from routerd.api.runtime import open_files
from routerd.api.server import GRACE
from tests.api.client import control, dial, drain, fetch, talk
from tests.api.conftest import Served
from tests.api.plain import BIG, GET, serving_plain, settle

STATUS = GET % control("/status").encode()


def test_the_versions_are_those_that_this_was_written_for() -> None:
    """We stand on their internals: a new version is read before it is taken."""
    assert {name: version(name) for name in WRITTEN_FOR} == WRITTEN_FOR
    pins = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert {name: re.search(rf'"{name}==([^"]+)"', pins)[1] for name in WRITTEN_FOR} == WRITTEN_FOR  # type: ignore[index]


# 1. quart-trio cancels itself in its last send: connections are never closed, and the idle timer is never set again.


@pytest.mark.parametrize(
    "request_", [STATUS.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), STATUS.replace(b"1.1", b"1.0")]
)
async def test_1_a_connection_that_is_to_close_is_closed(served: Served, request_: bytes) -> None:
    with trio.fail_after(20):
        answer = await talk(served.status, request_)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and answer.endswith(b"}\n")


async def test_1_the_idle_limit_holds_after_an_answer_too(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving_plain(tmp_path) as plain:
        session = await dial(plain.path)
        async with session.stream:
            for _ in range(3):
                await trio.sleep(100)
                assert (await session.ask("/", checked=False)).body == b"0"
            answered = trio.current_time()
            assert await drain(session.stream) == b""
            assert trio.current_time() - answered == Limits().idle


# 2. Exceptions of one connection end the process: HTTP/2 in all its forms, websockets.

HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
UPGRADES = {
    "h2c that is not base64": b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: !!!\r\n",
    "h2c of an odd length": b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: a\r\n",
    "h2c without settings": b"Upgrade: h2c\r\n",
    "h2c that is no ASCII": b"Upgrade: h2c\r\nHTTP2-Settings: \xff\xfe\r\n",
    "a websocket": b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
}


@pytest.mark.parametrize("name", UPGRADES)
async def test_2_upgrades_are_ignored(served: Served, name: str, caplog: pytest.LogCaptureFixture) -> None:
    request = STATUS.replace(b"Host: x\r\n", b"Host: x\r\n" + UPGRADES[name])
    for early in (b"", b"\xff\xff\xff\xff"):
        session = await dial(served.status)
        async with session.stream:
            await session.stream.send_all(request + early)
            with trio.fail_after(20):
                assert (await session.stream.receive_some(65536)).startswith(b"HTTP/1.1 200 OK\r\n")
    assert (await fetch(served.status, control("/status"))).status == 200 and caplog.records == []


@pytest.mark.parametrize(
    "data",
    [
        HTTP2,
        HTTP2 + b"\xff" * 100,
        HTTP2
        + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
        + b"\x00\x00\x06\x01\x05\x00\x00\x00\x01\x82\x44\x02\xff\xfe\x86",
        HTTP2 + b"\x00\x00\x0b\x01\x05\x00\x00\x00\x01\x42\x07CONNECT\x41\x01x",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
    ],
)
async def test_2_http2_and_connect_are_refused(served: Served, data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with trio.fail_after(20):
        answer = await talk(served.status, data, end=True)
    assert re.match(rb"HTTP/1.1 40[045] ", answer), answer
    assert (await fetch(served.status, control("/status"))).status == 200 and caplog.records == []


async def test_2_even_a_defect_of_ours_ends_one_connection_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving_plain(tmp_path) as plain:
        bystander = await dial(plain.path)
        async with bystander.stream:
            assert await talk(plain.path, GET % b"/fail") == b""
            assert (await talk(plain.path, GET % b"/half")).endswith(b"tick\n\r\n"), "not ended as if it were whole"
            assert (await bystander.ask("/", checked=False)).status == 200
    assert [record.getMessage() for record in caplog.records] == [
        "a connection failed; this is a defect of routerd"
    ] * 2
    assert all(record.exc_info for record in caplog.records)


# 3. Two tasks write at once: a reply of 400 races with the answer that has begun.


@pytest.mark.parametrize("target", [b"/slow", b"/big", b"/stream", b"/early"])
async def test_3_a_bad_chunk_after_the_answer_has_begun(
    tmp_path: Path, target: bytes, caplog: pytest.LogCaptureFixture, autojump_clock: trio.testing.MockClock
) -> None:
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % target
    async with serving_plain(tmp_path) as plain:
        for before in (b"", b"1\r\na\r\n", b"0\r\n\r\n"):
            for pause in (0, 0.5, 2):
                stream = await trio.open_unix_socket(plain.path)
                async with stream:
                    await stream.send_all(head + before)
                    await trio.sleep(pause)
                    with suppress(trio.BrokenResourceError), trio.move_on_after(5):
                        await stream.send_all(b"zz\r\n\r\nGET / HTTP/9.9\r\n\r\n")
                        await stream.send_eof()
                        await drain(stream)
        await trio.sleep(61)
        assert plain.server.connections == 0
        assert (await talk(plain.path, GET % b"/", end=True)).endswith(b"\r\n\r\n0")
    assert caplog.records == []


# 4. Sends have no bound: a client that does not read holds up the end for ever.


async def test_4_a_client_that_does_not_read_does_not_hold_up_the_end(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving_plain(tmp_path) as plain:
        clients = [await trio.open_unix_socket(plain.path) for _ in range(3)]
        for client, target in zip(clients, (b"/big", b"/hang", b"/stream"), strict=True):
            await client.send_all(GET % target)
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        plain.scope.cancel()
        await plain.done.wait()
        assert trio.current_time() - began <= GRACE <= 3
        for client in clients:
            await client.aclose()


async def test_4_a_client_that_does_not_read_is_hung_up_on(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving_plain(tmp_path) as plain:
        stream = await trio.open_unix_socket(plain.path)
        await stream.send_all(GET % b"/big")
        await trio.testing.wait_all_tasks_blocked()
        assert plain.server.connections == 1
        await trio.sleep(Limits().send + 1)
        assert plain.server.connections == 0
        assert len(await drain(stream)) < BIG
        await stream.aclose()


async def test_4_nothing_is_said_after_an_answer_that_was_cut_off(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """A client would take it for a part of the answer."""
    async with serving_plain(tmp_path) as plain:
        stream = await trio.open_unix_socket(plain.path)
        async with stream:
            await stream.send_all(GET % b"/big" + b"GET / HTTP/1.1\r\nHo")
            await trio.sleep(Limits().send + Limits().read + 1)
            assert (await drain(stream)).endswith(b"xxx")


# 5. A request, one byte more, and gone: descriptor and task are kept for ever.


@pytest.mark.parametrize("target", [b"/", b"/slow", b"/stream", b"/big"])
async def test_5_a_pipelined_byte_and_gone_leaves_nothing(
    tmp_path: Path, target: bytes, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving_plain(tmp_path) as plain:
        files = open_files()
        for _ in range(50):
            stream = await trio.open_unix_socket(plain.path)
            await stream.send_all(GET % target + b"X")
            await stream.aclose()
        await trio.sleep(61)
        assert plain.server.connections == 0 and open_files() == files


# 6. Closed connections are kept until the idle limit.


async def test_6_closed_connections_are_gone_at_once(tmp_path: Path) -> None:
    async with serving_plain(tmp_path) as plain:
        files = open_files()
        for _ in range(50):
            session = await dial(plain.path)
            assert (await session.ask("/", checked=False)).status == 200
            await session.stream.aclose()
        await settle(plain)
        assert open_files() == files


# 7. The read limit runs on during the answer.


async def test_7_an_answer_may_take_longer_than_a_request(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving_plain(tmp_path, Limits(idle=5, read=4)) as plain:
        session = await dial(plain.path)
        async with session.stream:
            began = trio.current_time()
            assert (await session.ask("/slow", checked=False)).status == 200
            assert trio.current_time() - began == 60


async def test_7_a_stream_has_no_end(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """Nor does Quart's RESPONSE_TIMEOUT of 60 s cut it short."""
    async with serving_plain(tmp_path) as plain:
        session = await dial(plain.path)
        async with session.stream:
            await session.begin("/stream")
            await session.head()
            for _ in range(1000):
                assert await session.piece() == b"tick\n"


# 8. A server that is cancelled cancels who started it.


async def test_8_the_end_of_one_server_is_not_the_end_of_others(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    (tmp_path / "other").mkdir()
    async with serving_plain(tmp_path) as plain, serving_plain(tmp_path / "other") as other:
        session = await dial(plain.path)
        await session.begin("/hang")
        await trio.testing.wait_all_tasks_blocked()
        plain.scope.cancel()
        await plain.done.wait()
        await session.stream.aclose()
        assert (await talk(other.path, GET % b"/", end=True)).endswith(b"0")
    assert trio.current_effective_deadline() > trio.current_time(), "we are not cancelled"
