"""One change at a time, and what comes between."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest
import trio

from routerd.api.change import Candidate, NotChanged, Terms
from routerd.api.plane import Running
from routerd.api.wire_changes import Pending
from routerd.changes import generations
from routerd.changes.canonical import Canonical
from routerd.changes.draft import Draft, Found, Make, drafted
from routerd.changes.first import first
from routerd.changes.gate import Gate, Passed
from routerd.changes.generations import Generations
from routerd.changes.pending import Commit
from routerd.config import ConfigErrors, Router, load
from routerd.events.log import Log, inline, open_log
from routerd.events.types import Event, Ref, Source
from routerd.shapes.instant import Instant

ROUTERD = Source("routerd", "routerd", "routerd")
OLD = """apiVersion: routerd.net/v1alpha1
kind: Router
metadata: {name: home}
spec:
  resources:
  - {apiVersion: net.routerd.net/v1alpha1, kind: Interface, metadata: {name: wan}, spec: {ifname: eth0}}
"""
LAN = """spec:
  resources:
  - {apiVersion: net.routerd.net/v1alpha1, kind: Interface, metadata: {name: lan}, spec: {ifname: %s}}
"""


async def _foresee_nothing(router: Router) -> None:
    await trio.lowlevel.checkpoint()


@attrs.define(eq=False)
class Bench:
    """A gate, its file, and what it has put in force."""

    log: Log
    path: Path
    gate: Gate
    forced: list[int] = attrs.field(factory=list)

    async def change(self, make: Make | str, terms: Terms = Terms()) -> Passed:  # noqa: B008  (it is frozen)
        wanted = merging(make) if isinstance(make, str) else make
        return await self.gate.change(wanted, terms, None, _foresee_nothing)

    async def topics(self) -> list[str]:
        events = [stored.event for stored in (await self.log.read(0)).events]
        return [e.topic.rpartition(".")[2] for e in events if e.topic.startswith("routerd.configuration.")]


def merging(text: str) -> Make:
    return drafted(Candidate(text), lambda router: None)


async def opened(log: Log, directory: Path, text: str = OLD) -> Bench:
    path = directory / "router.yaml"
    if not path.exists():
        path.write_text(text)
    generations = Generations(log, directory, b"k" * 32)
    running: Running = await first(log, generations, load(path.read_text()), str(path), ROUTERD, inline)
    forced: list[int] = []
    gate = Gate(
        Canonical(path),
        generations,
        running,
        log,
        ROUTERD,
        inline,
        lambda router: None,
        lambda router: "Healthy",
        lambda: forced.append(gate.running.generation),
        Keeper(),
    )
    return Bench(log, path, gate, forced)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_log(tmp_path / "log.db", run_sync=inline) as log:
        yield await opened(log, tmp_path)


async def test_a_change_is_written_told_and_in_force(bench: Bench) -> None:
    passed = await bench.change(LAN % "eth1", Terms(actor="uid=7", causes=(1,)))
    assert (passed.generation, passed.new, passed.loaded, passed.before.generation) == (2, True, True, 1)
    assert bench.forced == [2]
    assert bench.path.read_text().startswith(OLD)
    [record] = [one for one in bench.gate.generations.all() if one.generation == 2]
    assert (record.actor, record.added, record.changed, record.removed) == ("uid=7", 1, 0, 0)
    [event] = [s.event for s in (await bench.log.read(0)).events if s.id == passed.event_id]
    assert (event.topic, event.causes) == ("routerd.configuration.applied", (1,))
    assert bench.gate.generations.text_of(2) == bench.path.read_bytes()


async def test_an_editor_that_is_faster_wins(bench: Bench) -> None:
    theirs = OLD.replace("eth0", "eth7")

    def make(found: Found) -> Draft:
        bench.path.write_text(theirs)
        return merging(LAN % "eth1")(found)

    with pytest.raises(NotChanged, match="somebody has changed") as no:
        await bench.change(make)
    assert no.value.why == "conflict"
    assert bench.path.read_text() == theirs
    assert bench.gate.running.generation == 1
    passed = await bench.change(LAN % "eth1")
    assert passed.router.get("Interface", "wan") == load(theirs).get("Interface", "wan"), "the second time it is seen"


async def test_a_second_process_is_noticed(bench: Bench) -> None:
    with Canonical(bench.path).held():
        with pytest.raises(NotChanged, match="another process") as no:
            await bench.change(LAN % "eth1")
        assert no.value.why == "conflict"
    assert (await bench.change(LAN % "eth1")).generation == 2


@pytest.mark.parametrize("name", ["fsync", "replace"])
@pytest.mark.parametrize("at", [1, 2, 3])
async def test_a_disk_that_is_full(bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str, at: int) -> None:
    """At any of its steps: nothing is changed, nothing is in force, and once there is room it goes."""
    calls = 0
    genuine = getattr(os, name)

    def fail(*args: object) -> object:
        nonlocal calls
        calls += 1
        if calls == at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return genuine(*args)

    with monkeypatch.context() as patch:
        patch.setattr(os, name, fail)
        try:
            await bench.change(LAN % "eth1")
        except OSError as error:
            assert error.errno == errno.ENOSPC
            assert bench.path.read_text() == OLD
            assert bench.gate.running.generation == 1
            assert bench.forced == []
            assert await bench.topics() == ["applied"]
        else:
            assert calls < at, "it has no such step"
    assert (await bench.change(LAN % "eth1")).generation == 2
    assert [path.name for path in bench.path.parent.glob(".*new")] == []


async def test_errors_change_nothing(bench: Bench) -> None:
    for text in ("spec: [", LAN % "[]", OLD.replace("eth0", "a/b")):
        with pytest.raises(ConfigErrors):
            await bench.change(text)
    assert bench.path.read_text() == OLD
    assert bench.forced == []


async def test_numbers_go_on_when_the_log_is_lost(bench: Bench, tmp_path: Path) -> None:
    for ifname in ("eth1", "eth2", "eth3"):
        await bench.change(LAN % ifname)
    async with open_log(tmp_path / "another.db", run_sync=inline) as log:
        again = await opened(log, tmp_path)
        assert again.gate.running.generation == 4, "the same text has its number again"
        assert (await again.change(LAN % "eth4")).generation == 5
    bench.path.write_text(OLD)
    async with open_log(tmp_path / "third.db", run_sync=inline) as log:
        assert (await opened(log, tmp_path)).gate.running.generation == 6


async def test_a_life_before_there_were_records_is_gone_on_with(tmp_path: Path) -> None:
    async with open_log(tmp_path / "log.db", run_sync=inline) as log:
        digest = Generations(log, tmp_path, b"k" * 32).hash_of(load(OLD))
        status = {"phase": "Applied", "generation": 9, "digest": digest, "resourceCount": 1}
        await log.append(Event("x"), status={Ref("Router", "home", "routerd.net/v1alpha1"): status})
        bench = await opened(log, tmp_path)
        assert bench.gate.running.generation == 9
        assert await bench.topics() == []
        assert (await bench.change(LAN % "eth1")).generation == 10


async def test_what_waits_is_compared_with_what_waited(bench: Bench) -> None:
    await bench.change(LAN % "eth1", Terms(no_reconcile=True))
    await bench.change(LAN % "eth2", Terms(no_reconcile=True))
    await bench.change(LAN.replace("lan", "dmz") % "eth3")
    counts = [(one.added, one.changed, one.removed) for one in bench.gate.generations.all()]
    assert counts == [(None, None, None), (1, 0, 0), (0, 1, 0), (1, 0, 0)]
    assert [one.phase for one in bench.gate.generations.all()] == ["Healthy", "Committed", "Committed", "Committed"]


async def test_the_history_of_one_life_is_that_of_the_next(tmp_path: Path) -> None:
    async with open_log(tmp_path / "log.db", run_sync=inline) as log:
        bench = await opened(log, tmp_path)
        await bench.change(LAN % "eth1", Terms(no_reconcile=True))
        assert (bench.gate.running.generation, bench.gate.running.waiting) == (1, 2)
        before = bench.gate.generations.all()
    async with open_log(tmp_path / "log.db", run_sync=inline) as log:
        again = await opened(log, tmp_path)
        assert again.gate.running.generation == 2
        assert again.gate.generations.all() == before


async def test_a_load_takes_what_the_file_holds(bench: Bench) -> None:
    assert isinstance(passed := await bench.gate.load(Terms()), Passed)
    assert not passed.loaded
    bench.path.write_text(OLD.replace("eth0", "eth5"))
    assert isinstance(passed := await bench.gate.load(Terms()), Passed)
    assert (passed.loaded, passed.generation) == (True, 2)
    bench.path.write_text("spec: [")
    assert isinstance(found := await bench.gate.load(Terms()), Found)
    assert found.errors is not None
    bench.path.unlink()
    assert isinstance(found := await bench.gate.load(Terms()), Found)
    assert found.trouble.startswith("cannot read ")
    assert bench.gate.running.generation == 2


# Commits that go back by themselves


@attrs.define(eq=False)
class Keeper:
    """`Commitments` that only remember what they were asked."""

    asked: list[str] = attrs.field(factory=list)
    pending: Pending | None = None
    no: str | None = None

    def objection(self, terms: Terms) -> str | None:
        return None if terms.overrules else self.no

    async def begin(self, commit: Commit, within: float) -> Pending:
        self.asked.append(f"begin {commit.previous}→{commit.generation} {within}")
        self.pending = Pending(commit.generation, commit.previous, Instant(0), commit.terms.actor, "token")
        return self.pending

    async def written(self, commit: Commit) -> None:
        self.asked.append("written")

    async def overruled(self, terms: Terms) -> None:
        self.asked.append("overruled")

    async def unchanged(self) -> None:
        self.asked.append("unchanged")

    async def abandon(self, commit: Commit) -> None:
        self.asked.append("abandon")
        self.pending = None


async def test_a_commit_is_begun_before_anything_is_written(bench: Bench) -> None:
    bench.gate.commitments = keeper = Keeper()
    passed = await bench.change(LAN % "eth1", Terms(confirm_within=300.0))
    assert keeper.asked == ["begin 1→2 300.0", "written"]
    assert passed.pending is keeper.pending
    await bench.change(LAN % "eth1", Terms(confirm_within=300.0))
    assert keeper.asked[2:] == ["unchanged"], "a no-op needs no confirmation"


async def test_a_commit_that_cannot_be_written_is_abandoned(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    bench.gate.commitments = keeper = Keeper()
    monkeypatch.setattr(Canonical, "replace", fail)
    with pytest.raises(OSError, match="Read-only"):
        await bench.change(LAN % "eth1", Terms(confirm_within=300.0))
    assert keeper.asked == ["begin 1→2 300.0", "abandon"]


async def test_while_one_is_pending_nothing_else_is_changed(bench: Bench) -> None:
    bench.gate.commitments = keeper = Keeper(no="generation 2 waits to be confirmed")
    with pytest.raises(NotChanged, match="waits to be confirmed"):
        await bench.change(LAN % "eth1")
    assert (await bench.change(LAN % "eth1", Terms(overrules=True))).generation == 2
    assert keeper.asked == ["overruled"]


@pytest.mark.parametrize(
    ("candidate", "becomes"),
    [
        (Candidate(LAN % "eth1"), "is part of this change, too"),
        (Candidate(OLD.replace("eth0", "eth9"), replace=True), "is overwritten"),
    ],
)
async def test_what_somebody_changed_by_hand_is_told_of(bench: Bench, candidate: Candidate, becomes: str) -> None:
    bench.path.write_text(OLD.replace("eth0", "eth7"))
    passed = await bench.change(drafted(candidate, lambda router: None))
    words = f"was changed by hand since generation 1 (Interface/wan changed): that {becomes}"
    assert passed.warnings == (f"{bench.path} {words}",)
    assert (await bench.change(LAN % "eth2")).warnings == (), "it is loaded by now"


async def test_the_latest_are_kept_and_what_is_in_force(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generations, "KEPT", 3)
    kept = bench.gate.generations
    for number in range(2, 7):
        await bench.change(LAN % f"eth{number}")
    assert [one.generation for one in kept.all()] == sorted(kept.texts()) == [4, 5, 6]
    for number in range(7, 12):
        await bench.change(LAN % f"eth{number}", Terms(no_reconcile=True))
    assert bench.gate.running.generation == 6
    assert [one.generation for one in kept.all()] == sorted(kept.texts()) == [6, 9, 10, 11]


async def test_changes_wait_for_each_other(bench: Bench) -> None:
    """Each finds what the one before has left."""
    async with trio.open_nursery() as nursery:
        for number in range(20):
            text = LAN.replace("lan", f"v{number}") % f"v{number}"
            nursery.start_soon(bench.change, text)
    router: Router = load(bench.path.read_text())
    assert len(router.resources) == 21
    assert bench.forced == list(range(2, 22))
