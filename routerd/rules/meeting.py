"""all_of and sequence: several topics that have to meet."""

from __future__ import annotations

import attrs

from routerd.events.topics import matches
from routerd.rules.step import Firing, Mark, Place, Step


@attrs.frozen
class Met:
    """The last event of each glob, None where there was none."""

    places: tuple[Place | None, ...]


@attrs.frozen
class AllOf:
    """Each of the globs was seen, in any order, the first no longer than `window` before the last."""

    globs: tuple[str, ...]
    window: float | None
    state = Met

    def seen(self, state: Met | None, mark: Mark, now: float) -> Step[Met]:
        """See Operator."""
        before = state.places if state is not None else (None,) * len(self.globs)
        here = Place(mark.id, now)
        places = tuple(
            here if matches(glob, mark.topic) else self._kept(place, now)
            for glob, place in zip(self.globs, before, strict=True)
        )
        ids = sorted({place.id for place in places if place is not None})
        if None in places:
            return Step(Met(places))
        return Step(None, Firing(tuple(ids), len(ids), mark))

    def lapsed(self, state: Met, now: float) -> bool:
        """See Operator."""
        return not any(self._kept(place, now) for place in state.places)

    def _kept(self, place: Place | None, now: float) -> Place | None:
        return place if place is not None and _within(place.at, self.window, now) else None


@attrs.frozen
class Way:
    """How far a sequence has come: when it began, and the ids so far."""

    began: float
    ids: tuple[int, ...]


@attrs.frozen
class Ways:
    """For each number of events, beginning with one, the way that began last. A way that began earlier is never needed:
    `window` would end it before."""

    ways: tuple[Way | None, ...]


@attrs.frozen
class Sequence:
    """The globs were seen in their order. `strict`: with none of them out of its turn in between."""

    globs: tuple[str, ...]
    window: float | None
    strict: bool
    state = Ways

    def seen(self, state: Ways | None, mark: Mark, now: float) -> Step[Ways]:
        """See Operator."""
        before = state.ways if state is not None else (None,) * (len(self.globs) - 1)
        longer = [self._longer(way, glob, mark, now) for way, glob in zip(before, self.globs[1:], strict=True)]
        done = longer[-1]
        if done is not None:
            return Step(None, Firing(done.ids, len(done.ids), mark))
        begun = Way(now, (mark.id,)) if matches(self.globs[0], mark.topic) else None
        after = (begun, *longer[:-1])
        if not self.strict:
            after = tuple(new or old for new, old in zip(after, before, strict=True))
        return Step(Ways(after) if any(after) else None)

    def lapsed(self, state: Ways, now: float) -> bool:
        """See Operator."""
        return not any(way is not None and _within(way.began, self.window, now) for way in state.ways)

    def _longer(self, way: Way | None, glob: str, mark: Mark, now: float) -> Way | None:
        if way is None or not matches(glob, mark.topic) or not _within(way.began, self.window, now):
            return None
        return Way(way.began, (*way.ids, mark.id))


def _within(began: float, window: float | None, now: float) -> bool:
    return window is None or now - began <= window
