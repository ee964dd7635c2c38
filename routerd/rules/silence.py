"""absence and debounce: what follows from nothing coming."""

from __future__ import annotations

import attrs

from routerd.events.topics import matches
from routerd.rules.step import Firing, Mark, Step


@attrs.frozen
class Wait:
    """Until when nothing may come, how many events began it, and the last of them. Of several, the one that was touched
    first is over first."""

    until: float
    count: int
    mark: Mark

    @property
    def firing(self) -> Firing:
        """What is said when it is over."""
        return Firing((self.mark.id,), self.count, self.mark)


@attrs.frozen
class Absence:
    """Nothing `expected` came for `duration` after a trigger. A new trigger begins the wait again."""

    expected: str | None
    duration: float
    state = Wait

    def seen(self, state: Wait | None, mark: Mark, now: float) -> Step[Wait]:
        """See Operator."""
        if self.expected is not None and matches(self.expected, mark.topic):
            return Step(None)
        return Step(_begun(state, mark, now + self.duration))

    def lapsed(self, state: Wait, now: float) -> bool:
        """See Operator."""
        return False


@attrs.frozen
class Debounce:
    """The last one, when there was none for `quiet`."""

    quiet: float
    state = Wait

    def seen(self, state: Wait | None, mark: Mark, now: float) -> Step[Wait]:
        """See Operator."""
        return Step(_begun(state, mark, now + self.quiet))

    def lapsed(self, state: Wait, now: float) -> bool:
        """See Operator."""
        return False


def _begun(state: Wait | None, mark: Mark, until: float) -> Wait:
    return Wait(until, state.count + 1 if state is not None else 1, mark)
