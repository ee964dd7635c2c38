"""Which event tells of the last thing that happened to a link, an address or a route, or of the host's sleep: by it an
effect finds its cause. In memory, for this life of routerd; the events themselves are in the log."""

from __future__ import annotations

from collections import OrderedDict

Thing = tuple[str | int, ...]

SLEEP: Thing = ("sleep",)
"""Of the host: what ran out meanwhile ran out without a word."""

REMEMBERED = 4096
"""Things of which something is known. What nothing was heard of for longest is forgotten."""


def link(name: str) -> Thing:
    """The link of this name, whichever it is at present."""
    return "link", name


def presence(name: str) -> Thing:
    """That there is a link of this name, or none."""
    return "presence", name


def address(index: int, ip: str) -> Thing:
    """An address on the link of this index, whatever the length of its prefix."""
    return "address", index, ip


def addresses(index: int) -> Thing:
    """All addresses of a link."""
    return "addresses", index


def route(destination: str, metric: int) -> Thing:
    """A place in the main table."""
    return "route", destination, metric


class Incidents:
    """By thing: the id of the event that told of it last. 0: none."""

    def __init__(self) -> None:
        self._last: OrderedDict[Thing, int] = OrderedDict()
        self._settled: dict[Thing, int] = {}

    def happened(self, thing: Thing, event_id: int) -> None:
        """This event tells of it."""
        self._last[thing] = event_id
        self._last.move_to_end(thing)
        while len(self._last) > REMEMBERED:
            forgotten, _ = self._last.popitem(last=False)
            self._settled.pop(forgotten, None)

    def last(self, thing: Thing) -> int:
        """What happened to it last."""
        return self._last.get(thing, 0)

    def open(self, thing: Thing) -> int:
        """The same, unless something was done about it since."""
        last = self.last(thing)
        return last if last > self._settled.get(thing, 0) else 0

    def settle(self, thing: Thing, event_id: int) -> None:
        """Something was done about it, by who knew of this event."""
        if thing in self._last:
            self._settled[thing] = event_id
