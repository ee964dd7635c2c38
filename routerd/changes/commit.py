"""A change of the configuration on trial: it goes back by itself unless somebody confirms it in time.

A machine as `routerd.protocols.machine` has them: no clock, no disk, no host. `commit_trial` feeds it, `commit_watch`
does what it says. Times are seconds on a clock that counts suspend and that nobody can set.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

import attrs

from routerd.protocols.machine import Refused, Start, Stop, Tick
from routerd.shapes.duration import format_duration

LAST_CALLS: Final = (60.0, 10.0)
"""Seconds before the end at which somebody who forgot is reminded."""
LONGEST: Final = 86400.0
"""Seconds that a change may be on trial, counted from now."""
FIRST_RETRY, LONGEST_RETRY = 1.0, 60.0
"""Seconds between attempts to go back: the first pause, and what it is doubled up to."""


def digest_of(token: str) -> str:
    """What a token is compared by: it is chance enough that nobody can guess it from this."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


# What happens to it


@attrs.frozen
class Confirm:
    """Somebody wants to keep the change."""

    token: str = attrs.field(repr=False)


@attrs.frozen
class Extend:
    """Somebody wants so many seconds from now to decide."""

    token: str = attrs.field(repr=False)
    seconds: float


@attrs.frozen
class GuardFailed:
    """What must not be lost is lost; if it stays so for `patience` seconds, that is too much. 0: it will not come
    back."""

    guard: str
    why: str
    patience: float


@attrs.frozen
class GuardHolds:
    """It is there."""

    guard: str


@attrs.frozen
class Restarted:
    """routerd was started while the change was on trial, in this boot of the host."""

    boot_id: str


@attrs.frozen
class Withdrawn:
    """The configuration has been changed otherwise, or was never changed: there is nothing to go back from."""


@attrs.frozen
class Reverted:
    """It has gone back."""


@attrs.frozen
class RevertFailed:
    """It could not go back. It is tried again."""

    why: str


In = Confirm | Extend | GuardFailed | GuardHolds | Restarted | Withdrawn | Reverted | RevertFailed

# What is to be done


@attrs.frozen
class Confirmed:
    """The change stays."""


@attrs.frozen
class Extended:
    """There is time until `deadline`."""

    deadline: float


@attrs.frozen
class Warn:
    """`left` seconds are left."""

    left: float


@attrs.frozen
class Revert:
    """Go back now. `reason` is a stable word, `message` a sentence."""

    reason: str
    message: str


Out = Confirmed | Extended | Warn | Revert | Refused

# What it is


@attrs.frozen
class Lost:
    """A guard that fails: since when, and until when that is borne."""

    guard: str
    why: str
    since: float
    until: float


@attrs.frozen
class Waiting:
    """For the operator. `calls`: when to remind them, the next first."""

    until: float
    calls: tuple[float, ...]
    lost: tuple[Lost, ...] = ()


@attrs.frozen
class Reverting:
    """It is going back; if that does not succeed it is tried again at `retry_at`."""

    revert: Revert
    retry_at: float
    pause: float = FIRST_RETRY


@attrs.frozen
class Ended:
    """Confirmed, gone back, or withdrawn."""


def last_calls(begin: float, until: float) -> tuple[float, ...]:
    """When to remind somebody who has from `begin` to `until`: not at the very beginning."""
    return tuple(until - left for left in LAST_CALLS if until - left > begin)


class PendingCommit:
    """See the module. `until`: when it goes back; `going_back`: an earlier life of routerd had begun to."""

    def __init__(
        self, *, now: float, until: float, boot_id: str, token_digest: str, going_back: Revert | None = None
    ) -> None:
        self.state: Waiting | Reverting | Ended = Waiting(until, last_calls(now, until))
        self._boot_id = boot_id
        self._token_digest = token_digest
        self._going_back = going_back

    @property
    def deadline(self) -> float | None:
        """When a Tick is due."""
        match self.state:
            case Waiting(until, calls, lost):
                return min((until, *calls[:1], *(one.until for one in lost)))
            case Reverting():
                return self.state.retry_at
        return None

    def handle(self, event: In | Start | Stop | Tick, now: float) -> list[Out]:
        """Take one input at time `now`; return everything that follows from it, in order."""
        match self.state:
            case Waiting():
                return self._waiting(self.state, event, now)
            case Reverting():
                return self._reverting(self.state, event, now)
        return self._refusal(event, "it has ended")

    def _waiting(self, state: Waiting, event: In | Start | Stop | Tick, now: float) -> list[Out]:
        match event:
            case Restarted(boot_id) if boot_id != self._boot_id:
                return self._revert(Revert("Reboot", "the host was started anew before it was confirmed"), now)
            case Start() | Restarted() if self._going_back is not None:
                return self._revert(self._going_back, now)
            case Start() | Restarted() | Tick():
                return self._look(state, now)
            case Confirm() | Extend() if now > state.until:
                return [*self._refusal(event, "the time to confirm it is over"), *self._look(state, now)]
            case Confirm(token) | Extend(token) if not self._fits(token):
                return self._refusal(event, "this is not its token")
            case Confirm():
                self.state = Ended()
                return [Confirmed()]
            case Extend(_, seconds):
                return self._extend(state, event, min(seconds, LONGEST), now)
            case GuardFailed():
                return self._lose(state, event, now)
            case GuardHolds(guard):
                self.state = attrs.evolve(state, lost=tuple(one for one in state.lost if one.guard != guard))
            case Withdrawn():
                self.state = Ended()
        return []

    def _look(self, state: Waiting, now: float) -> list[Out]:
        """Is it time to go back, or to remind somebody?"""
        if state.until <= now:
            return self._revert(Revert("NotConfirmed", "nobody confirmed it in time"), now)
        for lost in state.lost:
            if lost.until <= now:
                return self._revert(_lost(lost, now), now)
        left = tuple(call for call in state.calls if call > now)
        if left == state.calls:
            return []
        self.state = attrs.evolve(state, calls=left)
        return [Warn(state.until - now)]

    def _extend(self, state: Waiting, event: Extend, seconds: float, now: float) -> list[Out]:
        until = now + seconds
        if until <= state.until:
            return self._refusal(event, f"it has {format_duration(round(state.until - now))} left already")
        self.state = attrs.evolve(state, until=until, calls=last_calls(now, until))
        return [Extended(until)]

    def _lose(self, state: Waiting, event: GuardFailed, now: float) -> list[Out]:
        """A guard that goes on failing has no more time than it had."""
        before = next((one for one in state.lost if one.guard == event.guard), None)
        since = now if before is None else before.since
        lost = Lost(event.guard, event.why, since, since + event.patience)
        others = tuple(one for one in state.lost if one.guard != event.guard)
        self.state = attrs.evolve(state, lost=(*others, lost))
        return self._revert(_lost(lost, now), now) if lost.until <= now else []

    def _revert(self, revert: Revert, now: float) -> list[Out]:
        self.state = Reverting(revert, now + FIRST_RETRY)
        return [revert]

    def _reverting(self, state: Reverting, event: In | Start | Stop | Tick, now: float) -> list[Out]:
        match event:
            case Reverted() | Withdrawn():
                self.state = Ended()
            case RevertFailed():
                self.state = attrs.evolve(state, retry_at=now + state.pause, pause=min(state.pause * 2, LONGEST_RETRY))
            case Tick() if state.retry_at <= now:
                self.state = attrs.evolve(state, retry_at=now + state.pause)
                return [state.revert]
        return self._refusal(event, f"it is going back already: {state.revert.message}")

    def _fits(self, token: str) -> bool:
        return hmac.compare_digest(digest_of(token), self._token_digest)

    def _refusal(self, event: object, why: str) -> list[Out]:
        """Of what somebody asked for; whatever else comes too late is ignored."""
        match event:
            case Confirm():
                return [Refused("confirm", why)]
            case Extend():
                return [Refused("extend", why)]
        return []


def _lost(lost: Lost, now: float) -> Revert:
    for_how_long = f" for {format_duration(round(now - lost.since))}" if now - lost.since >= 1 else ""
    return Revert("GuardFailed", f"{lost.why}{for_how_long}")
