"""What led to what in the life of a DHCPv6 client: the causes of everything that it says, so that `why` can go from a
phase back to its root. Nothing is decided and nothing is said here.

As with DHCPv4 the root of an outage is what came from outside: a carrier that went, a server that refuses or is silent
(the messages that it did not answer), somebody's command. That a timer ran out is nobody's effect.
"""

from __future__ import annotations

from collections.abc import Callable

from routerd.daemons.scribe import Cause, Said
from routerd.events import incidents
from routerd.events.incidents import SLEEP, Incidents
from routerd.events.types import Event, Ref
from routerd.protocols.dhcpv6 import outputs
from routerd.protocols.dhcpv6.association import Association
from routerd.protocols.dhcpv6.message import MessageType

UNANSWERED = 64
"""Messages of one exchange that are named when nobody answers them: the first, and the last."""

BY_COMMAND = {
    "Renewing": ("renew",),
    "Rebinding": ("rebind",),
    "Informing": ("info-request",),
    "Soliciting": ("flush",),
    "Releasing": ("release", "stop"),
    "Stopped": ("stop", "release"),
}
"""States, and the commands that lead there."""

GOODBYES = (MessageType.RELEASE, MessageType.DECLINE)


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
        self._answer: Said | None = None
        self._trouble: Said | None = None
        self._refused: dict[Association | None, Said] = {}
        self._granted: dict[Ref | None, Said] = {}
        self._leases: dict[Association, Said] = {}
        self._decisive: dict[Ref | None, Said] = {}
        self._last: Said | None = None

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
        self._decisive, self._last, self._answer = {}, None, None

    def of_step(self, resource: Ref) -> tuple[Cause, ...]:
        """What made the status of a resource what it is after the step."""
        decisive = self._decisive.get(resource)
        if self._state == "NoLink" and decisive is None:
            return self._link_cause() or self._occasion
        decisive = decisive or self._last
        if decisive is None or decisive in self._asked:
            return tuple(self._asked) or self._occasion
        return (decisive,)

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
        if state not in ("Bound", "Informed"):
            self._asked = []

    def replied(self, event: Event) -> Said:
        """A server has answered. What it says when it was asked in due time comes from outside."""
        self._answer = Said(event, (tuple(self._asked[-1:]) or self._occasion) if self._occasion else ())
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
                return self._occasion
            case outputs.Advertised():
                return tuple(self._asked[-1:]) or self._occasion
            case outputs.Extended(binding) | outputs.Changed(binding) if not self._occasion:
                known = self._leases.get(binding.association)
                return answer if known is None else (*answer, known)  # in due time: that there is a lease comes first
            case outputs.Refusal(association=about):
                first = self._refused.get(about)
                return self._by_link() if first is None else (first,)
            case outputs.Lost(about, _, reason):
                return self._of_loss(about, reason)
            case outputs.Deprecated():
                return answer or tuple(self._asked) or self._slept() or self._occasion
            case outputs.Failed() if self._trouble is not None and not self._asked:
                return (self._trouble,)
            case outputs.Failed():
                return tuple(self._asked) or self._occasion
        return answer or self._occasion

    def _of_loss(self, about: Association, reason: outputs.LossReason) -> tuple[Cause, ...]:
        match reason:
            case "released" | "stopped" | "flushed":
                commands = (self._command(name) for name in ("release", "stop", "flush"))
                return (next((one for one in commands if one), 0) or self._began(),)
            case "unwanted":
                return (self._began(),)
            case "link-changed" | "link-gone":
                return self._link_cause()
            case "conflict":
                return ()
            case "expired" if self._state == "NoLink":
                return self._link_cause() or self._occasion
            case "expired" if not self._asked:
                return self._slept() or self._occasion
            case "expired":
                return tuple(self._asked)
        if (refused := self._refused.get(about)) is not None:
            return (refused,)
        if self._answer is not None:
            return (self._answer,)
        return (self._trouble,) if self._trouble is not None else tuple(self._asked) or self._occasion

    def _follow(self, output: outputs.Output, said: Said) -> None:
        match output:
            case outputs.Send(message) if message.type not in GOODBYES:
                self._asked = [*self._asked[:1], *self._asked[1:][2 - UNANSWERED :], said]
            case outputs.Advertised():
                self._occasion = (said,)
            case outputs.Bound(binding) | outputs.Resumed(binding):
                self._leases[binding.association], self._asked, self._trouble = said, [], None
                self._refused.pop(binding.association, None)
                self._granted[said.event.resource] = said
            case outputs.Extended(binding) | outputs.Changed(binding):
                self._asked, self._trouble = [], None
                self._refused.pop(binding.association, None)
            case outputs.Informed():
                self._asked = []
            case outputs.Refusal(association=about):
                self._trouble = said
                self._refused.setdefault(about, said)
                self._occasion = (said,)
            case outputs.Lost(about):
                self._leases.pop(about, None)
                self._granted.pop(said.event.resource, None)
                self._occasion = (said,)

    def _link_cause(self, after: int = 0) -> tuple[Cause, ...]:
        link = self._incidents.last(self._link)
        return (link,) if link > after else ()

    def _by_link(self) -> tuple[Cause, ...]:
        """The present occasion, if that is the link: then a cable leads to another network."""
        return self._occasion if self._occasion == (self._link_seen,) else ()

    def _slept(self) -> tuple[Cause, ...]:
        """A lease that ended without a word on the line."""
        sleep, known = self._incidents.last(SLEEP), max((said.id for said in self._leases.values()), default=0)
        return (sleep,) if known and sleep > known else ()

    # What the host and the configuration do beside

    def of_address(self, ref: Ref, index: int, ip: str) -> tuple[Cause, ...]:
        """Why the address of this resource is, or is not, on the interface."""
        known = self._incidents.last(incidents.address(index, ip))
        granted = self._granted.get(ref)
        return (known,) if known else self._occasion if granted is None else (granted,)

    def of_generation(self) -> tuple[Cause, ...]:
        """Another generation is in force."""
        return (self._began(),)


def _weight(said: Said) -> int:
    """Of what is said in one step: the end of a lease decides, then what becomes of a lease, then anything else."""
    _, about, word = said.event.topic.rsplit(".", 2)
    if word in ("expired", "lost", "released"):
        return 2
    return 1 if about in ("prefix", "address") or word == "refused" else 0
