"""What happens to one daemon, on its way to the machine: packets and everything else, and the count of packets."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import trio

ROOM = 256
"""Packets that wait for the machine; what comes beyond is dropped (C17), as a socket's buffer does it."""


class Inbox:
    """`tell_first` is told when something is ignored for a reason for the first time. The counts are those of all runs;
    of each run is the channel, which `begin` makes."""

    def __init__(self, tell_first: Callable[[str], None]) -> None:
        self._tell_first = tell_first
        self.received = 0
        self.dropped: Counter[str] = Counter()
        self.begin()

    def begin(self) -> None:
        """A new run: whatever the last one did not hear is nothing to this one."""
        self._channel, self.inputs = trio.open_memory_channel[Any](math.inf)
        self.is_open = True

    @property
    def waiting(self) -> int:
        """What the machine has not heard yet."""
        return self._channel.statistics().current_buffer_used

    def put(self, event: Any) -> None:
        """Tell the machine; nobody, once it is closed."""
        if self.is_open:
            self._channel.send_nowait(event)

    def deliver(self, event: Any, objection: Callable[[Any], str] = lambda event: "") -> None:
        """A packet came; `objection` is asked why it is not let in."""
        self.received += 1
        reason = "inbox-full" if self.waiting >= ROOM else objection(event)
        if reason:
            self.drop(reason)
        else:
            self.put(event)

    def drop(self, reason: str) -> None:
        """Count what is ignored; the first of each kind is told."""
        self.dropped[reason] += 1
        if self.dropped[reason] == 1:
            self._tell_first(reason)

    def close(self) -> None:
        """Nothing more comes in. The driver ends when it has taken what there is."""
        self.is_open = False
        self._channel.close()
