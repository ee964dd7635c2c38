"""Secrets planted in a whole router's configuration come out nowhere: not by any answer, event, log line or file that
others may read, whoever asks."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import MockClock

from routerd.api.app import OPERATIONS
from routerd.api.operation import Operation
from routerd.config.sensitive import SENSITIVE
from routerd.resources.kinds import KINDS
from routerd.shapes.convert import fields_of
from routerd.shapes.secret import Secret
from tests.api.client import Answer, dial
from tests.router.rig import WAN, Rig, document, until
from tests.router.rig6 import Street6

RKAP = bytes.fromhex("feedfacecafebeeff00d0123456789ab")
TEXT, OCTETS = "planted-by-the-test", b"\xfe\xedplanted\xfa\xce"
PLANTED = (TEXT, TEXT.encode().hex(), OCTETS.hex(), OCTETS.hex(":"), "planted")
SENT = f'{{code: 90, secret: "0x{OCTETS.hex()}"}}, {{code: 125, secret: "{TEXT}"}}'
COLLECTOR = f"""
    - apiVersion: observability.routerd.net/v1alpha1
      kind: Telemetry
      metadata: {{name: collector}}
      spec: {{endpoint: "http://127.0.0.1:9", headers: [{{name: Authorization, secret: "Bearer {TEXT}"}}]}}
"""
"""Nobody listens there."""
CONFIG = document(WAN % f", sendOptions: [{SENT}]", COLLECTOR)
FAULTY = (
    document(WAN % f', sendOptions: [{{code: 90, secrt: "{TEXT}"}}]'),
    document(WAN % f', sendOptions: [{{code: 90, secret: {{deep: "{TEXT}"}}}}]'),
    document(WAN % f', sendOptions: ["{TEXT}"]'),
    document(WAN % f', sendOptions: [{{code: 90, text: "{TEXT}"}}]'),
    document(WAN % f', sendOptions: [{{code: 90, secret: "{TEXT}]'),
)
"""Slips of the pen around a secret."""
FOR_ADMINS = "/generations/{"
"""The one path by which an admin reads a configuration as it was written."""
WHAT = {"target": "DHCPv4Client/wan", "subject": "DHCPv4Client/wan", "consumer": "nobody", "wait": "0s"}


def leaks(text: str) -> list[str]:
    return [planted for planted in PLANTED if planted in text]


def test_there_is_something_to_plant() -> None:
    """A kind that gets another secret is to have it here, too."""
    assert "secret" in SENSITIVE and len(leaks(CONFIG)) == 3
    found = {(kind, name) for kind, name in _secrets()}
    assert found == {("DHCPv4Client", "secret"), ("Telemetry", "secret")}


def _secrets() -> Iterator[tuple[str, str]]:
    for kind in KINDS.values():
        for name, tp in _fields(kind.spec, set()):
            if "Secret" in repr(tp):
                yield kind.name, name


def _fields(cls: type, seen: set[type]) -> Iterator[tuple[str, object]]:
    seen.add(cls)
    for name, field in fields_of(cls).items():
        if field.type is Secret or Secret in getattr(field.type, "__args__", ()):
            yield name, Secret
        for inner in (field.type, *getattr(field.type, "__args__", ())):
            if isinstance(inner, type) and hasattr(inner, "__attrs_attrs__") and inner not in seen:
                yield from _fields(inner, seen)


def target(operation: Operation) -> str:
    """An operation's path with what it cannot do without."""
    query = [f"{param.name}={WHAT.get(param.name, 'x')}" for param in operation.params if param.name in WHAT]
    path = operation.path.replace("{number}", "1").replace("{n}", "1").replace("{command}", "renew")
    return path + ("?" + "&".join(query) if query else "")


def body(operation: Operation) -> bytes:
    """For those that take a configuration."""
    names = fields_of(operation.body) if operation.body is not None else {}
    return json.dumps({"candidateYaml": CONFIG} if "candidateYaml" in names else {}).encode()


async def ask(path: Path, operation: Operation) -> Answer:
    session = await dial(str(path))
    async with session.stream:
        sent = body(operation) if operation.method == "POST" else b""
        # No timeout: some answers are made in a thread, and the clock takes that for idleness and jumps.
        return await session.ask(target(operation), operation.method, sent, checked=False)


async def test_no_answer_event_log_line_or_file_shows_a_secret(
    rig: Rig, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    rig.config = CONFIG
    asked = []
    async with rig.surroundings():
        async with rig.live() as reload:
            await until(lambda: rig.addresses() != [])
            for faulty in FAULTY:
                rig.config_path.write_text(faulty)
                await reload()
                await trio.sleep(1)
                assert "configuration" in str(await rig.unready())
                assert not leaks((await rig.ask("/status")).body.decode())
            rig.config_path.write_text(CONFIG)
            sockets = {"main": "routerd.sock", "status": "routerd-status.sock", "daemon": "dhcpv4-client/wan.sock"}
            for door, name in sockets.items():
                for operation in OPERATIONS:
                    if door in operation.doors:
                        answer = await ask(rig.run_dir / name, operation)
                        asked.append(answer.status)
                        if FOR_ADMINS not in operation.path:
                            assert not leaks(answer.body.decode()), f"{operation.method} {operation.path}"
                        assert not leaks(str(answer.headers))
        events = await rig.events()
    assert asked.count(200) >= 15
    assert not [one.id for one in events if leaks(repr(one))]
    assert not [record.getMessage() for record in caplog.records if leaks(record.getMessage() + str(record.__dict__))]
    assert not leaks("".join(capfd.readouterr()))
    for file in rig.state_dir.rglob("*"):
        if file.is_file() and any(OCTETS in file.read_bytes() or p.encode() in file.read_bytes() for p in PLANTED):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
            assert file.suffix != ".db"


async def test_the_key_of_a_reconfigure_is_shown_nowhere(
    rig: Rig, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """It comes from the line, is good for forged orders, and is kept in one file for the next life."""
    caplog.set_level("DEBUG")
    street = Street6(rig)
    async with street.surroundings():
        rig.config = rig.config.replace("prefixLength: 56", "prefixLength: 56, reconfigureAccept: true")
        street.server.settings = attrs.evolve(street.server.settings, key=RKAP)
        for _ in range(2):
            async with rig.live():
                await until(lambda: street.on(0))
                for door, name in (("main", "routerd.sock"), ("daemon", "dhcpv6-client/wan-pd.sock")):
                    for operation in (one for one in OPERATIONS if door in one.doors):
                        answer = await ask(rig.run_dir / name, operation)
                        assert not keys(answer.body.decode() + str(answer.headers)), operation.path
        async with rig.live():
            events = await rig.events()
    assert not [one.id for one in events if keys(repr(one))]
    assert not [record for record in caplog.records if keys(record.getMessage() + str(record.__dict__))]
    assert not keys("".join(capfd.readouterr()))
    holding = [file for file in rig.state_dir.rglob("*") if file.is_file() and _holds_key(file)]
    assert [(file.name, stat.S_IMODE(file.stat().st_mode)) for file in holding] == [("lease.json", 0o600)]


def keys(text: str) -> list[str]:
    """The spellings of the key in a text."""
    return [shown for shown in (RKAP.hex(), RKAP.hex(":"), repr(RKAP)[2:-1]) if shown in text]


def _holds_key(file: Path) -> bool:
    octets = file.read_bytes()
    return RKAP in octets or bool(keys(octets.decode(errors="replace")))
