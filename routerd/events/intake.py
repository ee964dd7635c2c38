"""What an append comes to: numbers for the events, rows, and what becomes of the objects. Pure bookkeeping in memory,
ahead of the disk; nothing here is seen by a reader."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import attrs

from routerd.events.database import Contents, Transaction
from routerd.events.objects import changed_fields, settled, status_changed
from routerd.events.rows import legible, to_row
from routerd.events.types import Event, Ref, Status, StoredEvent, StoredObject


@attrs.frozen
class Admission:
    """The ids of the events that were given, all events (those that followed from them too), and what to write."""

    ids: tuple[int, ...]
    events: list[StoredEvent]
    change: Transaction


class Intake:
    """Knows the last id, the last number of each source, and the objects as they are after everything appended."""

    def __init__(self, cursor_floor: Callable[[str], int]) -> None:
        self.last_id = 0
        self.cursors: dict[str, int] = {}
        self._floor = cursor_floor
        self._floors_known: set[str] = set()
        self._objects: dict[Ref, StoredObject] = {}

    def resume(self, contents: Contents) -> None:
        """Go on where a log file ends."""
        self.last_id = contents.newest
        self.cursors = dict(contents.cursors)
        self._objects = {stored.ref: stored for stored in contents.objects}

    def admit(
        self, events: Collection[Event], status: Mapping[Ref, Status], gone: Collection[Ref], now: int
    ) -> Admission:
        """Raises TypeError, ValueError as `Log.append`, and then has changed nothing."""
        first = self.last_id + 1
        ids = tuple(range(first, first + len(events)))
        clean = [legible(_resolved(event, place, ids, now)) for place, event in enumerate(events)]
        given = clean[-1][0] if clean else None
        objects: dict[Ref, StoredObject | None] = {}
        for ref, wanted in status.items():
            stored = self._objects.get(ref)
            before = stored.status if stored is not None else None
            after = settled(before, wanted, now)
            if before == after:
                continue
            fields = changed_fields(ref, before or {}, after)
            if stored is None or fields:
                clean.append(legible(status_changed(ref, before, after, fields, ids, given, now)))
                version = self.last_id + len(clean)
            else:
                version = ids[-1] if ids else stored.version
            objects[ref] = StoredObject(ref, after, version, now)
        objects.update(dict.fromkeys(gone))
        return self._accept(ids, clean, objects, now)

    def _accept(
        self,
        ids: tuple[int, ...],
        clean: list[tuple[Event, str | None]],
        objects: dict[Ref, StoredObject | None],
        now: int,
    ) -> Admission:
        change = Transaction(objects=objects)
        stored = []
        for event, attributes in clean:
            self.last_id += 1
            stored.append(StoredEvent(self.last_id, now, event, self._count(event)))
            change.rows.append(to_row(stored[-1], attributes))
        for ref, stored_object in objects.items():
            if stored_object is None:
                self._objects.pop(ref, None)
            else:
                self._objects[ref] = stored_object
        return Admission(ids, stored, change)

    def _count(self, event: Event) -> int | None:
        """The event's number among those of its source."""
        if event.source is None:
            return None
        name = event.source.name
        if name not in self._floors_known:
            self._floors_known.add(name)
            self.cursors[name] = max(self.cursors.get(name, 0), self._floor(name))
        self.cursors[name] += 1
        return self.cursors[name]


def _resolved(event: Event, place: int, ids: tuple[int, ...], now: int) -> Event:
    """The event with its time, and with `follows` turned into causes."""
    if not event.follows:
        return event if event.time else attrs.evolve(event, time=now)
    if not all(0 < back <= place for back in event.follows):
        raise ValueError(f"event {place} of this append follows {event.follows}: there is no such event before it")
    causes = (*event.causes, *(ids[place - back] for back in event.follows))
    return attrs.evolve(event, time=event.time or now, causes=causes, follows=())
