"""DerivedEvents as timelines, and what their inputs say."""

from __future__ import annotations

from typing import Any

import pytest

from routerd.events.types import Ref, StoredObject
from routerd.rules.derived import DerivedMachine, DerivedState, Observed, Turned, observed
from routerd.shapes.convert import from_wire, to_wire
from tests.protocols.timeline import Timeline
from tests.rules.saying import derived

A, B = ({"field": f"${{Interface/{name}.status.phase}}", "equals": "Up"} for name in "ab")


def told(truths: str, **spec: Any) -> tuple[str, str]:
    """What is said of two inputs, one look a second: `tf` is true and false. `A` asserted, `R` retracted, `.` nothing;
    and the phases."""
    timeline = Timeline(DerivedMachine(derived(A, B, **spec)))
    said, phases = "", ""
    for look in truths.split():
        ticked = timeline.run(1)
        said += "".join("A" if one.output.asserted else "R" for one in ticked)
        outputs = timeline.feed(Observed(tuple(letter == "t" for letter in look)))
        said += "".join("A" if output.asserted else "R" for output in outputs) or "."
        phases += timeline.machine.phase[0]
    return said, phases


@pytest.mark.parametrize(
    ("spec", "truths", "said", "phases"),
    [
        ({}, "ff tf tt tt tf ff tt", "..A.R.A", "IIAARRA"),
        ({"retractWhen": "all_false"}, "ff tt tf ft ff tf tt", ".A..R.A", "IAAARRA"),
        ({"emitWhen": "any_true"}, "ff tf tt ft ff ff", ".A..R.", "IAAARR"),
        ({}, "tt tt ff", "..R", "AAR"),  # how it began is not said
        ({"emitInitial": True}, "tt tt ff", "A.R", "AAR"),
        ({"emitInitial": True}, "tf tt", "RA", "IA"),
        ({"hysteresis": "2s"}, "ff tt tt tt ff ff ff tt", "...A...R..", "IPPAPPRP"),
        ({"hysteresis": "2500ms"}, "ff tt ff tt ff tt tt ff tt tt tt", "...........", "IPIPIPPIPPP"),
    ],
)
def test_edges(spec: dict[str, Any], truths: str, said: str, phases: str) -> None:
    assert told(truths, **spec) == (said, phases)


def test_hysteresis_is_kept_by_the_clock_alone() -> None:
    timeline = Timeline(DerivedMachine(derived(A, hysteresis="30s")))
    timeline.feed(Observed((False,)))
    timeline.feed(Observed((True,), (5,)))
    timeline.feed(Observed((True,), (6,)))
    assert timeline.run(29.9) == []
    (said,) = timeline.run(1)
    assert (said.at, said.output) == (1030, Turned(asserted=True, causes=(5,)))
    assert timeline.machine.deadline is None


def test_a_clock_that_is_set_back_does_not_keep_it_waiting() -> None:
    timeline = Timeline(DerivedMachine(derived(A, hysteresis="30s")))
    timeline.feed(Observed((False,)))
    timeline.feed(Observed((True,)))
    timeline.now = 5.0
    timeline.feed(Observed((True,)))
    assert timeline.machine.deadline == 35


def test_the_state_is_a_value() -> None:
    machine = DerivedMachine(derived(A, hysteresis="30s"))
    machine.handle(Observed((False,)), 1.0)
    machine.handle(Observed((True,), (5,)), 2.0)
    again = DerivedMachine(derived(A, hysteresis="30s"), from_wire(DerivedState, to_wire(machine.state)))
    assert (again.state, again.deadline, again.phase) == (machine.state, 32, "Pending")


STATUS = {"phase": "Up", "mtu": 1500, "ok": True, "none": [], "nested": {"a": ""}, "empty": None}


@pytest.mark.parametrize(
    ("field", "test", "holds"),
    [
        ("phase", {"equals": "Up"}, True),
        ("phase", {"equals": "Down"}, False),
        ("phase", {"not_empty": True}, True),
        ("phase", {"not_empty": False}, False),
        ("mtu", {"equals": 1500}, True),
        ("mtu", {"equals": 1500.0}, True),
        ("mtu", {"equals": "1500"}, False),
        ("ok", {"equals": True}, True),
        ("ok", {"equals": 1}, False),
        ("ok", {"equals": "true"}, False),
        ("none", {"not_empty": True}, False),
        ("none", {"not_empty": False}, True),
        ("nested.a", {"not_empty": True}, False),
        ("nested.a.b", {"not_empty": True}, False),
        ("phase.a", {"equals": "Up"}, False),
        ("empty", {"not_empty": True}, False),
        ("missing", {"not_empty": False}, True),
        ("missing", {"equals": "None"}, False),
    ],
)
def test_what_an_input_says(field: str, test: dict[str, Any], holds: bool) -> None:
    stored = StoredObject(Ref("Interface", "wan.1"), STATUS, 9, 0)
    spec = derived({"field": f"${{Interface/wan.1.status.{field}}}", **test})
    assert observed(spec, lambda kind, name: stored) == Observed((holds,), (9,))


def test_alternatives_and_things_that_are_not_there() -> None:
    up = {"field": "${Interface/a.status.phase}", "equals": "Up"}
    bound = {"field": "${DHCPv4Client/a.status.phase}", "equals": "Bound"}
    spec = derived({"any_of": [[up, bound], [{"field": "${Interface/b.status.phase}", "not_empty": True}]]})
    objects = {
        "Interface": StoredObject(Ref("Interface", "a"), {"phase": "Up"}, 4, 0),
        "DHCPv4Client": StoredObject(Ref("DHCPv4Client", "a"), {"phase": "Bound"}, 7, 0),
    }

    def look(kind: str, name: str) -> StoredObject | None:
        return objects.get(kind) if name == "a" else None

    assert observed(spec, look) == Observed((True,), (4, 7))
    del objects["DHCPv4Client"]
    assert observed(spec, look) == Observed((False,), (4,))
