"""How often, and for how long, a message is said again: RFC 9915 §15 and the parameters of §7.6.

Pure arithmetic. Randomness comes in as a number (`rand`, uniform in ±0.1), so that the same vectors test every
implementation (`tests/vectors/dhcpv6/schedule.json`).
"""

from __future__ import annotations

import attrs

RAND = 0.1
REPLY_LIFETIME = 64.0
"""An answer is to one of the transmissions of so many seconds; no network keeps a packet for longer."""


@attrs.frozen
class Schedule:
    """§15: initial and maximum retransmission time, maximum count and duration; 0: no maximum. Seconds.
    `delay`: at most so long before the first one."""

    irt: float
    mrt: float = 0.0
    mrc: int = 0
    mrd: float = 0.0
    delay: float = 0.0

    def first(self, rand: float) -> float:
        """Seconds to wait after the first transmission."""
        return self.irt + rand * self.irt

    def following(self, before: float, rand: float) -> float:
        """Seconds to wait after one more, when it was `before` the last time."""
        longer = 2 * before + rand * before
        return self.mrt + rand * self.mrt if self.mrt and longer > self.mrt else longer


SOLICIT = Schedule(1, 3600, delay=1)
REQUEST = Schedule(1, 30, mrc=10)
CONFIRM = Schedule(1, 4, mrd=10, delay=1)
"""Of Rebind too where it confirms (§18.2.12)."""
EXTEND = Schedule(10, 600)
"""Of Renew and Rebind: T2 and the lifetimes end them (§18.2.4, §18.2.5)."""
INFORMATION = Schedule(1, 3600, delay=1)
GOODBYE = Schedule(1, mrc=4)
"""Of Release and Decline."""


@attrs.frozen
class Exchange:
    """One transaction id and everything said under it (C10). `began`: the first transmission, from which elapsed time
    counts (§21.9); `wait` is the retransmission time of the last one."""

    xid: int
    schedule: Schedule
    send_at: float
    began: float | None = None
    wait: float = 0.0
    transmissions: int = 0
    recent: tuple[float, ...] = ()

    def sent(self, now: float, rand: float) -> Exchange:
        """The exchange after one transmission more."""
        wait = self.schedule.following(self.wait, rand) if self.transmissions else self.schedule.first(rand)
        return attrs.evolve(
            self,
            send_at=now + wait,
            began=now if self.began is None else self.began,
            wait=wait,
            transmissions=self.transmissions + 1,
            recent=(*(then for then in self.recent if now - then <= REPLY_LIFETIME), now),
        )

    @property
    def is_exhausted(self) -> bool:
        """Whether it was said as often as it may be."""
        return 0 < self.schedule.mrc <= self.transmissions

    @property
    def next_at(self) -> float | None:
        """When it is to be said (again); None: not any more."""
        return None if self.is_exhausted else self.send_at

    @property
    def ends_at(self) -> float | None:
        """When it has failed by itself; None: never (§15)."""
        if self.is_exhausted:
            return self.send_at
        return self.began + self.schedule.mrd if self.schedule.mrd and self.began is not None else None

    def elapsed(self, now: float) -> int:
        """Hundredths of a second since the first transmission, saturated (§21.9)."""
        return 0 if self.began is None else min(int((now - self.began) * 100), 0xFFFF)

    def answered(self, now: float) -> float:
        """When the message that is answered now was sent. A Reply does not say which of several it answers: the
        earliest possible one, so that we never believe in a lease for longer than the server does."""
        return next((then for then in self.recent if now - then <= REPLY_LIFETIME), self.recent[-1])
