"""A change of the configuration is killed (-9) after each thing that it does to the disk: the file is the old one or
the new one, whole, the history is sound, and the next start goes on from there."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from routerd.config import load
from tests.lab.router import PREFIX
from tests.router.changing import address, candidate, done, generations, lan, post
from tests.router.mortal import Mortal
from tests.router.process import Process
from tests.router.rig import DEFAULT, WAN, Rig, document, until

OLD = document(WAN % "")
NEW = (lan(), address("lan", "lan", "192.168.7.1/24"))
STEPS = 40
"""More things than a change does to the disk."""
ON_DISK = ("replace", "fsync", "unlink")


@contextmanager
def counted(mortal: Mortal, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Beside what Mortal counts: each call in the middle of replacing a file, before it and after it."""

    def counting(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            mortal.count()
            try:
                return function(*args, **more)
            finally:
                mortal.count()

        return call

    with monkeypatch.context() as patch:
        for name in ON_DISK:
            patch.setattr(os, name, counting(getattr(os, name)))
        yield


async def changed(rig: Rig, monkeypatch: pytest.MonkeyPatch, step: int, path: str, **fields: Any) -> tuple[bool, int]:
    """One life that changes the configuration and is killed after so many things; whether it had answered, and how many
    there were."""
    mortal = Mortal(rig)
    answered: list[int] = []
    async with rig.live(mortal.hold):
        await until(lambda: DEFAULT in rig.routes())
        await trio.sleep(30)

        async def ask() -> None:
            answer = await post(rig, path, **fields)
            if mortal.alive:
                answered.append(answer.status)

        began = mortal.outputs
        mortal.last = began + step
        with counted(mortal, monkeypatch):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask)
                with trio.move_on_after(20):
                    await mortal.dead.wait()
                nursery.cancel_scope.cancel()
        if mortal.alive:
            mortal.last = mortal.outputs + 1
            mortal.count()
    return bool(answered), mortal.outputs - began


async def assert_sound(rig: Rig) -> list[dict[str, Any]]:
    """What is told of the generations fits what is on the disk."""
    listed = (await rig.ask("/generations", limit=100)).json
    items: list[dict[str, Any]] = listed["items"]
    numbers = [one["generation"] for one in items]
    assert numbers == sorted(set(numbers), reverse=True)
    assert listed["current"] == numbers[0]
    assert "waiting" not in listed
    kept = (rig.state_dir / "generations" / f"{numbers[0]}.yaml").read_text()
    assert load(kept).digest == load(rig.config_path.read_text()).digest
    return items


async def test_there_are_not_more_steps(rig: Rig, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig.surroundings(links=("eth0", "eth1")):
        answered, count = await changed(rig, monkeypatch, 10**6, "/apply", candidateYaml=candidate(*NEW))
    assert answered
    assert STEPS // 2 < count <= STEPS


@pytest.mark.parametrize("step", range(1, STEPS + 1))
async def test_an_apply_that_is_killed(
    rig: Rig, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    async with rig.surroundings(links=("eth0", "eth1")):
        answered, _ = await changed(rig, monkeypatch, step, "/apply", candidateYaml=candidate(*NEW))
        new = rig.config != OLD
        assert new or not answered, "what was answered is there"
        names = [resource.name for resource in load(rig.config).resources]
        assert names == (["wan", "wan", "lan", "lan"] if new else ["wan", "wan"]), "whole"
        async with rig.live():
            await until(lambda: DEFAULT in rig.routes())
            await until(lambda: rig.addresses("eth1") == (["192.168.7.1/24"] if new else []), within=20)
            assert len(await assert_sound(rig)) == (2 if new else 1)
            again = await done(rig, "/apply", candidateYaml=candidate(*NEW))
            assert again["changed"] is not new
            assert rig.addresses("eth1") == ["192.168.7.1/24"]
            assert len(await assert_sound(rig)) == 2
            assert await rig.unready() == []


@pytest.mark.parametrize("step", range(2, STEPS + 1, 3))
async def test_a_rollback_that_is_killed(
    rig: Rig, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    async with rig.surroundings(links=("eth0", "eth1")):
        async with rig.live():
            await done(rig, "/apply", candidateYaml=candidate(*NEW))
            rig.config = rig.config_path.read_text()
        await changed(rig, monkeypatch, step, "/rollback", to=1)
        back = rig.config == OLD
        assert back or "192.168.7.1/24" in rig.config
        async with rig.live():
            await until(lambda: rig.addresses("eth1") == ([] if back else ["192.168.7.1/24"]), within=20)
            await assert_sound(rig)
            await done(rig, "/rollback", to=1)
            await until(lambda: rig.addresses("eth1") == [], within=20)
            assert (await generations(rig))[0]["resourceCount"] == 2


@contextmanager
def begun(routerd: Process, path: str, **fields: Any) -> Iterator[None]:
    """A request whose answer nobody reads."""
    body = json.dumps(fields).encode()
    head = f"POST {PREFIX}{path} HTTP/1.1\r\nHost: routerd\r\nContent-Length: {len(body)}\r\n\r\n"
    with routerd.connect("routerd") as client:
        client.sendall(head.encode() + body)
        yield


@pytest.mark.slow
def test_a_real_process_that_is_killed_while_it_changes(routerd: Process) -> None:
    """At any moment at all."""
    rng = random.Random(7)
    routerd.start()
    for number in range(12):
        before = routerd.config.read_text()
        name = f"v{number}"
        with begun(routerd, "/apply", candidateYaml=candidate(lan(name, name))):
            time.sleep(rng.random() * 0.15)
            routerd.kill()
        after = routerd.config.read_text()
        assert after == before or f"name: {name}" in after
        load(after)
        routerd.start()
        listed = routerd.get("/generations?limit=100")
        numbers = [one["generation"] for one in listed["items"]]
        assert numbers == sorted(set(numbers), reverse=True)
        assert listed["current"] == numbers[0]
        kept = (routerd.state_dir / "generations" / f"{numbers[0]}.yaml").read_text()
        assert kept == after
        names = {path.name for path in routerd.directory.iterdir()}
        assert names <= {"router.yaml", ".router.yaml.lock", ".router.yaml.new", "state", "run", "log", "notify"}
