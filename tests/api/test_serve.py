"""The tasks that the root nursery starts: how they come up, and how they end."""

from __future__ import annotations

import errno
import os
import stat
from functools import partial
from pathlib import Path

import pytest
import trio

from routerd.api import server
from routerd.api.serve import serve_api, serve_daemon
from routerd.api.sockets import bind_unix
from tests.api.client import control, dial, fetch
from tests.api.conftest import Served, serving
from tests.api.router import Bench


def mode(path: str | Path) -> int:
    return stat.S_IMODE(Path(path).stat().st_mode)


def sockets(directory: Path) -> set[str]:
    return {path.name for path in directory.glob("*.sock*")}


async def test_the_directory_of_the_sockets_is_made_for_all_to_enter(bench: Bench, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        async with serving(bench, tmp_path / "run" / "routerd") as served:
            assert mode(tmp_path / "run" / "routerd") == 0o755
            assert (mode(served.main), mode(served.status), mode(served.daemon)) == (0o660, 0o666, 0o660)
    finally:
        os.umask(before)


async def test_a_socket_in_use_is_an_error_that_says_so(bench: Bench, tmp_path: Path) -> None:
    """And nothing of ours is left, nor anything of theirs touched."""
    taken = str(tmp_path / "status.sock")
    with bind_unix(taken, mode=0o600):
        with pytest.raises(OSError, match="another process serves this socket") as caught:
            await serve_api(bench, main_path=str(tmp_path / "main.sock"), status_path=taken, group="routerd")
        assert caught.value.errno == errno.EADDRINUSE and caught.value.filename == taken
        assert sockets(tmp_path) == {"status.sock"}


async def test_the_files_are_gone_after_the_end(bench: Bench, tmp_path: Path) -> None:
    async with serving(bench, tmp_path):
        assert sockets(tmp_path) == {"routerd.sock", "status.sock", "wan.sock"}
    assert sockets(tmp_path) == set()


async def test_a_daemon_s_socket_ends_by_itself(served: Served, tmp_path: Path) -> None:
    """Daemons come and go while the API stays."""
    path = str(tmp_path / "other.sock")
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve_daemon, served.bench, served.wan, path))
        assert (await fetch(path, "/v1/healthz")).status == 200
        nursery.cancel_scope.cancel()
    assert "other.sock" not in sockets(tmp_path)
    assert (await fetch(served.daemon, "/v1/healthz")).status == 200


async def test_shutdown_answers_who_waits_and_leaves_who_does_not_read(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "GRACE", 0.3)
    served.wan.ends["renew"] = "hang"
    sessions = [await dial(path) for path in (served.status, served.daemon, served.status, served.daemon, served.main)]
    poll, daemon_poll, stream, command, deaf = sessions
    await poll.begin(control("/events", since=served.bench.log.newest, wait="60s", topic="no.such"))
    await daemon_poll.begin("/v1/events?since=2&wait=30s&topic=no.such")
    await stream.begin(control("/events", tail=0, topic="no.such"), headers={"Accept": "text/event-stream"})
    await stream.head()
    await command.begin("/v1/commands/renew?wait=60s", "POST")
    await deaf.stream.send_all(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 5)
    await trio.testing.wait_all_tasks_blocked(0.05)
    served.life.cancel()
    with trio.fail_after(20):
        answer = await poll.finish()
        assert answer.status == 200 and answer.json["events"] == [] and answer.headers["x-routerd-cursor"]
        assert (await daemon_poll.finish()).json["events"] == []
        assert (await command.finish()).error["code"] == "stopping"
        assert await stream.piece() == b"retry: 1000\n\n"
        assert await stream.piece() == b"", "it ends as streams end, and is not cut off"
        while sockets(tmp_path):
            await trio.testing.wait_all_tasks_blocked(0.01)
    for session in sessions:
        await session.stream.aclose()
