"""What led to what in the life of a DHCPv6 client: the causes of everything that it says, so that `why` can go from a
phase back to its root. Nothing is decided and nothing is said here.
"""

from __future__ import annotations

from routerd.daemons.dhcp_course import Course
from routerd.daemons.scribe import Cause, Said
from routerd.events import incidents
from routerd.events.types import Event, Ref
from routerd.protocols.dhcpv6 import outputs
from routerd.protocols.dhcpv6.association import Association
from routerd.protocols.dhcpv6.message import MessageType

GOODBYES = (MessageType.RELEASE, MessageType.DECLINE)


class Causes:
    """Of one run of a client, whose `course` it is."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self._answer: Said | None = None
        self._trouble: Said | None = None
        self._refused: dict[Association | None, Said] = {}
        self._granted: dict[Ref | None, Said] = {}
        self._leases: dict[Association, Said] = {}
        self._decisive: dict[Ref | None, Said] = {}
        self._last: Said | None = None

    # Steps of the machine

    def step(self) -> None:
        """What follows belongs to a new step of the machine."""
        self._decisive, self._last, self._answer = {}, None, None

    def of_step(self, resource: Ref) -> tuple[Cause, ...]:
        """What made the status of a resource what it is after the step."""
        decisive = self._decisive.get(resource)
        if self.course.state == "NoLink" and decisive is None:
            return self.course.of_link() or self.course.occasion
        decisive = decisive or self._last
        if decisive is None or decisive in self.course.asked:
            return self.course.asked or self.course.occasion
        return (decisive,)

    def replied(self, event: Event) -> Said:
        """A server has answered. What it says when it was asked in due time comes from outside."""
        self._answer = Said(event, (self.course.asked[-1:] or self.course.occasion) if self.course.occasion else ())
        return self._answer

    def said(self, output: outputs.Output, event: Event) -> Said:
        """The event of an output, with what led to it."""
        said = Said(event, self._because(output))
        self._follow(output, said)
        self._last = said
        before = self._decisive.get(event.resource)
        if before is None or _weight(said) >= _weight(before):
            self._decisive[event.resource] = said
        return said

    def _because(self, output: outputs.Output) -> tuple[Cause, ...]:
        answer = () if self._answer is None else (self._answer,)
        match output:
            case outputs.Send():
                return self.course.occasion
            case outputs.Advertised():
                return self.course.asked[-1:] or self.course.occasion
            case outputs.Extended(binding) | outputs.Changed(binding) if not self.course.occasion:
                known = self._leases.get(binding.association)
                return answer if known is None else (*answer, known)  # in due time: that there is a lease comes first
            case outputs.Refusal(association=about):
                first = self._refused.get(about)
                return self.course.of_cable() if first is None else (first,)
            case outputs.Lost(about, _, reason):
                return self._of_loss(about, reason)
            case outputs.Deprecated():
                return answer or self.course.asked or self._of_sleep() or self.course.occasion
            case outputs.Failed() if self._trouble is not None and not self.course.asked:
                return (self._trouble,)
            case outputs.Failed():
                return self.course.asked or self.course.occasion
        return answer or self.course.occasion

    def _of_loss(self, about: Association, reason: outputs.LossReason) -> tuple[Cause, ...]:
        match reason:
            case "released" | "stopped" | "flushed":
                commands = (self.course.command(name) for name in ("release", "stop", "flush"))
                return (next((one for one in commands if one), 0) or self.course.began(),)
            case "unwanted":
                return (self.course.began(),)
            case "link-changed" | "link-gone":
                return self.course.of_link()
            case "conflict":
                return ()
            case "expired" if self.course.state == "NoLink":
                return self.course.of_link() or self.course.occasion
            case "expired" if not self.course.asked:
                return self._of_sleep() or self.course.occasion
            case "expired":
                return self.course.asked
        if (refused := self._refused.get(about)) is not None:
            return (refused,)
        if self._answer is not None:
            return (self._answer,)
        return (self._trouble,) if self._trouble is not None else self.course.asked or self.course.occasion

    def _follow(self, output: outputs.Output, said: Said) -> None:
        match output:
            case outputs.Send(message) if message.type not in GOODBYES:
                self.course.ask(said)
            case outputs.Advertised():
                self.course.occasion = (said,)
            case outputs.Bound(binding) | outputs.Resumed(binding):
                self._leases[binding.association], self.course.asked, self._trouble = said, (), None
                self._refused.pop(binding.association, None)
                self._granted[said.event.resource] = said
            case outputs.Extended(binding) | outputs.Changed(binding):
                self.course.asked, self._trouble = (), None
                self._refused.pop(binding.association, None)
            case outputs.Informed():
                self.course.asked = ()
            case outputs.Refusal(association=about):
                self._trouble = said
                self._refused.setdefault(about, said)
                self.course.occasion = (said,)
            case outputs.Lost(about):
                self._leases.pop(about, None)
                self._granted.pop(said.event.resource, None)
                self.course.occasion = (said,)

    def _of_sleep(self) -> tuple[Cause, ...]:
        return self.course.of_sleep(max((said.id for said in self._leases.values()), default=0))

    # What the host and the configuration do beside

    def of_address(self, ref: Ref, index: int, ip: str) -> tuple[Cause, ...]:
        """Why the address of this resource is, or is not, on the interface."""
        known = self.course.incidents.last(incidents.address(index, ip))
        granted = self._granted.get(ref)
        return (known,) if known else self.course.occasion if granted is None else (granted,)


def _weight(said: Said) -> int:
    """Of what is said in one step: the end of a lease decides, then what becomes of a lease, then anything else."""
    _, about, word = said.event.topic.rsplit(".", 2)
    if word in ("expired", "lost", "released"):
        return 2
    return 1 if about in ("prefix", "address") or word == "refused" else 0
