"""any_of, window, count and throttle: events that are alike, and how many they are."""

from __future__ import annotations

import attrs

from routerd.rules.step import Firing, Mark, Place, Step


@attrs.frozen
class Nothing:
    """Nothing to remember."""


@attrs.frozen
class AnyOf:
    """Every one."""

    state = Nothing

    def seen(self, state: Nothing | None, mark: Mark, now: float) -> Step[Nothing]:
        """See Operator."""
        return Step(None, Firing((mark.id,), 1, mark))

    def lapsed(self, state: Nothing, now: float) -> bool:
        """See Operator."""
        return True


@attrs.frozen
class Crowd:
    """The events that count, the oldest first."""

    places: tuple[Place, ...]


@attrs.frozen
class Window:
    """`threshold` of them, the first no longer than `span` before the last (None: however long); then from nothing."""

    threshold: int
    span: float | None
    state = Crowd

    def seen(self, state: Crowd | None, mark: Mark, now: float) -> Step[Crowd]:
        """See Operator."""
        before = state.places if state is not None else ()
        places = (*(place for place in before if self._counts(place, now)), Place(mark.id, now))
        if len(places) < self.threshold:
            return Step(Crowd(places))
        return Step(None, Firing(tuple(place.id for place in places), len(places), mark))

    def lapsed(self, state: Crowd, now: float) -> bool:
        """See Operator."""
        return not any(self._counts(place, now) for place in state.places)

    def _counts(self, place: Place, now: float) -> bool:
        return self.span is None or now - place.at <= self.span


@attrs.frozen
class Pause:
    """Until when nothing is said, and how many events came meanwhile."""

    until: float
    held: int = 0


@attrs.frozen
class Throttle:
    """The first, and then no other for `interval`. It counts those that it keeps to itself."""

    interval: float
    state = Pause

    def seen(self, state: Pause | None, mark: Mark, now: float) -> Step[Pause]:
        """See Operator."""
        if state is not None and now < state.until:
            return Step(attrs.evolve(state, held=state.held + 1))
        held = state.held if state is not None else 0
        return Step(Pause(now + self.interval), Firing((mark.id,), held + 1, mark))

    def lapsed(self, state: Pause, now: float) -> bool:
        """See Operator."""
        return now >= state.until
