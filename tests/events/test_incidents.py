"""Which event told of a thing last, and whether something was done about it since."""

from __future__ import annotations

import pytest

from routerd.events import incidents
from routerd.events.incidents import Incidents, address, link, route


def test_the_last_event_of_each_thing() -> None:
    known = Incidents()
    known.happened(link("eth0"), 3)
    known.happened(link("eth0"), 5)
    known.happened(address(1, "192.0.2.1"), 4)
    assert [known.last(thing) for thing in (link("eth0"), link("eth1"), address(1, "192.0.2.1"))] == [5, 0, 4]


def test_what_was_done_about_it_settles_it_but_not_what_came_meanwhile() -> None:
    known, thing = Incidents(), route("0.0.0.0/0", 100)
    known.settle(thing, 0)
    known.happened(thing, 3)
    assert known.open(thing) == 3
    known.happened(thing, 5)
    known.settle(thing, 3)
    assert known.open(thing) == 5, "it was taken again while it was put back"
    known.settle(thing, 5)
    assert (known.open(thing), known.last(thing)) == (0, 5)
    known.happened(thing, 6)
    assert known.open(thing) == 6


def test_it_remembers_so_many_things_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incidents, "REMEMBERED", 3)
    known = Incidents()
    for number in range(1, 10):
        known.happened(link("eth0"), number)
        known.happened(link(f"eth{number}"), number)
        known.settle(link(f"eth{number}"), number)
    assert [known.last(link(f"eth{n}")) for n in (0, 7, 8, 9)] == [9, 0, 8, 9], "what is heard of stays"
