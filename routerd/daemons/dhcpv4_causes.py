"""What led to what in the life of a DHCPv4 client: the causes of everything that it says, so that `why` can go from a
phase back to its root. Nothing is decided and nothing is said here.
"""

from __future__ import annotations

from routerd.daemons.dhcp_course import Course
from routerd.daemons.scribe import Cause, Said
from routerd.events import incidents
from routerd.events.types import Event
from routerd.protocols.dhcpv4 import outputs
from routerd.protocols.dhcpv4.message import MessageType


class Causes:
    """Of one run of a client, whose `course` it is."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self._offer: Said | None = None
        self._trouble: Said | None = None
        self._lease: Said | None = None
        self._applied: Said | None = None
        self._decisive: Said | None = None

    # Steps of the machine

    def step(self) -> None:
        """What follows belongs to a new step of the machine."""
        self._decisive = None

    def of_step(self) -> tuple[Cause, ...]:
        """What made the status what it is after the step."""
        if self.course.state in ("NoLink", "Detached") and not _ends(self._decisive):
            return self.course.of_link() or self.course.occasion
        if self._decisive is None or self._decisive in self.course.asked:
            return self.course.asked or self.course.occasion
        return (self._decisive,)

    def said(self, output: outputs.Output, event: Event) -> Said:
        """The event of an output, with what led to it."""
        said = Said(event, self._because(output))
        self._follow(output, said)
        if self._decisive is None or not _ends(self._decisive):
            self._decisive = said
        return said

    def _because(self, output: outputs.Output) -> tuple[Cause, ...]:
        asked = self.course.asked
        match output:
            case outputs.Send() if self.course.state == "Requesting" and self._offer is not None:
                return (self._offer,)
            case outputs.Offered() | outputs.Bound(confirmed_by="request" | "reboot"):
                return asked[-1:] or self.course.occasion
            case outputs.Extended() | outputs.Changed() if not self.course.occasion and self._lease is not None:
                return (*asked[-1:], self._lease)  # in due time: that there is a lease at all is the first reason
            case outputs.Extended() | outputs.Changed():
                return asked[-1:] or self.course.occasion
            case outputs.Nak():
                return self.course.of_cable()
            case outputs.Conflict():
                return ()
            case outputs.Lost(_, reason):
                return self._of_loss(reason)
            case outputs.Failed(_, "nak" | "conflict") if self._trouble is not None:
                return (self._trouble,)
            case outputs.Failed():
                return asked or self.course.occasion
        return self.course.occasion

    def _of_loss(self, reason: outputs.LossReason) -> tuple[Cause, ...]:
        asked = self.course.asked
        match reason:
            case "nak" | "conflict" if self._trouble is not None:
                return (self._trouble,)
            case "released" | "stopped":
                return (self.course.command("release") or self.course.command("stop") or self.course.began(),)
            case "link-changed" | "link-gone":
                return self.course.of_link()
            case "moved" | "v6-only":
                return asked[-1:]
            case "expired" if self.course.state == "Detached":
                return self.course.of_link() or self.course.occasion
            case "expired" if not asked:
                return self.course.of_sleep(self._lease.id if self._lease is not None else 0) or self.course.occasion
        return asked or self.course.occasion

    def _follow(self, output: outputs.Output, said: Said) -> None:
        match output:
            case outputs.Send(message) if message.type in (MessageType.DISCOVER, MessageType.REQUEST):
                self.course.ask(said)
            case outputs.Offered():
                self._offer = said
            case outputs.Bound() | outputs.Resumed():
                self._lease, self.course.asked = said, ()
            case outputs.Extended() | outputs.Changed():
                self.course.asked = ()
            case outputs.Nak() | outputs.Conflict(defended=False):
                self._trouble, self.course.occasion = said, (said,)
            case outputs.Lost():
                self._lease, self.course.asked, self.course.occasion = None, (), (said,)

    # What the host and the configuration do beside

    def applied(self, event: Event, index: int, ip: str) -> Said:
        """The address of the lease is on the interface: for the first time, or again."""
        taken = self.course.incidents.last(incidents.address(index, ip))
        again = self._applied is not None and taken > self._applied.id
        self._applied = Said(event, (taken,) if again else self._of_lease())
        return self._applied

    def of_address(self, index: int, ip: str) -> tuple[Cause, ...]:
        """Why the address of the lease is not on the interface (any more)."""
        taken = self.course.incidents.last(incidents.address(index, ip))
        return (taken,) if self._applied is not None and taken > self._applied.id else self._of_lease()

    def _of_lease(self) -> tuple[Cause, ...]:
        return (self._lease,) if self._lease is not None else self.course.occasion


def _ends(said: Said | None) -> bool:
    return said is not None and said.event.topic.rpartition(".")[2] in ("expired", "lost", "released")
