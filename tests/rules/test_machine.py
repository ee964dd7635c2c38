"""What all rules have in common: correlation, templates, the limit on the rate, and a memory that outlives them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from routerd.events.types import Event, StoredEvent
from routerd.protocols.machine import Dropped, Start, Stop, Tick
from routerd.rules import machine as machine_module
from routerd.rules.machine import UNCORRELATED, Fired, Forgotten, Held, Memory, RuleMachine, Seen, Suppressed
from routerd.shapes.convert import from_wire
from routerd.shapes.invalid import Problems
from tests.protocols.timeline import Timeline, of, only, snapshot
from tests.rules.saying import Story, event, inputs, rule


@pytest.mark.parametrize(
    ("by", "key"),
    [
        ("attributes.port", "80"),
        ("attributes.a.b", "x"),
        ("attributes.resource.name", "wan"),  # as an event shows it on the wire
        ("attributes.resource.kind", "DHCPv4Client"),
        ("resource.name", "wan"),
        ("resource.kind", "DHCPv4Client"),
        ("resource.apiVersion", "net.routerd.net/v1alpha1"),
        ("daemon.instance", "wan"),
        ("daemon.kind", "routerd-dhcpv4-client"),
        (None, UNCORRELATED),
    ],
)
def test_correlation(by: str | None, key: str) -> None:
    fields: dict[str, Any] = {"correlate_by": by} if by else {}
    story = Story(rule("any_of", "a", **fields))
    (fired,) = story.tell(0, "a", port="80", **{"a.b": "x"})
    assert (fired.correlation, fired.attributes["correlation"]) == (key, key)


@pytest.mark.parametrize("by", ["attributes.none", "attributes.empty", "resource.name", "daemon.instance"])
def test_an_event_without_correlation_is_passed_over_unless_allowed(by: str) -> None:
    stored = StoredEvent(7, 0, Event("a", attributes={"empty": ""}))
    machine = RuleMachine(rule("count", "a", threshold=2, correlate_by=by))
    before = snapshot(machine)
    assert machine.handle(Seen(stored), 5.0) == [Dropped("no-correlation", stored)]
    assert snapshot(machine) == before
    tolerant = RuleMachine(rule("any_of", "a", correlate_by=by, allow_missing_correlation=True))
    assert only(Fired, tolerant.handle(Seen(stored), 5.0)).correlation == ""


def test_other_topics_change_nothing() -> None:
    machine = RuleMachine(rule("absence", trigger="a", expected="b"))
    machine.handle(Seen(StoredEvent(1, 0, event("a"))), 5.0)
    before = snapshot(machine)
    stored = StoredEvent(2, 0, event("c"))
    assert machine.handle(Seen(stored), 6.0) == [Dropped("other-topic", stored)]
    assert machine.handle(Start(), 6.0) == machine.handle(Stop(), 6.0) == machine.handle(Tick(), 6.0) == []
    assert snapshot(machine) == before


def test_only_so_many_keys_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_module, "MOST_KEYS", 3)
    story = Story(rule("count", "a", threshold=2, correlate_by="resource.name"))
    for name in ("k1", "k2", "k3"):
        assert story.tell(0, "a", name) == []
    assert inputs(story.tell(1, "a", "k1")) == [(1, 4)]
    assert story.tell(2, "a", "k1") == []
    assert story.tell(3, "a", "k4") == [Forgotten("k2")]  # Not k1, which was touched since.
    assert inputs(story.tell(4, "a", "k3")) == [(3, 7)]


def test_a_key_without_meaning_is_no_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_module, "MOST_KEYS", 1)
    for fields in (
        {"operator": "window", "topic": "a", "threshold": 2},
        {"operator": "all_of", "topics": ["a", "b"], "window": "1m"},
        {"operator": "sequence", "topics": ["a", "b"], "window": "1m"},
        {"operator": "throttle", "topic": "a"},
    ):
        story = Story(rule(**fields, correlate_by="resource.name"))
        story.tell(0, "a", "k1")
        assert of(Forgotten, story.tell(30, "a", "k2")) == [Forgotten("k1")]
        assert of(Forgotten, story.tell(91, "a", "k3")) == []


def test_templates() -> None:
    templates = {
        "what": "${event.type} of ${resource.kind}/${resource.name} (${resource.apiVersion})",
        "how": "${correlation} ${count}x ${attributes.a.b}${attributes.none}!",
        "plain": "$5 {x} $",
    }
    story = Story(rule("count", "a.*", threshold=2, attributes=templates))
    story.tell(0, "a.1", **{"a.b": "old"})
    (fired,) = story.tell(1, "a.2", "lte", **{"a.b": "${count}"})
    assert fired.attributes == {
        "what": "a.2 of DHCPv4Client/lte (net.routerd.net/v1alpha1)",
        "how": "default 2x ${count}!",  # What an event says is not looked at for variables.
        "plain": "$5 {x} $",
        "correlation": "default",
    }
    machine = RuleMachine(rule("any_of", "a", attributes={"x": "<${resource.name}>"}))
    assert only(Fired, machine.handle(Seen(StoredEvent(1, 0, Event("a"))), 0.0)).attributes["x"] == "<>"


def test_the_templates_of_a_timer_are_those_of_the_event_that_began_it() -> None:
    attributes = {"x": "${attributes.x}", "c": "${correlation}"}
    story = Story(rule("absence", trigger="a", expected="b", correlate_by="resource.name", attributes=attributes))
    story.tell(0, "a", "wan", x="1")
    story.tell(1, "a", "wan", x="2")
    story.tell(2, "b", "lte")
    story.tells()
    assert [said.output.attributes for said in story.timeline.said] == [{"x": "2", "c": "wan", "correlation": "wan"}]


def test_the_rate_is_limited() -> None:
    story = Story(rule("any_of", "a", rate=2, interval="10s"))
    assert story.tells(*((at, "a") for at in (0, 1, 2, 9.9, 10, 10.5, 11))) == [(1,), (2,), (5,), (7,)]
    assert len(story.timeline.all(Suppressed)) == 3
    by_key = Story(rule("any_of", "a", rate=1, correlate_by="resource.name"))
    assert by_key.tells((0, "a", "wan"), (1, "a", "lte"), (60, "a", "lte")) == [(1,), (3,)]  # of the rule, not the key


def test_the_rate_of_timers_counts_from_when_they_were_due() -> None:
    late = RuleMachine(rule("debounce", "a", quiet="1s", correlate_by="resource.name", rate=1, interval="10s"))
    assert late.handle(Seen(StoredEvent(1, 0, event("a", "k1"))), 0.0) == []
    assert only(Fired, late.handle(Seen(StoredEvent(2, 0, event("a", "k2"))), 10.0)).at == 1.0
    assert only(Fired, late.handle(Tick(), 500.0)).at == 11.0


OPERATORS: list[dict[str, Any]] = [
    {"operator": "all_of", "topics": ["a", "b", "c"]},
    {"operator": "any_of", "topics": ["a"], "rate": 3},
    {"operator": "sequence", "topics": ["a", "b", "c"], "window": "1m"},
    {"operator": "window", "topic": "*", "threshold": 5},
    {"operator": "absence", "trigger": "a", "expected": "b", "duration": "9s"},
    {"operator": "throttle", "topic": "*"},
    {"operator": "debounce", "topic": "*", "quiet": "7s"},
    {"operator": "count", "topic": "*", "threshold": 4},
]


def spell(number: int) -> tuple[float, str, str]:
    """Something that happens: when, topic, name."""
    return number * 3.7, "abc"[number * 7 % 5 % 3], "wan" if number % 3 else "lte"


@pytest.mark.parametrize("pattern", OPERATORS, ids=lambda pattern: pattern["operator"])
def test_a_machine_that_is_restarted_at_every_event_says_the_same(pattern: dict[str, Any]) -> None:
    spec = rule(**pattern, correlate_by="resource.name", attributes={"x": "${attributes.at} ${count}"})
    whole, halting = RuleMachine(spec), RuleMachine(spec)
    said: list[Any] = []
    for number in range(60):
        at, topic, name = spell(number)
        seen = Seen(StoredEvent(number + 1, 0, event(topic, name, at=str(at))))
        memory = from_wire(Memory, orjson.loads(orjson.dumps(halting.memory)))
        halting = RuleMachine(spec, memory)
        outputs = whole.handle(seen, at)
        assert halting.handle(seen, at) == outputs
        assert halting.deadline == whole.deadline
        said += outputs
    assert of(Fired, said)


@pytest.mark.parametrize("state", [None, 7, "x", [], {}, {"places": 1}, {"until": "soon"}, {"ways": [1]}])
def test_a_memory_of_nonsense_is_refused(state: Any) -> None:
    for pattern in OPERATORS:
        if (pattern["operator"], state) != ("any_of", {}):
            with pytest.raises(Problems):
                RuleMachine(rule(**pattern), Memory(keys=(Held("default", state),)))


def test_a_late_tick_tells_what_was_due_in_order() -> None:
    spec = rule("absence", trigger="a", duration="10s", correlate_by="resource.name")
    timeline = Timeline(RuleMachine(spec))
    for number, name in enumerate(("k1", "k2", "k3", "k1")):
        timeline.feed(Seen(StoredEvent(number, 0, event("a", name))))
        timeline.now += 1
    outputs = timeline.sleep(1000)
    assert [(output.correlation, output.at - 1000) for output in outputs] == [("k2", 11), ("k3", 12), ("k1", 13)]
    assert timeline.machine.deadline is None
