"""Rules, and events for them to look at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from routerd.events.types import Event, Ref, Source, StoredEvent
from routerd.resources.derived import DerivedEvent
from routerd.resources.rules import EventRule
from routerd.rules.machine import Fired, RuleMachine, Seen
from routerd.shapes.convert import from_wire
from tests.protocols.timeline import Timeline

TOPIC = "home.alarm"


def rule(operator: str, *topics: str, attributes: dict[str, str] | None = None, **pattern: Any) -> EventRule:
    """A rule with this pattern, in the words of YAML."""
    wire = {"operator": operator, **({"topics": list(topics)} if topics else {}), **pattern}
    emit = {"topic": TOPIC, **({"attributes": attributes} if attributes else {})}
    return from_wire(EventRule, {"pattern": wire, "emit": emit})


def derived(*inputs: dict[str, Any], **spec: Any) -> DerivedEvent:
    """A DerivedEvent, in the words of YAML."""
    return from_wire(DerivedEvent, {"topic": "home.up", "inputs": list(inputs), **spec})


def event(topic: str, name: str = "wan", **attributes: str) -> Event:
    """Something that a client on `name` says."""
    source = Source(f"routerd-dhcpv4-client-{name}", "routerd-dhcpv4-client", name)
    return Event(topic, resource=Ref("DHCPv4Client", name), source=source, attributes=attributes)


class Story:
    """Events, numbered from 1, and what a rule says to them. `at` is when, in seconds after the beginning."""

    def __init__(self, rule: EventRule, **options: Any) -> None:
        self.timeline = Timeline(RuleMachine(rule, **options))
        self.began = self.timeline.now
        self.ids = 0

    def tell(self, at: float, topic: str, name: str = "wan", **attributes: str) -> list[Any]:
        """What is said up to this event and because of it."""
        before = len(self.timeline.said)
        self.timeline.run(at - (self.timeline.now - self.began))
        self.ids += 1
        self.timeline.feed(Seen(StoredEvent(self.ids, 0, event(topic, name, **attributes))))
        return [said.output for said in self.timeline.said[before:]]

    def tells(self, *events: tuple[float, str] | tuple[float, str, str], until: float = 1e5) -> list[tuple[int, ...]]:
        """The inputs of every firing, up to a time."""
        for at, topic, *name in events:
            self.tell(at, topic, *name)
        self.timeline.run(until - (self.timeline.now - self.began))
        return inputs(said.output for said in self.timeline.said)

    def times(self) -> list[float]:
        """When it fired."""
        return [round(output.at - self.began, 6) for output in self.timeline.all(Fired)]


def inputs(outputs: Iterable[Any]) -> list[tuple[int, ...]]:
    """Of every firing among outputs."""
    return [output.inputs for output in outputs if isinstance(output, Fired)]
