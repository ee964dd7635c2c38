"""What a DHCP client of either version is about at present: in which state, for what occasion, and what it has asked
without an answer so far. The causes of what it says are made of that (`dhcpv4_causes`, `dhcpv6_causes`).

The root of an outage is what came from outside: a carrier that went, a server that refuses or is silent (the messages
that it did not answer), somebody's command. That a timer ran out is nobody's effect.
"""

from __future__ import annotations

from collections.abc import Callable

from routerd.daemons.scribe import Cause, Said
from routerd.events import incidents
from routerd.events.incidents import SLEEP, Incidents
from routerd.events.types import Event

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

ANSWERED = ("Bound", "Probing", "Informed")
"""States that end no question: an answer has led there."""


class Course:
    """Of one run. `began` has the id of the event for which it runs at all, `command` that of a command under way (0:
    none)."""

    def __init__(self, ifname: str, known: Incidents, began: Callable[[], int], command: Callable[[str], int]) -> None:
        self.incidents = known
        self.began = began
        self.command = command
        self.occasion: tuple[Cause, ...] = ()
        self.state = "Stopped"
        self.asked: tuple[Said, ...] = ()
        self._link = incidents.link(ifname)
        self._link_seen = 0

    def started(self, event: Event) -> Said:
        """The run begins."""
        return self._begun(Said(event, (self.began(),)))

    def ready(self, event: Event) -> Said:
        """There is an interface, and the machine is about to start."""
        return self._begun(Said(event, self.of_link(self._link_seen) or self.occasion))

    def _begun(self, said: Said) -> Said:
        self.occasion, self._link_seen = (said,), self.incidents.last(self._link)
        return said

    def around(self, event: Event) -> Said:
        """What is said before the machine has begun."""
        return Said(event, self.occasion)

    def entered(self, state: str) -> None:
        """The machine is in another state: another exchange, for another reason."""
        previous, self.state = self.state, state
        command = next((one for name in BY_COMMAND.get(state, ()) if (one := self.command(name))), 0)
        link = self.incidents.last(self._link)
        if command:
            self.occasion = (command,)
        elif previous == "Stopped" and (start := self.command("start")):
            self.occasion = (start,)
        elif state == "Renewing":
            self.occasion = ()  # T1
        elif state == "Rebinding":
            self.occasion = self.asked  # in vain
        elif link > self._link_seen:
            self.occasion = (link,)
        self._link_seen = max(link, self._link_seen)
        if state not in ANSWERED:
            self.asked = ()

    def ask(self, said: Said) -> None:
        """One message more that waits for an answer."""
        self.asked = (*self.asked[:1], *self.asked[1:][2 - UNANSWERED :], said)

    # Why something is as it is

    def of_waiting(self) -> tuple[Cause, ...]:
        """There is no interface to work on."""
        return self.of_link() or self.occasion

    def of_link(self, after: int = 0) -> tuple[Cause, ...]:
        """What happened to the link last, if that was after this event."""
        link = self.incidents.last(self._link)
        return (link,) if link > after else ()

    def of_cable(self) -> tuple[Cause, ...]:
        """The present occasion, if that is the link: then a cable leads to another network."""
        return self.occasion if self.occasion == (self._link_seen,) else ()

    def of_sleep(self, since: int) -> tuple[Cause, ...]:
        """We slept after this event (0: there was none): a lease has ended without a word on the line."""
        sleep = self.incidents.last(SLEEP)
        return (sleep,) if since and sleep > since else ()

    def of_generation(self) -> tuple[Cause, ...]:
        """Another generation is in force."""
        return (self.began(),)
