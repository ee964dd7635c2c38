"""Generations: the number is kept while the configuration says the same; what is published of it tells no secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from routerd.changes.first import first
from routerd.changes.generations import KEY_OCTETS, Generations, generation_key
from routerd.config import Router, load
from routerd.events.log import Log, inline, open_log
from routerd.events.types import Source

ROUTERD = Source("routerd", "routerd", "routerd")
TEXT = """
apiVersion: routerd.net/v1alpha1
kind: Router
metadata: {name: home}
spec:
  resources:
    - {apiVersion: net.routerd.net/v1alpha1, kind: Interface, metadata: {name: wan}, spec: {ifname: eth0}}
    - apiVersion: net.routerd.net/v1alpha1
      kind: DHCPv4Client
      metadata: {name: wan}
      spec: {interface: wan, sendOptions: [{code: 90, secret: SECRET}]}
"""


def router(secret: str = "1234") -> Router:
    return load(TEXT.replace("SECRET", f'"{secret}"'))


async def number(log: Log, declared: Router, directory: Path) -> int:
    key = generation_key(directory)
    generations = Generations(log, directory, key)
    return (await first(log, generations, declared, "router.yaml", ROUTERD, inline)).generation


async def test_the_number_goes_up_when_the_configuration_differs_and_only_then(tmp_path: Path) -> None:
    for expected in (1, 2, 3):  # of the first, second and third life
        async with open_log(tmp_path / "log.db", run_sync=inline) as log:
            assert await number(log, router(str(expected)), tmp_path) == expected
            newest = log.newest
            assert await number(log, router(str(expected)), tmp_path) == expected
            assert log.newest == newest, "no event for a no-op"
    async with open_log(tmp_path / "log.db", run_sync=inline) as log:
        assert await number(log, router("3"), tmp_path) == 3


async def test_what_is_published_cannot_be_guessed_at(tmp_path: Path) -> None:
    """Everybody may read it: whoever could compute it from the rest of the file could try all passwords."""
    shown = set()
    for state in (tmp_path / "one", tmp_path / "two"):
        state.mkdir()
        async with open_log(state / "log.db", run_sync=inline) as log:
            await number(log, router(), state)
            [stored] = log.objects.of_kind("Router")
            told = (await log.read(0)).events[0]
            assert told.event.attributes["digest"] == stored.status["digest"]
            shown.add(stored.status["digest"])
    assert len(shown) == 2, "it says something only to whoever has the key"
    assert not any(router().digest.removeprefix("sha256:") in digest for digest in shown)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_the_key_is_ours_alone(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        key = generation_key(tmp_path)
    finally:
        os.umask(before)
    [file] = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_bytes() == key == generation_key(tmp_path)
    assert len(key) == KEY_OCTETS


def test_half_a_key_is_replaced(tmp_path: Path) -> None:
    key = generation_key(tmp_path)
    (tmp_path / "generation.key").write_bytes(key[:7])
    assert generation_key(tmp_path) == generation_key(tmp_path) != key


def test_without_a_disk_there_is_a_key_for_this_life(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "generation.key").mkdir()
    assert len(generation_key(tmp_path)) == KEY_OCTETS
    assert "the next start begins a new generation" in caplog.text
