"""The process's log: nothing that a peer says forges a line or steers a terminal; the level falls back by itself."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from routerd.events.log import Log, inline, open_log
from routerd.events.types import Event, Ref
from routerd.nurseries.logbook import open_logbook, printable, run_logbook
from routerd.nurseries.verbosity import Verbosity


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """pytest's own come back afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers[:] = []
    yield
    root.handlers[:] = before
    root.setLevel(level)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    async with open_log(tmp_path / "log.db", run_sync=inline) as log:
        yield log


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("plain", "plain"),
        ("Zürich → ok", "Zürich → ok"),
        ("a\nb\rc", r"a\nb\rc"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("right\u202eleft", r"right\u202eleft"),
        ("\udc80", r"\udc80"),
        ("nul\x00", r"nul\x00"),
    ],
)
def test_what_cannot_be_printed_is_escaped(said: str, shown: str) -> None:
    assert printable(said) == shown


async def test_an_event_is_one_line_whatever_it_says(capsys: pytest.CaptureFixture[str], log: Log) -> None:
    open_logbook("info", "text")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_logbook, log)
        await trio.testing.wait_all_tasks_blocked()
        message = "text of a NAK\nERROR routerd: all is lost\x1b[2J"
        await log.append(Event("routerd.test.said", "warning", "Nak", message, Ref("DHCPv4Client", "wan")))
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("WARNING routerd.events: DHCPv4Client/wan: text of a NAK\\nERROR")
    assert line.endswith("\\x1b[2J [routerd.test.said]")


def test_a_traceback_is_set_off(capsys: pytest.CaptureFixture[str]) -> None:
    open_logbook("info", "text")
    try:
        raise ValueError("first\nERROR forged")
    except ValueError:
        logging.getLogger("routerd.test").exception("it %s", "failed\x1b")
    first, *others = capsys.readouterr().err.rstrip("\n").split("\n")
    assert first == "ERROR routerd.test: it failed\\x1b"
    assert len(others) > 2 and all(line.startswith("  ") for line in others)


def test_json_keeps_the_words_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    open_logbook("info", "json")
    logging.getLogger("routerd.test").warning("a\nb\x1b")
    [line] = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "a\nb\x1b" and "\x1b" not in line


# The level


@pytest.fixture
def usual() -> Iterator[None]:
    """The command line chose `info`."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.INFO)
    yield
    root.setLevel(before)


def shows(level: str) -> bool:
    return logging.getLogger("routerd.anything").isEnabledFor(getattr(logging, level))


async def told(log: Log) -> list[tuple[str, str, str]]:
    page = await log.read(0)
    return [(e.event.reason, e.event.attributes["previous"], e.event.attributes["level"]) for e in page.events]


async def test_a_level_for_a_while_falls_back_by_itself(usual: None, log: Log, autojump_clock: MockClock) -> None:
    verbosity = Verbosity(log)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(verbosity.run)
        began = log.now()
        event = await verbosity.choose("debug", 600.0, "uid=0 pid=1", (4,))
        assert shows("DEBUG") and verbosity.level == "debug" and verbosity.until is not None
        assert 599 < (verbosity.until - began) / 1e9 < 660
        await trio.sleep(599)
        assert shows("DEBUG")
        await trio.sleep(2)
        assert not shows("DEBUG") and shows("INFO") and verbosity.until is None
        nursery.cancel_scope.cancel()
    assert await told(log) == [("LogLevelChanged", "info", "debug"), ("LogLevelRestored", "debug", "info")]
    changed, restored = (stored.event for stored in (await log.read(0)).events)
    assert changed.actor == "uid=0 pid=1" and changed.causes == (4,)
    assert restored.actor == "routerd" and restored.causes == (event,)


async def test_the_last_choice_counts(usual: None, log: Log, autojump_clock: MockClock) -> None:
    verbosity = Verbosity(log)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(verbosity.run)
        await verbosity.choose("debug", 60.0, "a", ())
        await trio.sleep(30)
        await verbosity.choose("debug", 600.0, "a", ())
        await trio.sleep(300)
        assert shows("DEBUG"), "the first deadline does not count any more"
        await verbosity.choose("error", None, "a", ())
        await trio.sleep(86400)
        assert not shows("WARNING") and verbosity.until is None
        await verbosity.choose(None, None, "a", ())
        assert shows("INFO") and verbosity.chosen is None
        nursery.cancel_scope.cancel()
    assert [reason for reason, _, _ in await told(log)] == ["LogLevelChanged"] * 4, "nothing fell back by itself"


async def test_the_end_of_the_router_ends_it(usual: None, log: Log) -> None:
    verbosity = Verbosity(log)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(verbosity.run)
        await verbosity.choose("debug", None, "a", ())
        nursery.cancel_scope.cancel()
    assert not shows("DEBUG")
