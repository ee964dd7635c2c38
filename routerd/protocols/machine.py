"""What every protocol machine is: one method, one attribute.

A machine is told what happened and when, and answers with what to do or what is now true. It never
reads a clock, opens a socket, logs or awaits; `now` is the only time it knows (seconds, on a clock that
counts suspend). The contract below is held by one property test for all machines
(`tests/protocols/contract.py`):

1. `handle` never raises on what a peer sent; being ignored is visible (`Dropped`) and changes nothing.
2. After a `Tick` the deadline lies after `now`, however late the Tick came; an early Tick does nothing.
3. Every state that is not final has a deadline; no state can be left by a packet alone.
4. The list of outputs is complete and in order.
5. Same inputs and same seed, same outputs.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

import attrs

In = TypeVar("In", contravariant=True)
Out = TypeVar("Out")
P = TypeVar("P", covariant=True)


@attrs.frozen
class Start:
    """Begin (or begin again after Stop)."""


@attrs.frozen
class Stop:
    """End. `release` is the operator's wish to give the lease back; a restart of routerd is not that (V4-33)."""

    release: bool = False


@attrs.frozen
class Tick:
    """Time has passed: the deadline was reached, or the caller wants the machine to look."""


@attrs.frozen
class Dropped(Generic[P]):
    """A packet that was ignored, and why. `reason` is a stable, countable word such as `wrong-xid`."""

    reason: str
    packet: P


@attrs.frozen
class Refused:
    """The operator asked for what the present state cannot do. `reason` is a sentence for a person."""

    command: str
    reason: str


FLAP = 3.0
"""A carrier that was away for no longer than this was never away (C11)."""

PATIENCE = 9.0
"""How long an operator waits for an answer to a command, in seconds: less than a caller of the API does by itself
(contract rule 7), who so hears how the command has ended."""


def earliest(*times: float | None) -> float | None:
    """The first of some moments, of which any may be never."""
    return min((time for time in times if time is not None), default=None)


class Machine(Protocol[In, Out]):
    """A sans-IO state machine."""

    @property
    def deadline(self) -> float | None:
        """Absolute time at which a `Tick` is due, on the caller's clock; None: only input can wake it."""

    def handle(self, event: In | Start | Stop | Tick, now: float) -> list[Out]:
        """Take one input at time `now`; return everything that follows from it, in order."""
