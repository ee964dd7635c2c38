"""From an event back to its root, whatever the graph looks like."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.events.chain import Cause, build, is_alarm, wanted
from routerd.events.types import Event, Ref, Source, StoredEvent
from tests.events.saying import WAN

ALARM = Source("routerd-eventrule-flap", "routerd-eventrule", "flap")
RULE = Ref("EventRule", "flap", "observability.routerd.net/v1alpha1")


def history(*lines: tuple[int, str, tuple[int, ...]]) -> dict[int, StoredEvent]:
    """Events by id: their id, topic, causes."""
    return {number: stored(number, topic, causes) for number, topic, causes in lines}


def stored(number: int, topic: str, causes: tuple[int, ...], resource: Ref = WAN) -> StoredEvent:
    source = ALARM if topic.startswith("alarm") else None
    event = Event(topic, causes=causes, resource=RULE if source else resource, source=source)
    return StoredEvent(number, number * 10**9, event)


def words(cause: Cause, indent: str = "") -> list[str]:
    """The tree as text."""
    marks = [f"×{len(cause.alike)}"] if cause.alike else []
    marks += ["root"] if cause.root else []
    marks += [f"{cause.missing} missing"] if cause.missing else []
    marks += ["again"] if cause.again else []
    line = " ".join([indent + cause.event.event.topic, *marks])
    return [line, *(below for one in cause.causes for below in words(one, indent + "  "))]


def told(start: int, *lines: tuple[int, str, tuple[int, ...]]) -> list[str]:
    return words(build(start, history(*lines)).top)


def test_an_event_without_causes_is_its_own_root() -> None:
    assert told(1, (1, "link.down", ())) == ["link.down root"]


def test_a_lease_that_ran_out_because_nobody_answered() -> None:
    assert told(
        9,
        (1, "lease.bound", ()),
        (2, "renew.sent", ()),
        (3, "renew.sent", ()),
        (5, "rebind.sent", (2, 3)),
        (6, "rebind.sent", (2, 3)),
        (7, "rebind.sent", (2, 3)),
        (8, "lease.expired", (5, 6, 7)),
        (9, "status.changed", (8,)),
    ) == ["status.changed", "  lease.expired", "    rebind.sent ×3", "      renew.sent ×2 root"]


def test_the_deepest_of_several_ends_is_the_root() -> None:
    lines = (
        (1, "link.down", ()),
        (2, "link.up", (1,)),
        (3, "applied", ()),
        (4, "request.sent", (2,)),
        (5, "request.sent", (2,)),
        (6, "lease.lost", (3, 4, 5)),
    )
    assert told(6, *lines) == ["lease.lost", "  request.sent ×2", "    link.up", "      link.down root", "  applied"]


def test_of_two_equally_deep_the_oldest_is_the_root() -> None:
    assert told(3, (1, "a", ()), (2, "b", ()), (3, "c", (2, 1))) == ["c", "  a root", "  b"]


def test_what_is_alike_but_has_other_causes_is_told_apart() -> None:
    assert told(4, (1, "a", ()), (2, "sent", ()), (3, "sent", (1,)), (4, "c", (2, 3))) == [
        *("c", "  sent", "    a root", "  sent")
    ]


def test_what_leads_there_by_two_ways_is_told_once() -> None:
    lines = ((1, "nak", ()), (2, "asked", (1,)), (3, "lost", (2,)), (4, "failed", (2,)), (5, "changed", (3, 4)))
    assert told(5, *lines) == ["changed", "  lost", "    asked", "      nak root", "  failed", "    asked again"]


def test_causes_that_the_log_has_no_more_are_counted() -> None:
    assert told(9, (8, "b", (1, 2)), (9, "c", (8, 3))) == ["c 1 missing", "  b root 2 missing"]


@pytest.mark.parametrize("causes", [(5,), (6,), (5, 6, 7)])
def test_what_cannot_be_is_no_cause(causes: tuple[int, ...]) -> None:
    """An event is not its own cause, nor is a later one: such a graph would have no end."""
    assert told(5, (5, "a", causes), (6, "b", (5,))) == [f"a root {len(causes)} missing"]


def test_alarms_are_no_causes_but_are_named() -> None:
    chain = build(
        4, history((1, "link.down", ()), (2, "alarm.raised", (1,)), (3, "alarm.raised", (2,)), (4, "c", (3,)))
    )
    assert words(chain.top) == ["c", "  link.down root"]
    assert chain.alarms == {RULE}
    assert chain.root == {1}


@pytest.mark.parametrize(
    ("event", "alarm"),
    [
        (Event("site.wan.lost", source=ALARM), True),
        (Event("routerd.resource.status.changed", resource=RULE), True),
        (Event("routerd.resource.status.changed", resource=WAN), False),
        (Event("routerd.process.log"), False),
    ],
)
def test_what_a_rule_says_and_what_is_said_of_one_is_an_alarm(event: Event, alarm: bool) -> None:
    assert is_alarm(StoredEvent(1, 0, event)) is alarm


def test_an_alarm_itself_can_be_explained() -> None:
    assert told(2, (1, "link.down", ()), (2, "alarm.raised", (1,))) == ["alarm.raised", "  link.down root"]


def test_what_has_to_be_fetched() -> None:
    events = history((5, "a", (1, 2, 5, 9, 0, -1)), (4, "b", (2, 3)))
    assert wanted(events.values(), {2}) == {1, 3}


# Any graph at all


def tree(cause: Cause) -> Iterator[Cause]:
    yield cause
    for one in cause.causes:
        yield from tree(one)


NUMBERS = st.integers(1, 12)
GRAPHS = st.dictionaries(
    NUMBERS,
    st.tuples(st.sampled_from(["a", "b", "alarm.x"]), st.lists(st.integers(-2, 15), max_size=5)),
    min_size=1,
)


@given(GRAPHS, st.randoms(use_true_random=False))
def test_every_graph_has_one_tree_with_one_root(graph: dict[int, tuple[str, list[int]]], rng: random.Random) -> None:
    lines = [(number, topic, tuple(causes)) for number, (topic, causes) in graph.items()]
    start = max(graph)
    chain = build(start, history(*lines))
    told = list(tree(chain.top))
    assert len([one for one in told if one.root]) == 1
    [root] = [one for one in told if one.root]
    assert root.causes == ()
    assert chain.root == {one.id for one in root.alike or (root.event,)}
    expanded = [one.event.id for one in told if not one.again and (one.causes or one.root)]
    assert len(expanded) == len(set(expanded)), "nothing is told twice"
    assert all(below.event.id < one.event.id for one in told for below in one.causes)
    rng.shuffle(lines)
    assert build(start, history(*lines)) == chain, "the order in which they were read does not matter"


def test_a_long_history_is_no_trouble() -> None:
    lines = [(n, "a" if n % 2 else "b", (n - 1,) if n > 1 else ()) for n in range(1, 301)]
    assert told(300, *lines)[-1].strip() == "a root"
