"""Who may do what (contract rule 3): by the credentials of the peer, never by the path."""

from __future__ import annotations

import grp
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from routerd.api import access
from routerd.api.access import Audit, Client, Groups, Role, groups_named, role_of
from routerd.api.app import OPERATIONS
from routerd.api.operation import Membership
from routerd.api.plane import CommandEnd
from routerd.api.sockets import Peer
from routerd.events.types import Filter, StoredEvent
from routerd.resources.management import ManagementAccess
from tests.api.client import control, dial, fetch
from tests.api.conftest import Served, serving
from tests.api.router import Bench, declared, open_bench, small_router

NOBODY = 65534
EXE = str(Path(sys.executable).resolve())
OPERATORS, ADMINS = 4242, 4343
ADMIN_ONLY = control("/dhcpv6-event")
"""Takes an admin, and does nothing: this version does not have it."""


def peer(uid: int, *groups: int) -> Peer:
    return Peer(1, uid, groups[0] if groups else uid, frozenset(groups))


@pytest.mark.parametrize(
    ("who", "role"),
    [
        (peer(0), Role.ADMIN),
        (peer(os.geteuid()), Role.ADMIN),
        (peer(NOBODY), Role.OBSERVER),
        (peer(NOBODY, 100, OPERATORS), Role.OPERATOR),
        (peer(NOBODY, OPERATORS), Role.OPERATOR),
        (peer(NOBODY, OPERATORS, ADMINS), Role.ADMIN),
        (peer(NOBODY, 0), Role.OBSERVER),
    ],
)
def test_roles(who: Peer, role: Role) -> None:
    assert role_of(who, Groups(OPERATORS, frozenset({ADMINS}))) is role


def test_groups_that_do_not_exist_have_no_members() -> None:
    nobody = Groups(None, frozenset(), "no-such-group", ("no-such-group",))
    assert groups_named("no-such-group", "no-such-group") == nobody
    assert role_of(peer(NOBODY, 100), nobody) is Role.OBSERVER
    first = grp.getgrall()[0]
    assert groups_named(first.gr_name).operators == first.gr_gid


async def test_a_group_that_comes_later_is_noticed_and_one_that_is_there_not_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers, asked, now = {"ops": OPERATORS}, list[str](), [100.0]

    def number(name: str) -> int | None:
        asked.append(name)
        return numbers.get(name)

    monkeypatch.setattr("routerd.api.access._gid", number)
    async with open_bench(tmp_path) as bench:
        configure(bench, ManagementAccess(("lan",), admin_group="chiefs"))
        membership = Membership("ops", bench, lambda: now[0])
        assert (membership.groups.admins, membership.groups.operators) == (frozenset(), OPERATORS)
        numbers["chiefs"] = ADMINS
        assert membership.groups.admins == frozenset()
        now[0] += 10
        assert membership.groups.admins == frozenset({ADMINS})
        asked.clear()
        now[0] += 1000
        assert membership.groups.admins == frozenset({ADMINS}) and asked == []


def test_every_operation_of_the_contract_has_its_role() -> None:
    roles = {f"{op.method} {op.path.rpartition('v1alpha1')[2] or op.path}": op.role for op in OPERATIONS}
    observer = (
        "/status /controllers /runtime /get /describe /events /why /livez /readyz /metrics /openapi.json /v1/status"
    )
    operator = "/connections /dns-queries /traffic-flows /firewall-logs /probe"
    assert {roles[f"GET {path}"] for path in observer.split()} == {Role.OBSERVER}
    assert {roles[f"GET {path}"] for path in operator.split()} == {Role.OPERATOR}
    assert {roles[f"POST {path}"] for path in ("/plan", "/validate", "/v1/commands/{command}")} == {Role.OPERATOR}
    admin = "/apply /delete /confirm /rollback /log-level"
    assert {roles[f"POST {path}"] for path in admin.split()} == {Role.ADMIN}
    assert all(op.role is not Role.OBSERVER for op in OPERATIONS if op.method == "POST")


# The status socket is for observing, whoever asks


async def audited(bench: Bench) -> list[StoredEvent]:
    return list((await bench.log.tail(100, Filter(topics=("routerd.api.refused",)))).events)


async def test_the_status_socket_sends_those_who_may_do_more_to_the_main_one(served: Served) -> None:
    answer = await fetch(served.status, control("/connections"))
    assert answer.status == 403
    assert answer.error == {
        "message": "the status socket is for observing only",
        "code": "denied",
        "hint": f"use {served.main}",
    }
    assert (await fetch(served.status, control("/apply"), "POST", b"{}")).status == 403
    assert (await fetch(served.main, control("/connections"))).status == 501


async def test_a_refusal_is_an_event(served: Served) -> None:
    answer = await fetch(served.status, control("/apply"), "POST", b"{}")
    [one] = await audited(served.bench)
    event = one.event
    assert (event.severity, event.reason) == ("warning", "Forbidden")
    act = f"POST {control('/apply')}"
    assert event.attributes["act"] == act and event.message == f"{act}: the status socket is for observing only"
    assert event.attributes["requestId"] == answer.headers["x-request-id"]
    assert (event.attributes["uid"], event.attributes["gid"]) == (str(os.geteuid()), str(os.getegid()))
    assert event.attributes["pid"] == str(os.getpid()) and event.attributes["socket"] == served.status
    assert event.attributes["exe"] in (EXE, "")


async def test_refusals_do_not_fill_the_log(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may ask, as often as they like: each is answered, the repeated ones are counted."""
    for _ in range(30):
        assert (await fetch(served.status, control("/probe"))).status == 403
    assert len(await audited(served.bench)) == 1
    await fetch(served.status, control("/connections"))
    assert len(await audited(served.bench)) == 2, "another act is told"
    monkeypatch.setattr(access, "QUIET", 0.0)
    await fetch(served.status, control("/probe"))
    assert (await audited(served.bench))[-1].event.attributes["suppressed"] == "29"


async def test_what_is_remembered_of_refusals_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "REMEMBERED", 5)
    audit = Audit(bench.log)
    for uid in range(8):
        await audit.refused(Client(peer(uid), "r", "s"), "GET /x", "no")
    assert [uid for uid, _ in audit._told] == [3, 4, 5, 6, 7]


def test_a_client_s_name_cannot_forge_an_actor(tmp_path: Path) -> None:
    """Who runs a program chose its name."""
    if not Path("/proc/self/exe").exists():
        pytest.skip("no /proc")
    evil = tmp_path / "x request=1 uid=0\n\x1b[2J"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", evil)
    process = subprocess.Popen([evil, "60"])
    try:
        actor = Client(Peer(process.pid, 1000, 1000, frozenset()), "01", "s").actor
    finally:
        process.kill()
        process.wait()
    assert actor.split(" ") == ["uid=1000", f"pid={process.pid}", actor.split(" ")[2], "request=01"]
    assert actor.isprintable() and actor.count("uid=") == 1 and "request%3D1" in actor


# Real processes of other users

ASK = """
import http.client, socket, sys, json
path, method, target = sys.argv[1:]
class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX); self.sock.connect(path)
try:
    connection = Unix("routerd"); connection.request(method, target)
    answer = connection.getresponse(); print(answer.status, answer.read().decode())
except OSError as error:
    print(error.errno, "{}")
"""


@pytest.fixture
def python() -> str:
    """An interpreter that any user may run."""
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    for candidate in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        try:
            if subprocess.run([candidate, "-c", ""], user=NOBODY, group=NOBODY, extra_groups=[]).returncode == 0:
                return candidate
        except OSError:
            continue
    pytest.skip("no Python that another user may run")


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that any user may enter."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def configure(bench: Bench, *access: ManagementAccess) -> None:
    """Another configuration is in force, with this way for operators."""
    resources = [declared("ManagementAccess", f"m{place}", spec) for place, spec in enumerate(access)]
    router = attrs.evolve(small_router(), resources=(*small_router().resources, *resources))
    bench.running = attrs.evolve(bench.running, router=router)


class As:
    """Asks as another user, in another process."""

    def __init__(self, python: str, uid: int, *groups: int) -> None:
        self.python, self.uid, self.groups = python, uid, groups

    async def ask(self, socket: str, target: str, method: str = "GET") -> tuple[int, Any]:
        run = partial(trio.run_process, [self.python, "-c", ASK, socket, method, target], capture_stdout=True)
        done = await run(user=self.uid, group=self.uid, extra_groups=self.groups, cwd="/")
        status, body = done.stdout.decode().split(" ", 1)
        return int(status), json.loads(body)


@pytest.fixture
async def open_house(public: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """Sockets in a public directory, with groups of ours. Their files let everybody in, so that credentials decide."""
    numbers = {"ops": OPERATORS, "chiefs": ADMINS}
    monkeypatch.setattr("routerd.api.access._gid", numbers.get)
    monkeypatch.setattr("routerd.api.serve.PRIVATE", 0o666)
    async with open_bench(tmp_path) as bench, serving(bench, public, group="ops") as served:
        configure(bench, ManagementAccess(("lan",), admin_group="chiefs"))
        yield served


async def test_an_observer(python: str, open_house: Served) -> None:
    somebody = As(python, NOBODY)
    for socket in (open_house.status, open_house.main):
        status, body = await somebody.ask(socket, control("/status"))
        assert (status, body["kind"]) == (200, "Status")
    status, body = await somebody.ask(open_house.main, control("/connections"))
    assert status == 403 and body["error"]["message"] == "user 65534 is an observer, and this takes an operator"
    assert body["error"]["hint"] == f"root and the members of the group ops may, by {open_house.main}"
    assert (await somebody.ask(open_house.main, control("/apply"), "POST"))[0] == 403
    status, body = await somebody.ask(open_house.daemon, "/v1/commands/renew", "POST")
    assert status == 403 and open_house.wan.commanded == []
    assert (await somebody.ask(open_house.daemon, "/v1/status"))[0] == 200
    refused = await audited(open_house.bench)
    assert {one.event.attributes["uid"] for one in refused} == {"65534"} and len(refused) == 3


@pytest.mark.parametrize("groups", [(OPERATORS,), (7, 8, 9, OPERATORS)])
async def test_an_operator_by_a_supplementary_group(python: str, open_house: Served, groups: tuple[int, ...]) -> None:
    open_house.wan.ends["renew"] = CommandEnd(True, "done", 0, succeeded=True)
    operator = As(python, NOBODY, *groups)
    assert (await operator.ask(open_house.daemon, "/v1/commands/renew", "POST"))[0] == 200
    assert open_house.wan.commanded[0][3].startswith("uid=65534 pid=")
    assert (await operator.ask(open_house.main, control("/connections")))[0] == 501
    status, body = await operator.ask(open_house.main, control("/apply"), "POST")
    assert status == 403 and body["error"]["message"] == "user 65534 is an operator, and this takes an admin"


async def test_an_admin_by_group(python: str, open_house: Served) -> None:
    """Which group that is says the configuration in force, from the moment that it is in force."""
    chief = As(python, NOBODY, ADMINS)
    assert (await chief.ask(open_house.main, ADMIN_ONLY, "POST"))[0] == 501
    configure(open_house.bench, ManagementAccess(("lan",), admin_group="others"), ManagementAccess(("wan",)))
    status, body = await chief.ask(open_house.main, ADMIN_ONLY, "POST")
    assert (status, body["error"]["hint"]) == (
        403,
        f"root and the members of the group others may, by {open_house.main}",
    )
    configure(open_house.bench)
    status, body = await chief.ask(open_house.main, ADMIN_ONLY, "POST")
    assert (status, body["error"]["hint"]) == (403, f"root may, by {open_house.main}")


def rights(path: str) -> tuple[int, int]:
    status = Path(path).stat()
    return stat.S_IMODE(status.st_mode), status.st_gid


async def test_the_files_keep_others_out(
    python: str, public: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("routerd.api.access._gid", {"ops": OPERATORS}.get)
    async with serving(bench, public, group="ops") as served:
        assert rights(served.main) == rights(served.daemon) == (0o660, OPERATORS)
        assert rights(served.status)[0] == 0o666
        stranger, operator = As(python, NOBODY), As(python, NOBODY, OPERATORS)
        assert (await stranger.ask(served.main, control("/status")))[0] == 13, "EACCES"
        assert (await stranger.ask(served.daemon, "/v1/status"))[0] == 13
        assert (await stranger.ask(served.status, control("/status")))[0] == 200
        assert (await operator.ask(served.main, control("/status")))[0] == 200


async def test_credentials_are_those_of_the_one_who_connected(python: str, open_house: Served) -> None:
    """Operator trap 2: a descriptor that is handed on keeps them; so connections of age are closed."""
    session = await dial(open_house.main)
    async with session.stream:
        inherited = session.stream.socket.fileno()
        request = f"POST {ADMIN_ONLY} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        write = [python, "-c", f"import os; os.write({inherited}, {request.encode()})"]
        await trio.run_process(write, user=NOBODY, group=NOBODY, extra_groups=[], pass_fds=[inherited], cwd="/")
        assert b" 501 " in await session.stream.receive_some(100)
