"""What led to what in the life of a DHCPv4 client: the causes of everything that it says, so that `why` can go from a
phase back to its root. Nothing is decided and nothing is said here.

The root of an outage is what came from outside: a carrier that went, a server that refuses or is silent (the requests
that it did not answer), somebody's command. That a timer ran out is nobody's effect.
"""

from __future__ import annotations

from collections.abc import Callable

from routerd.daemons.scribe import Cause, Said
from routerd.events import incidents
from routerd.events.incidents import SLEEP, Incidents
from routerd.events.types import Event
from routerd.protocols.dhcpv4 import outputs
from routerd.protocols.dhcpv4.message import MessageType

UNANSWERED = 64
"""Requests of one exchange that are named when nobody answers them: the first, and the last."""

BY_COMMAND = {"Renewing": ("renew",), "Rebinding": ("rebind",), "Stopped": ("stop", "release")}
"""States, and the commands that lead there."""


class Causes:
    """Of one run of a client. `began` has the id of the event for which it runs at all, `command` that of a command
    under way (0: none)."""

    def __init__(self, ifname: str, known: Incidents, began: Callable[[], int], command: Callable[[str], int]) -> None:
        self._link = incidents.link(ifname)
        self._incidents = known
        self._began = began
        self._command = command
        self._occasion: tuple[Cause, ...] = ()
        self._state = "Stopped"
        self._link_seen = 0
        self._asked: list[Said] = []
        self._offer: Said | None = None
        self._trouble: Said | None = None
        self._lease: Said | None = None
        self._applied: Said | None = None
        self._decisive: Said | None = None

    # The life around the machine

    def started(self, event: Event) -> Said:
        """The run begins."""
        said = Said(event, (self._began(),))
        self._occasion, self._link_seen = (said,), self._incidents.last(self._link)
        return said

    def ready(self, event: Event) -> Said:
        """There is an interface, and the machine is about to start."""
        said = Said(event, self._link_cause(self._link_seen) or self._occasion)
        self._occasion, self._link_seen = (said,), self._incidents.last(self._link)
        return said

    def around(self, event: Event) -> Said:
        """What is said before the machine has begun."""
        return Said(event, self._occasion)

    def of_waiting(self) -> tuple[Cause, ...]:
        """Why there is no interface to work on."""
        return self._link_cause() or self._occasion

    # Steps of the machine

    def step(self) -> None:
        """What follows belongs to a new step of the machine."""
        self._decisive = None

    def of_step(self) -> tuple[Cause, ...]:
        """What made the status what it is after the step."""
        if self._state in ("NoLink", "Detached") and not _ends(self._decisive):
            return self._link_cause() or self._occasion
        if self._decisive is None or self._decisive in self._asked:
            return tuple(self._asked) or self._occasion
        return (self._decisive,)

    def entered(self, state: str) -> None:
        """The machine is in another state: another exchange, for another reason."""
        previous, self._state = self._state, state
        command = next((one for name in BY_COMMAND.get(state, ()) if (one := self._command(name))), 0)
        link = self._incidents.last(self._link)
        if command:
            self._occasion = (command,)
        elif previous == "Stopped" and (start := self._command("start")):
            self._occasion = (start,)
        elif state == "Renewing":
            self._occasion = ()  # T1
        elif state == "Rebinding":
            self._occasion = tuple(self._asked)  # in vain
        elif link > self._link_seen:
            self._occasion = (link,)
        self._link_seen = max(link, self._link_seen)
        if state not in ("Bound", "Probing"):
            self._asked = []

    def said(self, output: outputs.Output, event: Event) -> Said:
        """The event of an output, with what led to it."""
        said = Said(event, self._because(output))
        self._follow(output, said)
        if self._decisive is None or not _ends(self._decisive):
            self._decisive = said
        return said

    def _because(self, output: outputs.Output) -> tuple[Cause, ...]:
        asked = tuple(self._asked)
        match output:
            case outputs.Send() if self._state == "Requesting" and self._offer is not None:
                return (self._offer,)
            case outputs.Offered() | outputs.Bound(confirmed_by="request" | "reboot"):
                return asked[-1:] or self._occasion
            case outputs.Extended() | outputs.Changed() if not self._occasion and self._lease is not None:
                return (*asked[-1:], self._lease)  # in due time: that there is a lease at all is the first reason
            case outputs.Extended() | outputs.Changed():
                return asked[-1:] or self._occasion
            case outputs.Nak():
                return self._by_link()
            case outputs.Conflict():
                return ()
            case outputs.Lost(_, reason):
                return self._of_loss(reason)
            case outputs.Failed(_, "nak" | "conflict") if self._trouble is not None:
                return (self._trouble,)
            case outputs.Failed():
                return asked or self._occasion
        return self._occasion

    def _of_loss(self, reason: outputs.LossReason) -> tuple[Cause, ...]:
        asked = tuple(self._asked)
        match reason:
            case "nak" | "conflict" if self._trouble is not None:
                return (self._trouble,)
            case "released" | "stopped":
                return (self._command("release") or self._command("stop") or self._began(),)
            case "link-changed" | "link-gone":
                return self._link_cause()
            case "moved" | "v6-only":
                return asked[-1:]
            case "expired" if self._state == "Detached":
                return self._link_cause() or self._occasion
            case "expired" if not asked:
                return self._slept() or self._occasion
        return asked or self._occasion

    def _follow(self, output: outputs.Output, said: Said) -> None:
        match output:
            case outputs.Send(message) if message.type in (MessageType.DISCOVER, MessageType.REQUEST):
                self._asked = [*self._asked[:1], *self._asked[1:][2 - UNANSWERED :], said]
            case outputs.Offered():
                self._offer = said
            case outputs.Bound() | outputs.Resumed():
                self._lease, self._asked = said, []
            case outputs.Extended() | outputs.Changed():
                self._asked = []
            case outputs.Nak() | outputs.Conflict(defended=False):
                self._trouble, self._occasion = said, (said,)
            case outputs.Lost():
                self._lease, self._asked, self._occasion = None, [], (said,)

    def _by_link(self) -> tuple[Cause, ...]:
        """The present occasion, if that is the link: then a cable leads to another network."""
        return self._occasion if self._occasion == (self._link_seen,) else ()

    def _link_cause(self, after: int = 0) -> tuple[Cause, ...]:
        link = self._incidents.last(self._link)
        return (link,) if link > after else ()

    def _slept(self) -> tuple[Cause, ...]:
        """A lease that ended without a word on the line."""
        sleep = self._incidents.last(SLEEP)
        return (sleep,) if self._lease is not None and sleep > self._lease.id else ()

    # What the host and the configuration do beside

    def applied(self, event: Event, index: int, ip: str) -> Said:
        """The address of the lease is on the interface: for the first time, or again."""
        taken = self._incidents.last(incidents.address(index, ip))
        again = self._applied is not None and taken > self._applied.id
        self._applied = Said(event, (taken,) if again else self._of_lease())
        return self._applied

    def of_address(self, index: int, ip: str) -> tuple[Cause, ...]:
        """Why the address of the lease is not on the interface (any more)."""
        taken = self._incidents.last(incidents.address(index, ip))
        return (taken,) if self._applied is not None and taken > self._applied.id else self._of_lease()

    def of_generation(self) -> tuple[Cause, ...]:
        """Another generation is in force."""
        return (self._began(),)

    def _of_lease(self) -> tuple[Cause, ...]:
        return (self._lease,) if self._lease is not None else self._occasion


def _ends(said: Said | None) -> bool:
    return said is not None and said.event.topic.rpartition(".")[2] in ("expired", "lost", "released")
