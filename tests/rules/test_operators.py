"""Each operator as a timeline: when it fires and by which events, and when it does not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rules.saying import Story, rule

Told = tuple[float, str]


@pytest.mark.parametrize(
    ("topics", "fields", "events", "fired"),
    [
        (("a", "b"), {}, [(0, "a")], []),
        (("a", "b"), {}, [(0, "a"), (1, "a"), (2, "a")], []),
        (("a", "b"), {}, [(0, "a"), (1, "b")], [(1, 2)]),
        (("a", "b"), {}, [(0, "b"), (9e4, "a")], [(1, 2)]),
        (("a", "b"), {}, [(0, "a"), (1, "a"), (2, "b")], [(2, 3)]),  # the newest of each
        (("a", "b"), {}, [(0, "a"), (1, "b"), (2, "b"), (3, "b")], [(1, 2)]),  # it begins again
        (("a", "b"), {}, [(0, "a"), (1, "b"), (2, "b"), (3, "a")], [(1, 2), (3, 4)]),
        (("a", "b"), {}, [(0, "c"), (1, "a.b"), (2, "b")], []),
        (("x.*", "*.y"), {}, [(0, "x.y")], [(1,)]),  # globs, and one event for both
        (("x.*", "y.**"), {}, [(0, "x.1"), (1, "y")], [(1, 2)]),
        (("a", "b"), {"window": "10s"}, [(0, "a"), (10, "b")], [(1, 2)]),
        (("a", "b"), {"window": "10s"}, [(0, "a"), (10.001, "b")], []),
        (("a", "b"), {"duration": "10s"}, [(0, "a"), (11, "b"), (12, "a")], [(2, 3)]),
        (("a", "b", "c"), {"window": "10s"}, [(0, "a"), (5, "b"), (11, "c"), (12, "a")], [(2, 3, 4)]),
    ],
)
def test_all_of(topics: tuple[str, ...], fields: dict[str, Any], events: list[Told], fired: list[Any]) -> None:
    assert Story(rule("all_of", *topics, **fields)).tells(*events) == fired


def test_any_of() -> None:
    story = Story(rule("any_of", "a.*", topic="b", trigger="c.**"))
    assert story.tells((0, "a.x"), (1, "a"), (1, "a.x.y"), (2, "b"), (3, "c"), (4, "d")) == [(1,), (4,), (5,)]


@pytest.mark.parametrize(
    ("fields", "events", "fired"),
    [
        ({}, [(0, "a"), (1, "b"), (2, "c")], [(1, 2, 3)]),
        ({}, [(0, "a"), (1, "c"), (2, "b")], []),
        ({}, [(0, "b"), (1, "c"), (2, "a")], []),
        ({}, [(0, "a"), (1, "a"), (2, "b"), (3, "a"), (4, "c")], [(2, 3, 5)]),  # the way that began last
        ({}, [(0, "a"), (1, "b"), (2, "a"), (3, "c"), (4, "b"), (5, "c")], [(1, 2, 4)]),  # it begins again
        ({}, [(0, "a"), (1, "z"), (2, "b"), (3, "z"), (4, "c")], [(1, 3, 5)]),
        ({"strict": True}, [(0, "a"), (1, "z"), (2, "b"), (3, "c")], [(1, 3, 4)]),  # not one of the topics
        ({"strict": True}, [(0, "a"), (1, "b"), (2, "b"), (3, "c")], []),
        ({"strict": True}, [(0, "a"), (1, "a"), (2, "b"), (3, "c")], [(2, 3, 4)]),  # it is the first one, too
        ({"strict": True}, [(0, "a"), (1, "c"), (2, "b"), (3, "c")], []),
        ({"window": "10s"}, [(0, "a"), (5, "b"), (10, "c")], [(1, 2, 3)]),
        ({"window": "10s"}, [(0, "a"), (5, "b"), (11, "c")], []),
        ({"window": "10s"}, [(0, "a"), (9, "a"), (10, "b"), (19, "c")], [(2, 3, 4)]),  # the first has run out
        ({"window": "10s"}, [(0, "a"), (5, "b"), (6, "a"), (12, "c"), (13, "b"), (14, "c")], [(3, 5, 6)]),
    ],
)
def test_sequence(fields: dict[str, Any], events: list[Told], fired: list[Any]) -> None:
    assert Story(rule("sequence", "a", "b", "c", **fields)).tells(*events) == fired


def test_an_event_is_one_step_of_a_sequence() -> None:
    assert Story(rule("sequence", "a.*", "a.x")).tells((0, "a.x"), (1, "a.x"), (2, "a.y"), (3, "a.x")) == [
        (1, 2),
        (3, 4),
    ]


@pytest.mark.parametrize(
    ("fields", "events", "fired"),
    [
        ({}, [(0, "a"), (1, "a")], [(1,), (2,)]),
        ({"threshold": 2}, [(0, "a"), (60, "a")], [(1, 2)]),
        ({"threshold": 2}, [(0, "a"), (60.001, "a"), (61, "a")], [(2, 3)]),
        ({"threshold": 3, "window": "10s"}, [(0, "a"), (8, "a"), (11, "a"), (12, "a")], [(2, 3, 4)]),
        ({"threshold": 2, "duration": "1s"}, [(0, "a"), (1, "a"), (1.5, "a"), (2, "b"), (2.5, "a")], [(1, 2), (3, 5)]),
        ({"threshold": 3, "window": "10s"}, [(at, "a") for at in (0, 0, 0, 0, 0)], [(1, 2, 3)]),  # then from nothing
    ],
)
def test_window(fields: dict[str, Any], events: list[Told], fired: list[Any]) -> None:
    assert Story(rule("window", "a", **fields)).tells(*events) == fired


@pytest.mark.parametrize(
    ("fields", "events", "fired", "times"),
    [
        ({"expected": "b"}, [(0, "a")], [(1,)], [60]),
        ({"expected": "b", "duration": "10s"}, [(0, "a"), (9, "b")], [], []),
        ({"expected": "b", "duration": "10s"}, [(0, "a"), (10, "b")], [(1,)], [10]),  # too late
        ({"expected": "b", "duration": "10s"}, [(0, "b"), (1, "a"), (30, "b")], [(2,)], [11]),
        ({"expected": "b", "duration": "10s"}, [(0, "a"), (9, "a"), (18, "a")], [(3,)], [28]),  # begun again
        ({"expected": "b", "duration": "10s"}, [(0, "a"), (50, "a"), (51, "b")], [(1,)], [10]),
        ({"duration": "10s"}, [(0, "a"), (9, "a"), (50, "b")], [(2,)], [19]),  # a heart that stops beating
        ({"expected": "a.ok", "trigger": "a.*"}, [(0, "a.1"), (1, "a.ok")], [], []),
    ],
)
def test_absence(fields: dict[str, Any], events: list[Told], fired: list[Any], times: list[float]) -> None:
    story = Story(rule("absence", **{"trigger": "a", **fields}))
    assert story.tells(*events) == fired
    assert story.times() == times


def test_throttle() -> None:
    story = Story(rule("throttle", "a", interval="10s", attributes={"n": "${count}"}))
    assert story.tells((0, "a"), (1, "a"), (9.9, "a"), (10, "a"), (30, "a")) == [(1,), (4,), (5,)]
    assert [said.output.attributes["n"] for said in story.timeline.said] == ["1", "3", "1"]


def test_debounce() -> None:
    story = Story(rule("debounce", "a", attributes={"n": "${count}", "who": "${attributes.x}"}))
    assert story.tells((0, "a"), (0.9, "a"), (1.8, "a"), (5, "a"), (6, "a")) == [(3,), (4,), (5,)]
    assert story.times() == [2.8, 6, 7]
    assert [said.output.attributes["n"] for said in story.timeline.said] == ["3", "1", "1"]


def test_count() -> None:
    story = Story(rule("count", "a", "b", threshold=3))
    events = [(0, "a"), (5, "b"), (7e4, "a"), (7e4, "c"), (8e4, "a"), (8e4, "a")]
    assert story.tells(*events) == [(1, 2, 3)]
    assert Story(rule("count", "a")).tells((0, "a"), (1, "a")) == [(1,), (2,)]


@pytest.mark.parametrize(
    ("operator", "fields"),
    [
        ("all_of", {"topics": ["a", "b"]}),
        ("sequence", {"topics": ["a", "b"]}),
        ("window", {"topic": "a", "threshold": 2}),
        ("count", {"topic": "a", "threshold": 2}),
    ],
)
def test_each_key_has_its_own_pattern(operator: str, fields: dict[str, Any]) -> None:
    second = "b" if "topics" in fields else "a"
    story = Story(rule(operator, correlate_by="resource.name", **fields))
    assert story.tells((0, "a", "wan"), (1, "a", "lte"), (2, second, "lte"), (3, second, "wan")) == [(2, 3), (1, 4)]


def test_each_key_has_its_own_time() -> None:
    story = Story(rule("absence", trigger="a", expected="b", duration="10s", correlate_by="daemon.instance"))
    assert story.tells((0, "a", "wan"), (1, "a", "lte"), (2, "b", "wan"), (3, "a", "dsl")) == [(2,), (4,)]
    assert [said.output.correlation for said in story.timeline.said] == ["lte", "dsl"]
    story = Story(rule("debounce", "a", correlate_by="attributes.port"))
    for at, port in ((0, "1"), (0.5, "2"), (0.9, "1")):
        story.tell(at, "a", port=port)
    assert story.tells() == [(2,), (3,)]
    story = Story(rule("throttle", "a", correlate_by="resource.name"))
    assert story.tells((0, "a", "wan"), (1, "a", "lte"), (2, "a", "wan")) == [(1,), (2,)]
