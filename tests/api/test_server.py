"""Accepting, limits, capacity, shutdown: what one server does with its connections."""

from __future__ import annotations

import errno
import json
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from routerd.api import server as api_server
from routerd.api.connection import Limits
from routerd.api.server import GRACE, Capacity, Server, capacity_for
from routerd.api.sockets import Peer
from tests.api.client import dial as dial_api
from tests.api.client import drain, talk
from tests.api.plain import BIG, GET, Plain, serving_plain, settle

HELLO = GET % b"/"


async def dial(plain: Plain) -> trio.SocketStream:
    return await trio.open_unix_socket(plain.path)


def error(answer: bytes) -> dict[str, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"\r\ncontent-type: application/json\r\n" in head and b"\r\nconnection: close" in head
    assert b"\r\nx-request-id: " in head and json.loads(body)["requestId"].encode() in head
    found: dict[str, str] = json.loads(body)["error"]
    return found


# What is told to the application


async def test_the_state_of_the_socket_and_of_the_peer(tmp_path: Path) -> None:
    async with serving_plain(tmp_path) as plain:
        await talk(plain.path, HELLO, end=True)
        [state] = plain.states
        assert state["mark"] == 1 and state["server"] is plain.server
        assert state["peer"].uid == os.geteuid() and state["peer"].pid == os.getpid()


async def test_requests_do_not_share_their_state(tmp_path: Path) -> None:
    async with serving_plain(tmp_path) as plain:
        await talk(plain.path, HELLO + HELLO, end=True)
        first, second = plain.states
        first["mine"] = 1
        assert "mine" not in second


# HTTP


async def test_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    posts = [b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (n, n) + b"x" * n for n in range(20)]
    async with serving_plain(tmp_path) as plain:
        answer = await talk(plain.path, b"".join(posts), end=True)
        assert [part.rpartition(b"\r\n")[2] for part in answer.split(b"HTTP/1.1 200 OK")[1:]] == [
            b"%d" % n for n in range(20)
        ]


async def test_a_request_of_which_half_came_ahead(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with serving_plain(tmp_path) as plain:
        stream = await dial(plain)
        async with stream:
            await stream.send_all(HELLO + HELLO[:9])
            assert (await stream.receive_some(1000)).endswith(b"0")
            await trio.sleep(5)
            await stream.send_all(HELLO[9:])
            assert (await stream.receive_some(1000)).endswith(b"0")


async def test_a_client_may_not_run_far_ahead(tmp_path: Path) -> None:
    """What it sends before it has its answer is kept, and memory is finite."""
    async with serving_plain(tmp_path) as plain:
        answer = await talk(plain.path, GET % b"/hang", *[HELLO * 1000] * 10, pause=0.01)
        assert answer == b""
        await settle(plain)


async def test_leaving_is_noticed_even_with_a_request_ahead(tmp_path: Path) -> None:
    async with serving_plain(tmp_path) as plain:
        stream = await dial(plain)
        await stream.send_all(GET % b"/hang" + HELLO)
        await trio.testing.wait_all_tasks_blocked(0.01)
        await stream.aclose()
        await settle(plain)
        assert plain.cancelled == 1


async def test_a_request_a_byte_at_a_time(tmp_path: Path) -> None:
    async with serving_plain(tmp_path) as plain:
        request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
        answer = await talk(plain.path, *(request[n : n + 1] for n in range(len(request))), end=True)
        assert answer.endswith(b"\r\n\r\n3")


async def test_half_closing_is_not_leaving(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """`printf 'GET …' | nc -U -N` waits for its answer."""
    async with serving_plain(tmp_path) as plain:
        assert (await talk(plain.path, GET % b"/slow", end=True)).endswith(b"\r\n\r\n0")
        assert len(await talk(plain.path, GET % b"/big", end=True)) > BIG
        assert plain.cancelled == 0
        await settle(plain)


async def test_leaving_cancels_what_is_being_answered(tmp_path: Path) -> None:
    async with serving_plain(tmp_path) as plain:
        for target in (b"/hang", b"/stream"):
            stream = await dial(plain)
            await stream.send_all(GET % target)
            await trio.testing.wait_all_tasks_blocked(0.01)
            await stream.aclose()
            await settle(plain)
        assert plain.cancelled == 2


async def test_expect_100_continue(tmp_path: Path) -> None:
    async with serving_plain(tmp_path) as plain:
        stream = await dial(plain)
        async with stream:
            await stream.send_all(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
            assert (await stream.receive_some(100)).startswith(b"HTTP/1.1 100 ")
            await stream.send_all(b"abc")
            assert (await stream.receive_some(1000)).endswith(b"\r\n\r\n3")


async def test_a_date_and_no_server_header(tmp_path: Path) -> None:
    async with serving_plain(tmp_path) as plain:
        answer = await talk(plain.path, HELLO, end=True)
        assert b"\r\ndate: " in answer and answer.count(b"GMT") == 1 and b"server:" not in answer.lower()


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"nonsense\r\n\r\n", 400, "http.malformed"),
        (bytes(range(256)), 400, "http.malformed"),
        (bytes.fromhex("16030100a5010000a10303"), 400, "http.malformed"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "http.malformed"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 20_000, 431, "http.head-too-long"),
        (b"\0" * 20_000, 400, "http.malformed"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "http.transfer-coding"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, "http.malformed"),
    ],
)
async def test_what_is_no_request_is_refused_in_json(tmp_path: Path, data: bytes, status: int, code: str) -> None:
    async with serving_plain(tmp_path) as plain:
        with trio.fail_after(20):
            answer = await talk(plain.path, data, end=True)
        assert answer.startswith(b"HTTP/1.1 %d " % status) and error(answer)["code"] == code
        await settle(plain)


async def test_an_early_refusal_arrives_although_the_body_goes_on(tmp_path: Path) -> None:
    """Closing with input unread would reset the connection, and could take the answer with it."""
    async with serving_plain(tmp_path) as plain:
        stream = await dial(plain)
        async with stream:
            await stream.send_all(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n")
            for _ in range(40):
                await stream.send_all(b"x" * 100_000)
            answer = await drain(stream)
        assert answer.startswith(b"HTTP/1.1 413 ") and answer.endswith(b"no thanks")
        await settle(plain)


# Limits, by a clock of our own


async def test_a_request_has_ten_seconds(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    for request in (b"GET / HTTP/1.1\r\nHost: x\r\nA: ", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"):
        async with serving_plain(tmp_path) as plain:
            stream = await dial(plain)
            async with stream, trio.open_nursery() as nursery:
                began = trio.current_time()
                nursery.start_soon(trickle, stream, request + b"x" * 99)
                answer = await drain(stream)
                assert error(answer)["code"] == "http.timeout" and answer.startswith(b"HTTP/1.1 408 ")
                assert trio.current_time() - began == Limits().read


async def trickle(stream: trio.SocketStream, data: bytes) -> None:
    """The head at once, then a byte a second."""
    await stream.send_all(data[:-99])
    for octet in data[-99:]:
        await trio.sleep(1)
        try:
            await stream.send_all(bytes([octet]))
        except trio.BrokenResourceError:
            return


async def test_silence_has_two_minutes(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with serving_plain(tmp_path) as plain:
        stream = await dial(plain)
        async with stream:
            began = trio.current_time()
            assert await drain(stream) == b"", "nothing was asked, nothing is said"
            assert trio.current_time() - began == Limits().idle


async def test_a_connection_of_age_ends_with_its_next_answer(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving_plain(tmp_path) as plain:
        session = await dial_api(plain.path)
        async with session.stream:
            for _ in range(int(Limits().age // 100)):
                assert "connection" not in (await session.ask("/", checked=False)).headers
                await trio.sleep(100)
            assert (await session.ask("/", checked=False)).headers["connection"] == "close"
            assert await drain(session.stream) == b""


async def test_the_second_of_pipelined_requests_may_take_its_time(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving_plain(tmp_path, Limits(idle=5, read=5)) as plain:
        stream = await dial(plain)
        async with stream:
            await stream.send_all(HELLO + GET % b"/slow" + HELLO)
            answer = b""
            while piece := await stream.receive_some(1000):
                answer += piece
                if answer.count(b"HTTP/1.1 200") == 3:
                    return
            raise AssertionError(answer)


# Capacity


async def fill(plain: Plain, number: int, data: bytes = b"") -> list[trio.SocketStream]:
    streams = []
    for _ in range(number):
        streams.append(stream := await dial(plain))
        if data:
            await stream.send_all(data)
        await trio.testing.wait_all_tasks_blocked()
    return streams


async def close(streams: list[trio.SocketStream]) -> None:
    for stream in streams:
        await stream.aclose()


async def test_the_longest_idle_makes_room(tmp_path: Path) -> None:
    async with serving_plain(tmp_path, capacity=Capacity(whole=4)) as plain:
        streams = await fill(plain, 6)
        assert plain.server.connections == 4
        for gone in streams[:2]:
            assert await drain(gone) == b""
        for kept in streams[2:]:
            await kept.send_all(HELLO)
            assert (await kept.receive_some(1000)).endswith(b"0")
        await close(streams)


async def test_when_all_are_busy_the_next_is_told_so(tmp_path: Path) -> None:
    async with serving_plain(tmp_path, capacity=Capacity(whole=4)) as plain:
        streams = await fill(plain, 4, GET % b"/hang")
        answer = await talk(plain.path, HELLO)
        assert answer.startswith(b"HTTP/1.1 503 ") and error(answer)["code"] == "busy"
        await close(streams)
        await settle(plain)
        assert (await talk(plain.path, HELLO, end=True)).endswith(b"0")


def test_a_process_with_few_descriptors_takes_fewer_connections() -> None:
    assert [capacity_for(n).whole for n in (64, 1024, 4096, 8192, 2**63)] == [256, 256, 1024, 1280, 1280]


async def test_five_hundred_connections(tmp_path: Path) -> None:
    async with serving_plain(tmp_path) as plain:
        streams = await fill(plain, 500)
        assert plain.server.connections == Capacity().whole
        assert (await talk(plain.path, HELLO, end=True)).endswith(b"0"), "others are served meanwhile"
        await close(streams)
        await settle(plain)


class Crowd:
    """A server whose peers are who the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.uid = 0
        monkeypatch.setattr(api_server, "peer_of", lambda _: Peer(1, self.uid, self.uid, frozenset()))


async def test_one_user_cannot_take_the_room_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crowd = Crowd(monkeypatch)
    async with serving_plain(tmp_path, capacity=Capacity(whole=10, per_user=3, for_root=2)) as plain:
        crowd.uid = 1000
        streams = await fill(plain, 3, GET % b"/hang")
        assert (await talk(plain.path, HELLO)).startswith(b"HTTP/1.1 503 "), "busy with three of their own"
        crowd.uid = 1001
        streams += await fill(plain, 3, GET % b"/hang")
        crowd.uid = 1002
        streams += await fill(plain, 2, GET % b"/hang")
        assert (await talk(plain.path, HELLO)).startswith(b"HTTP/1.1 503 "), "the rest is for root"
        crowd.uid = 0
        streams += await fill(plain, 2, GET % b"/hang")
        assert plain.server.connections == 10
        await close(streams)
        await settle(plain)


async def test_a_user_at_their_limit_loses_their_own_idle_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = Crowd(monkeypatch)
    async with serving_plain(tmp_path, capacity=Capacity(whole=10, per_user=2, for_root=2)) as plain:
        crowd.uid = 1000
        [other] = await fill(plain, 1)
        crowd.uid = 1001
        first, second, third = await fill(plain, 3)
        assert await drain(first) == b""
        for kept in (other, second, third):
            await kept.send_all(HELLO)
            assert (await kept.receive_some(1000)).endswith(b"0")
        await close([other, first, second, third])


async def test_a_peer_without_credentials_is_not_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: socket.socket) -> Peer:
        raise OSError(errno.ENOTCONN, "not connected")

    monkeypatch.setattr(api_server, "peer_of", fail)
    async with serving_plain(tmp_path) as plain:
        assert await talk(plain.path, HELLO) == b""
    assert "without credentials" in caplog.text


# Descriptors run out


@pytest.fixture
def few_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_it_recovers_when_descriptors_run_out(
    tmp_path: Path, few_files: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_server, "BACK_OFF", 0.01)
    async with serving_plain(tmp_path) as plain:
        hoard = []
        with pytest.raises(OSError, match="Too many open files"):
            while True:
                hoard.append(os.dup(0))
        os.close(hoard.pop())
        client = await dial(plain)  # takes the last one: there is none for the server's end of it
        await client.send_all(HELLO)
        await trio.sleep(0.05)
        assert plain.server.connections == 0
        for number in hoard:
            os.close(number)
        with trio.fail_after(20):
            assert (await client.receive_some(1000)).endswith(b"0")
        await client.aclose()
    assert [record.getMessage() for record in caplog.records] == [
        "cannot accept connections for now: [Errno 24] Too many open files"
    ]


# The end


async def test_new_clients_are_refused_and_the_file_goes_last(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving_plain(tmp_path) as plain:
        stream = await dial(plain)
        await stream.send_all(GET % b"/hang")
        await trio.testing.wait_all_tasks_blocked()
        plain.scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(ConnectionRefusedError):
            await dial(plain)
        await plain.done.wait()
        with pytest.raises(FileNotFoundError):
            await dial(plain)
        assert await drain(stream) == b"" and plain.cancelled == 1
        await stream.aclose()


async def test_answers_under_way_may_end(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with serving_plain(tmp_path) as plain:
        idle, busy = await dial(plain), await dial(plain)
        await busy.send_all(GET % b"/big")
        await trio.testing.wait_all_tasks_blocked()
        plain.scope.cancel()
        began = trio.current_time()
        assert await drain(idle) == b"" and trio.current_time() == began, "the idle go at once"
        assert len(await drain(busy)) > BIG
        await plain.done.wait()
        assert trio.current_time() - began < GRACE
        await close([idle, busy])


async def test_waits_end_with_the_server(autojump_clock: trio.testing.MockClock) -> None:
    async def app(scope: object, receive: object, send: object) -> None: ...

    server = Server(app, {})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(end_after, 1, server)
        with server.waiting(60) as scope:
            await trio.sleep_forever()
        assert scope.cancelled_caught and trio.current_time() < 60
        before = trio.current_time()
        with server.waiting(60):
            await trio.sleep_forever()
        assert trio.current_time() == before, "nor are new ones begun"


async def end_after(seconds: float, server: Server) -> None:
    await trio.sleep(seconds)
    await server.stop()
