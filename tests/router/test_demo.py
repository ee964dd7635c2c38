"""The demo as a whole: for an hour of its time, what its provider does its router and a host on its LAN live through;
and as the first thing that somebody runs, in a terminal, with the commands that it prints."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import MockClock

from routerd.config import load
from routerd.events.log import inline
from routerd.nurseries.system import open_simulated
from routerd.sim.demo import CONFIGURATION
from routerd.sim.isp6 import POOLS
from tests.router.process import ROOT, Process
from tests.router.rig import Rig, crashes


async def test_an_hour_of_the_demo(rig: Rig, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    seen: set[IPv6Network] = set()
    rig.config = CONFIGURATION
    rig.state_dir.mkdir()
    async with open_simulated(load(CONFIGURATION, "router.yaml"), told.append) as system:
        rig.host = system.host  # type: ignore[assignment]  # simulated, as the name says
        system = attrs.evolve(system, run_sync=inline, rng=random.Random(1))
        async with rig.live(lambda _: system):
            for _ in range(360):
                await trio.sleep(10)
                status = await rig.status_of("IPv6DelegatedAddress/lan")
                if "prefix" in status:
                    seen.add(IPv6Network(status["prefix"]))
            assert (await rig.status_of("IPv6RAAddress/wan"))["phase"] == "Bound"
            assert not await rig.unready()
    assert len([sentence for sentence in told if sentence.startswith("isp: ")]) > 60
    lan = [sentence for sentence in told if sentence.startswith("lan: the host ")]
    begun = [number for number, sentence in enumerate(lan) if sentence.startswith("lan: the host begins with ")]
    assert _pools_of(lan[number] for number in begun) == set(POOLS)
    assert begun[-1] - begun[0] + 1 == len(begun), "the LAN had no gap"
    assert any("goes on with" in sentence for sentence in lan), "and saw a renumbering"
    assert {next(pool for pool in POOLS if subnet.subnet_of(pool)) for subnet in seen} == set(POOLS)
    assert crashes(await rig.events(), caplog) == []


def _pools_of(sentences: Iterable[str]) -> set[IPv6Network]:
    """Of the addresses that the host began with."""
    begun = [IPv6Address(sentence.split()[5].rstrip(",")) for sentence in sentences]
    return {pool for pool in POOLS for address in begun if address in pool}


@contextmanager
def demo(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """The demo in this folder, as a terminal starts it: a group of its own, to which Ctrl-C goes."""
    command = [sys.executable, "-P", "-m", "routerd", "demo", "--dir", str(directory)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as shown:
        try:
            yield shown
        finally:
            if shown.poll() is None:
                shown.kill()


def _until(shown: subprocess.Popen[str], words: str) -> list[str]:
    """The lines up to the one that has these words in it."""
    assert shown.stdout is not None
    lines: list[str] = []
    for line in shown.stdout:
        lines.append(line.rstrip("\n"))
        if words in line:
            return lines
    pytest.fail("\n".join(["it ended without " + words, *lines]))


def test_what_it_prints_can_be_typed_and_ctrl_c_ends_it(routerd: Process) -> None:
    directory = routerd.directory
    with demo(directory) as shown:
        greeting = _until(shown, "Ctrl-C ends the demo")
        _until(shown, "lan: the host begins with 2001:db8:4000:")
        routerctl = f"routerctl --run-dir {directory / 'run'} "
        typed = [line.strip().removeprefix(routerctl) for line in greeting if line.strip().startswith(routerctl)]
        words = {one.split("  ")[0] for one in typed}
        assert {
            "status",
            "get prefixes",
            "renew DHCPv6PrefixDelegation/wan-pd",
            "why IPv6DelegatedAddress/lan",
        } <= words
        for one in words - {"events -f"}:
            if one.startswith("wait "):
                one = re.sub("phase=.*", "phase=Bound --timeout 20s", one)
            said = routerd.ctl(*one.split())
            assert said.returncode == 0, (one, said.stdout + said.stderr)
        assert "2001:db8:4000::/56" in routerd.ctl("get", "prefixes").stdout
        os.killpg(shown.pid, signal.SIGINT)
        *_, last = _until(shown, "The demo has ended.")
        assert str(directory) in last
        assert shown.wait(10) == 0
