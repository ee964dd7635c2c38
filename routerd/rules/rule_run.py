"""An EventRule in life: it reads the log as a durable consumer. What it says, what it remembers and how far it has read
are written together, so that each firing is said exactly once."""

from __future__ import annotations

import hashlib
import logging
from functools import partial
from typing import Any

import attrs
import orjson
import trio

from routerd.events.log import Log
from routerd.events.types import Consumed, Event, Page, Ref, Source, Status
from routerd.protocols.machine import Dropped
from routerd.resources.rules import EventRule
from routerd.rules.around import Around, known, observed_status
from routerd.rules.clock import LogClock
from routerd.rules.machine import Fired, Forgotten, Memory, Output
from routerd.rules.player import Player, wanted
from routerd.shapes.convert import from_wire, to_wire
from routerd.shapes.instant import format_instant
from routerd.shapes.invalid import Problems

PAGE = 256
"""Events that are played before others have their turn."""
SAVE_EVENTS, SAVE_SECONDS = 1000, 60.0
"""A place that led to nothing is written down after so many ids or so long: what was read since is read again after a
kill, and comes to the same."""
PAUSE = 5.0
"""Seconds before a log that cannot be read is tried again."""
GOODBYE = 5.0
_NS = 10**9
logger = logging.getLogger(__name__)


@attrs.frozen
class Place:
    """What an EventRule keeps as a durable consumer. `rule` stands for what the rule said when it was made."""

    rule: str
    memory: Memory = attrs.field(factory=Memory)
    clock: LogClock = attrs.field(factory=LogClock)
    fired: int = 0
    warnings: int = 0
    lost: int = 0
    fired_at: int | None = None


def consumer_of(name: str) -> str:
    """The durable consumer of an EventRule."""
    return f"eventrule/{name}"


async def run_rule(log: Log, name: str, rule: EventRule, around: Around) -> None:
    """Run an EventRule from now on, or from where it was, until cancelled."""
    await RuleRun(log, name, rule, around).run()


class RuleRun:
    """One EventRule, until it is cancelled or crashes: then the next begins with what this one has written."""

    def __init__(self, log: Log, name: str, rule: EventRule, around: Around) -> None:
        self._log, self._rule, self._around = log, rule, around
        self._ref, self._consumer = Ref("EventRule", name), consumer_of(name)
        self._source = Source(f"routerd-eventrule-{name}", "routerd-eventrule", name)
        self._where = wanted(rule)
        self._cursor, self._place, self._player = self._taken_up(name)
        self._saved, self._saved_at, self._generation = -1, trio.current_time(), -1
        self._barrier: tuple[int, int] | None = None
        self._whole = True

    async def run(self) -> None:
        """Follow the log."""
        try:
            await self._save([])
            while True:
                try:
                    page = await self._log.read(self._cursor, limit=PAGE, where=self._where)
                except OSError as error:
                    logger.warning("%s cannot read on: %s; trying again", self._ref, error.strerror or error)
                    await self._around.alarm(PAUSE)
                    continue
                self._whole = False
                await self._save(self._played(page))
                self._whole = True
                if self._cursor >= self._log.newest:
                    await self._wait()
        finally:
            if self._whole:  # Not after a crash in the middle of a page.
                with trio.move_on_after(GOODBYE, shield=True):
                    await self._save([], last=True)

    def _taken_up(self, name: str) -> tuple[int, Place, Player]:
        """Where an earlier run of the same rule ended; for a new rule, or one that was changed, the end of the log."""
        digest = hashlib.sha256(orjson.dumps(to_wire(self._rule), option=orjson.OPT_SORT_KEYS)).hexdigest()
        stored = self._log.consumers.get(self._consumer)
        try:
            if stored is not None and stored.state["rule"] == digest:
                place = from_wire(Place, stored.state)
                player = Player(name, self._rule, place.memory, place.clock)
                return stored.cursor, attrs.evolve(place, memory=Memory()), player
        except (Problems, KeyError, TypeError) as error:
            logger.warning("%s begins anew: what it remembered is of another version: %s", self._ref, error)
        return self._log.newest, Place(digest), Player(name, self._rule)

    # Reading

    def _played(self, page: Page) -> list[Output]:
        outputs: list[Output] = []
        for stored in page.events:
            outputs += self._player.play(stored)
        self._cursor = page.cursor
        if page.lost:
            logger.warning("%s: %d events were gone before it could read them", self._ref, page.lost)
            self._place = attrs.evolve(self._place, lost=self._place.lost + page.lost)
        return outputs + self._ticked()

    def _ticked(self) -> list[Output]:
        """What has become due. First everything is read that was appended until then, be it on disk yet or not: in
        history an event comes before the Tick, too."""
        now, due = self._log.now(), self._player.due
        if self._barrier is None and due is not None and due <= now:
            self._barrier = now, self._log.appended
        if self._barrier is None or self._cursor < self._barrier[1]:
            return []
        wall, self._barrier = self._barrier[0], None
        return self._player.tick(wall)

    async def _wait(self) -> None:
        """Until there is something to read, or something is due."""
        due = self._player.due
        if self._barrier is not None or due is None:
            await self._log.wait(self._cursor)
            return
        await self._around.alarmed((due - self._log.now()) / _NS, partial(self._log.wait, self._cursor))

    # Saying

    async def _save(self, outputs: list[Output], *, last: bool = False) -> None:
        """Write what is said, with the place; the place alone only now and then."""
        fired = [output for output in outputs if isinstance(output, Fired)]
        warnings = sum(_is_warning(output) for output in outputs)
        if fired or warnings:
            self._place = attrs.evolve(
                self._place,
                fired=self._place.fired + len(fired),
                warnings=self._place.warnings + warnings,
                fired_at=self._log.now() if fired else self._place.fired_at,
            )
        generation = self._around.generation()
        if not (fired or self._generation != generation or self._stale(last)):
            return
        because = {self._ref: known(self._around.configured())} if self._generation != generation else None
        place = to_wire(attrs.evolve(self._place, clock=self._player.clock)) | {"memory": self._player.memory}
        # A cancellation must not come between what is written and what the next run of this rule finds.
        with trio.CancelScope(shield=True):
            await self._log.append(
                *map(self._event, fired),
                status={self._ref: self._status(generation)},
                consumed={self._consumer: Consumed(self._cursor, place)},
                because=because,
            )
        self._saved, self._saved_at, self._generation = self._cursor, trio.current_time(), generation

    def _stale(self, last: bool) -> bool:
        behind = self._cursor - self._saved
        elapsed = trio.current_time() - self._saved_at
        return behind >= SAVE_EVENTS or (behind > 0 and (last or elapsed >= SAVE_SECONDS))

    def _event(self, fired: Fired) -> Event:
        return Event(
            self._rule.emit.topic,
            reason="EventRuleFired",
            message="event rule fired",
            resource=self._ref,
            source=self._source,
            attributes=fired.attributes,
            causes=fired.inputs,
        )

    def _status(self, generation: int) -> Status:
        place = self._place
        status: dict[str, Any] = {
            "phase": "Active",
            "topic": self._rule.emit.topic,
            "fireCount": place.fired,
            "warningCount": place.warnings,
            **observed_status("Active", True, "Active", generation),
        }
        if place.fired_at is not None:
            status["lastFiredAt"] = format_instant(place.fired_at)
        if place.lost:
            status["lostEvents"] = place.lost
        return status


def _is_warning(output: Output) -> bool:
    return isinstance(output, Forgotten) or (isinstance(output, Dropped) and output.reason == "no-correlation")
