"""Conditions in three values: every clause, every combination against a naive oracle, and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.controllers.conditions import Look, Memory, Outcome, values_of
from routerd.events.types import Ref, Status
from routerd.resources.conditions import Dependency, StateMatch, When, state_key
from routerd.shapes.convert import from_wire

LAN, WAN, CLIENT = Ref("Interface", "lan"), Ref("Interface", "wan"), Ref("DHCPv4Client", "wan")
NOW = 1000.0
UNSAID = "it is not known yet what Interface/lan.phase is"


def look(objects: Mapping[Ref, Status], now: float = NOW, before: Memory | None = None) -> Look:
    return Look(objects, (), now, before or Memory())


def asked(condition: Mapping[str, Any], objects: Mapping[Ref, Status]) -> Outcome:
    return look(objects).when(from_wire(When, condition))


def lan(match: Mapping[str, Any], **status: Any) -> Outcome:
    """What comes of a clause about `phase` when Interface/lan says this."""
    return asked({"state": {"Interface/lan.phase": match}}, {LAN: status})


# One clause


@pytest.mark.parametrize(
    ("match", "status", "holds", "words"),
    [
        ({"exists": True}, {"phase": "Up"}, True, ""),
        ({"exists": True}, {}, False, "Interface/lan.phase has no value"),
        ({"exists": False}, {"phase": ""}, True, ""),
        ({"exists": False}, {"phase": "Up"}, False, 'Interface/lan.phase is "Up"'),
        ({"equals": "Up"}, {"phase": "Up"}, True, ""),
        ({"equals": "Up"}, {"phase": "Down"}, False, 'Interface/lan.phase is "Down", not "Up"'),
        ({"equals": "Up"}, {}, False, 'Interface/lan.phase has no value, not "Up"'),
        ({"in": ["Up", "Applied"]}, {"phase": "Applied"}, True, ""),
        (
            {"in": ["Up", "Applied"]},
            {"phase": "Down"},
            False,
            'Interface/lan.phase is "Down", none of "Up", "Applied"',
        ),
        ({"contains": "ow"}, {"phase": "Down"}, True, ""),
        ({"contains": "ow"}, {"phase": "Up"}, False, 'Interface/lan.phase is "Up", without "ow"'),
        ({"status": "set"}, {"phase": "Up"}, True, ""),
        ({"status": "set"}, {}, False, "Interface/lan.phase has no value, not set"),
        ({"status": "unset"}, {}, True, ""),
        ({"status": "unset"}, {"phase": "Up"}, False, 'Interface/lan.phase is "Up", not unset'),
        ({"status": "unknown"}, {"phase": "Up"}, False, 'Interface/lan.phase is "Up", not unknown'),
        ({"status": "unknown"}, {"phase": "Unknown"}, True, ""),
        ({"equals": "Up"}, {"phase": "unknown"}, None, UNSAID),
        ({"exists": False}, {"phase": "unknown"}, None, UNSAID),
        ({"status": "unknown", "equals": "Up"}, {"phase": "Unknown"}, None, UNSAID),
        ({"equals": "Up", "contains": "x"}, {"phase": "Up"}, False, 'Interface/lan.phase is "Up", without "x"'),
    ],
)  # fmt: skip
def test_a_clause(match: Mapping[str, Any], status: Status, holds: bool | None, words: str) -> None:
    outcome = lan(match, **status)
    assert (outcome.holds, outcome.words) == (holds, words)


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ("Up", ("Up",)),
        (True, ("true",)),
        (False, ("false",)),
        (0, ("0",)),
        (["192.0.2.1/24", "2001:db8::1/64"], ("192.0.2.1/24", "2001:db8::1/64")),
        ([], ()),
        (None, ()),
        ("", ()),
        ("UNKNOWN", None),
    ],
)
def test_values_are_compared_as_text(value: object, texts: tuple[str, ...] | None) -> None:
    key = state_key("Interface/lan.addresses")
    assert key is not None
    assert values_of({LAN: {"addresses": value}}, (), key) == texts


def test_of_a_list_one_item_is_enough() -> None:
    status = {"addresses": ["192.0.2.1/24", "198.51.100.1/24"]}
    for match in ({"equals": "198.51.100.1/24"}, {"in": ["198.51.100.1/24", "x"]}, {"contains": "51.100"}):
        assert asked({"state": {"${Interface/lan.status.addresses}": match}}, {LAN: status}).holds


@pytest.mark.parametrize("reason", ["Starting", "CrashLoop", "Undecided"])
def test_who_is_not_there_to_say_it_says_nothing(reason: str) -> None:
    condition = {"state": {"DHCPv4Client/wan.phase": {"equals": "Bound"}}}
    assert asked(condition, {}).holds is None
    assert asked(condition, {CLIENT: {"phase": "Bound", "reason": reason}}).holds is None
    assert asked(condition, {CLIENT: {"phase": "Bound", "reason": "Bound"}}).holds is True
    assert Look({CLIENT: {"phase": "Bound"}}, {CLIENT}, NOW, Memory()).when(from_wire(When, condition)).holds is None


# Dependencies


@pytest.mark.parametrize(
    ("needed", "status", "holds", "words"),
    [
        ({"phase": "Bound"}, {"phase": "Bound"}, True, ""),
        ({"phase": "Bound"}, {"phase": "Refreshing"}, True, ""),
        ({"phase": "Bound"}, {"phase": "Rebinding"}, True, ""),
        ({"phase": "Refreshing"}, {"phase": "Bound"}, False, 'DHCPv4Client/wan.phase is "Bound", not "Refreshing"'),
        ({"equals": "Bound"}, {"phase": "Refreshing"}, False, 'DHCPv4Client/wan.phase is "Refreshing", not "Bound"'),
        ({"phase": "Bound"}, None, None, UNSAID.replace("Interface/lan", "DHCPv4Client/wan")),
        ({"phase": "Bound", "optional": True}, None, True, ""),
        ({"phase": "Bound", "optional": True}, {"phase": "x"}, False, 'DHCPv4Client/wan.phase is "x", not "Bound"'),
        ({"field": "gateway", "notEmpty": True}, {"gateway": "192.0.2.1"}, True, ""),
        ({"field": "gateway", "notEmpty": True}, {}, False, "DHCPv4Client/wan.gateway has no value"),
        ({"field": "gateway", "notEmpty": True, "optional": True}, {}, True, ""),
        ({"field": "dnsServers", "equals": "b"}, {"dnsServers": ["a", "b"]}, True, ""),
    ],
)  # fmt: skip
def test_a_dependency(needed: Mapping[str, Any], status: Status | None, holds: bool | None, words: str) -> None:
    dependency = from_wire(Dependency, {"resource": "DHCPv4Client/wan", **needed})
    outcome = look({} if status is None else {CLIENT: status}).dependency(dependency)
    assert (outcome.holds, outcome.words) == (holds, words)


# Combinations

TRUE, FALSE, UNKNOWN = "Interface/lan.phase", "Interface/wan.phase", "DHCPv4Client/wan.phase"
WORLD = {LAN: {"phase": "Up"}, WAN: {"phase": "Down"}}
LEVELS = {False: 0, None: 1, True: 2}

LEAVES = st.lists(st.sampled_from([TRUE, FALSE, UNKNOWN]), min_size=1, max_size=3, unique=True).map(
    lambda keys: {"state": {key: {"equals": "Up"} for key in keys}}
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.tuples(st.sampled_from(["all", "any"]), st.lists(inner, min_size=1, max_size=3)).map(
        lambda pair: {pair[0]: pair[1]}
    ),
    max_leaves=12,
).filter(lambda tree: _depth(tree) <= 8)


def _depth(tree: Mapping[str, Any]) -> int:
    return 1 + max((_depth(part) for word in ("all", "any") for part in tree.get(word, ())), default=0)


def _oracle(tree: Mapping[str, Any]) -> int:
    """0 false, 1 unknown, 2 true: `all` is the least, `any` the most."""
    if "all" in tree:
        return min(map(_oracle, tree["all"]))
    if "any" in tree:
        return max(map(_oracle, tree["any"]))
    return min({TRUE: 2, FALSE: 0, UNKNOWN: 1}[key] for key in tree["state"])


@given(TREES)
def test_every_combination_is_as_the_oracle_says(tree: Mapping[str, Any]) -> None:
    outcome = asked(tree, WORLD)
    assert LEVELS[outcome.holds] == _oracle(tree)
    assert bool(outcome.words) is (outcome.holds is not True), "what stands in the way is told"


def test_the_clause_that_fails_is_told() -> None:
    up, down, silent = ({"state": {key: {"equals": "Up"}}} for key in (TRUE, FALSE, UNKNOWN))
    assert asked({"all": [up, silent, down]}, WORLD).words == 'Interface/wan.phase is "Down", not "Up"'
    assert asked({"any": [silent, down]}, WORLD).words == (
        'it is not known yet what DHCPv4Client/wan.phase is; Interface/wan.phase is "Down", not "Up"'
    )


# Time


def test_for_counts_from_when_it_was_seen_to_begin() -> None:
    when = from_wire(When, {"state": {TRUE: {"equals": "Up", "for": "10s"}}})
    one = look({LAN: {"phase": "Down"}}, 0)
    assert one.when(when) == Outcome(False, 'Interface/lan.phase is "Down", not "Up"')
    two = look(WORLD, 5, one.memory)
    assert two.when(when) == Outcome(False, 'Interface/lan.phase is "Up", but not yet for 10s', 15)
    three = look({LAN: {"reason": "Starting"}}, 8, two.memory)
    assert three.when(when).holds is None, "what is not known for a while does not count from anew"
    four = look(WORLD, 15, three.memory)
    assert four.when(when) == Outcome(True)


def test_what_was_so_when_first_looked_at_may_be_so_for_long() -> None:
    when = from_wire(When, {"state": {TRUE: {"equals": "Up", "for": "10s"}}})
    one = look(WORLD, 5)
    assert one.when(when) == Outcome(None, 'Interface/lan.phase is "Up", but not yet for 10s', 15)
    assert look(WORLD, 15, one.memory).when(when) == Outcome(True)


def test_max_age_counts_from_the_last_change() -> None:
    when = from_wire(When, {"state": {TRUE: {"exists": True, "maxAge": "10s"}}})
    one = look({LAN: {"phase": "Down"}}, 0)
    assert one.when(when).holds is None, "it may have changed long ago"
    two = look({LAN: {"phase": "Down"}}, 10.5, one.memory)
    assert two.when(when) == Outcome(False, 'Interface/lan.phase is "Down", and has not changed for 10s')
    three = look(WORLD, 20, two.memory)
    [holds, deadline] = [(o := three.when(when)).holds, o.deadline]
    assert holds is True
    assert deadline is not None
    assert 30 < deadline < 30.1
    assert look(WORLD, 30, three.memory).when(when).holds is True
    assert look(WORLD, deadline, three.memory).when(when).holds is False


STEPS = st.lists(st.tuples(st.integers(1, 6), st.sampled_from(["Up", "Down", None])), min_size=1, max_size=12)


def _held_since(history: Sequence[tuple[int, str | None]]) -> tuple[int, bool] | None:
    """Since when the last known value is "Up", and whether that was seen to begin; None: it is not."""
    known = [(at, value) for at, value in history if value is not None]
    since: tuple[int, bool] | None = None
    for place, (at, value) in enumerate(known):
        if value != "Up":
            since = None
        elif since is None:
            since = at, place > 0
    return since


@given(STEPS, st.integers(1, 12))
def test_any_course_of_time_is_as_the_oracle_says(steps: Sequence[tuple[int, str | None]], wanted: int) -> None:
    when = When(
        state={TRUE: StateMatch(equals="Up", for_=from_wire(StateMatch, {"exists": True, "for": f"{wanted}s"}).for_)}
    )
    memory, now, history = Memory(), 0, []
    for later, value in steps:
        now += later
        history.append((now, value))
        one = look({LAN: {"phase": value if value is not None else "unknown"}}, now, memory)
        outcome, memory = one.when(when), one.memory
        since = _held_since(history)
        if value is None:
            expected = None
        elif value == "Down":
            expected = False
        else:
            assert since is not None
            expected = True if now - since[0] >= wanted else (False if since[1] else None)
        assert outcome.holds is expected
        assert outcome.deadline is None or outcome.deadline > now, "no deadline is over already"
