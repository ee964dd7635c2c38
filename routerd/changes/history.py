"""The generations that there have been, as the API tells them: how each came out, its text, and what it changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from routerd.api.change import NotChanged
from routerd.api.wire_changes import Generation, GenerationItem, ResourceChange
from routerd.changes.draft import find
from routerd.changes.forecast import Foreseen
from routerd.changes.gate import Gate
from routerd.changes.generations import Record
from routerd.changes.outcome import Compared
from routerd.changes.stage import Stage
from routerd.config.diff import diff
from routerd.events.writer import Runner
from routerd.shapes.instant import Instant


class History:
    """See the module."""

    def __init__(self, gate: Gate, stage: Stage, run_sync: Runner) -> None:
        self._gate = gate
        self._stage = stage
        self._run_sync = run_sync

    async def latest(self, limit: int) -> Sequence[GenerationItem]:
        """The latest, newest first."""
        texts = set(await self._run_sync(self._gate.generations.texts))
        return [self._item(record, texts) for record in reversed(self._gate.generations.all()[-limit or None :])]

    async def one(self, number: int) -> Generation:
        """Its text, and its differences to the one before it. Raises NotChanged (absent)."""
        generations = self._gate.generations
        record = generations.get(number)
        if record is None:
            raise NotChanged("absent", f"there is no generation {number}", "GET /generations tells which there are")
        before = max((other.generation for other in generations.all() if other.generation < number), default=None)
        octets, changes = await self._run_sync(self._differences, number, before)
        text = None if octets is None else octets.decode("utf-8", "replace")
        return Generation(generation=self._item(record, {number} if octets else set()), changes=changes, yaml=text)

    def _differences(self, number: int, before: int | None) -> tuple[bytes | None, list[ResourceChange] | None]:
        """The text of a generation, and how it differs from another, as far as both can be read. Blocks."""
        octets = self._gate.generations.text_of(number)
        texts = (octets, None if before is None else self._gate.generations.text_of(before))
        after, old = (find(text, "router.yaml", lambda router: None).router for text in texts)
        if after is None or old is None:
            return octets, None
        return octets, Compared(old, after, diff(old, after), Foreseen()).changes

    def _item(self, record: Record, texts: Iterable[int]) -> GenerationItem:
        """A record as the API tells it. How what is in force has come out is seen now."""
        running = self._gate.running
        current = record.generation == running.generation and record.finished_at is not None
        return GenerationItem(
            generation=record.generation,
            started_at=Instant(record.started_at),
            has_yaml=record.generation in texts,
            finished_at=None if record.finished_at is None else Instant(record.finished_at),
            phase=self._stage.phase(running.router) if current else record.phase,
            config_hash=record.config_hash,
            actor=record.actor,
            resource_count=record.resource_count,
            added=record.added,
            changed=record.changed,
            removed=record.removed,
            warnings=record.warnings,
            reverted=record.reverted,
            restores=record.restores,
        )
