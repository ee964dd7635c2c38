"""attrs classes to JSON and back: strict, complete in its complaints, and the same on both ways."""

from __future__ import annotations

import json
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Any, Literal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.shapes.convert import from_wire, to_wire
from routerd.shapes.duration import Duration
from routerd.shapes.instant import Instant
from routerd.shapes.invalid import Invalid, Problem, Problems
from routerd.shapes.limits import Between, Each, Matching
from routerd.shapes.secret import Secret


@attrs.frozen
class Inner:
    count: int = attrs.field(validator=Between(0, 10))
    secret: Secret | None = None


@attrs.frozen
class Outer:
    name: str
    ready: bool = False
    ratio: float = 0.5
    offer_window: Duration = attrs.field(default=Duration(0.0))
    timeout: Duration | None = None
    since: Instant | None = None
    mode: Literal["probe", "skip"] = "probe"
    level: Literal[1, 2] = 1
    address: IPv4Address | IPv6Address | None = None
    on_link: IPv4Interface | None = None
    network: IPv4Network | None = None
    wide: IPv6Network | IPv4Network | None = None
    local: IPv6Interface | None = None
    inner: Inner | None = None
    items: tuple[Inner, ...] = ()
    codes: tuple[int, ...] = attrs.field(default=(), validator=Each(Between(1, 254), 4))
    by_name: Mapping[str, Inner] = attrs.field(factory=dict)
    anything: Any = None
    octets: bytes = b""
    request_id: str | None = attrs.field(default=None, metadata={"name": "requestId"})
    pin: str | None = attrs.field(
        default=None, validator=Matching(r"[0-9]{4}", 4, "a PIN", "four digits"), metadata={"sensitive": True}
    )
    warnings: tuple[str, ...] = attrs.field(default=(), metadata={"omit_default": True})


def problems_of(cls: type, data: Any) -> list[Problem]:
    with pytest.raises(Problems) as caught:
        from_wire(cls, data)
    return list(caught.value.problems)


def test_everything_there_and_back() -> None:
    wire = {
        "name": "wan",
        "ready": True,
        "ratio": 1.5,
        "offerWindow": "1m30s",
        "timeout": "500ms",
        "since": "2026-01-02T03:04:05.6Z",
        "mode": "skip",
        "level": 2,
        "address": "2001:db8::1",
        "onLink": "192.0.2.1/24",
        "network": "10.0.0.0/8",
        "wide": "2001:db8::/32",
        "local": "fe80::1/64",
        "inner": {"count": 1},
        "items": [{"count": 2}, {"count": 3}],
        "codes": [43, 125],
        "byName": {"a": {"count": 4}},
        "anything": {"deep": [1, "two", None]},
        "octets": "00ff",
        "requestId": "01J8",
        "pin": "1234",
        "warnings": ["hot"],
    }
    value = from_wire(Outer, wire)
    assert value.offer_window == 90.0
    assert value.since == 1_767_323_045_600_000_000
    assert value.address == IPv6Address("2001:db8::1")
    assert value.items == (Inner(2), Inner(3))
    assert to_wire(value) == wire


def test_what_is_absent_is_left_out() -> None:
    wire = to_wire(Outer("wan"))
    assert wire == {
        "name": "wan",
        "ready": False,
        "ratio": 0.5,
        "offerWindow": "0s",
        "mode": "probe",
        "level": 1,
        "items": [],
        "codes": [],
        "byName": {},
        "octets": "",
    }
    assert from_wire(Outer, wire) == Outer("wan")


def test_loose_values_leave_as_json_too() -> None:
    loose = {"a": (1, 2), "b": {"c": IPv4Address("192.0.2.1")}, "d": [Inner(1, Secret("hunter2"))], "e": {3}}
    assert (
        json.dumps(to_wire(loose))
        == '{"a": [1, 2], "b": {"c": "192.0.2.1"}, "d": [{"count": 1, "secret": "***"}], "e": [3]}'
    )


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("name", 1, "schema.type"),
        ("name", None, "schema.type"),
        ("ready", "false", "schema.type"),
        ("ready", 0, "schema.type"),
        ("level", True, "schema.enum"),
        ("level", 1.0, "schema.enum"),
        ("ratio", "0.5", "schema.type"),
        ("ratio", True, "schema.type"),
        ("mode", "Skip", "schema.enum"),
        ("offerWindow", 30, "schema.type"),
        ("offerWindow", "30", "schema.duration"),
        ("timeout", None, "schema.type"),
        ("since", "yesterday", "schema.time"),
        ("address", "192.0.2.256", "schema.address"),
        ("onLink", "192.0.2.1", "schema.address"),
        ("onLink", "192.0.2.1/024", "schema.address"),
        ("onLink", "192.0.2.1/255.255.255.0", "schema.address"),
        ("onLink", "2001:db8::1/64", "schema.address"),
        ("network", "10.0.0.1/8", "value.network"),
        ("network", "10.0.0.0/33", "schema.address"),
        ("items", "abc", "schema.type"),
        ("items", {"count": 1}, "schema.type"),
        ("inner", [], "schema.type"),
        ("inner", {"count": 1.0}, "schema.type"),
        ("inner", {"count": True}, "schema.type"),
        ("byName", ["a"], "schema.type"),
        ("octets", "0", "schema.hex"),
        ("octets", "00 ff", "schema.hex"),
        ("codes", [1, 1], "schema.duplicate"),
        ("codes", [1, 2, 3, 4, 5], "schema.length"),
    ],
)
def test_nothing_is_coerced(field: str, value: Any, code: str) -> None:
    assert [problem.code for problem in problems_of(Outer, {"name": "wan", field: value})] == [code]


def test_all_problems_at_once_with_their_paths() -> None:
    found = problems_of(
        Outer,
        {
            "offerWindow": "30x",
            "items": [{"count": 1}, {"count": 11, "colour": 1}, 7, {}],
            "byName": {"a": {"count": "1"}},
            "codes": [1, 0, 1],
            "requestID": "x",
        },
    )
    assert [str(problem) for problem in found] == [
        "name: is required",
        'offerWindow: "30x" is not a duration',
        "items[1].count: 11 is not between 0 and 10",
        "items[1].colour: is not a field here",
        "items[2]: expected a mapping, got the number 7",
        "items[3].count: is required",
        "codes[1]: 0 is not between 1 and 254",
        "codes[2]: the number 1 stands here twice",
        'byName.a.count: expected a whole number, got "1"',
        "requestID: is not a field here",
    ]
    assert found[-1].at == "key"
    assert found[-1].hint == "did you mean requestId?"


@pytest.mark.parametrize(
    ("field", "value", "hint"),
    [
        ("warnings", "late", 'write it as a list: ["late"]'),
        ("codes", 43, "write it as a list: [43]"),
        ("items", {"count": 1}, 'write it as a list: put "- " before it'),
        ("items", {}, ""),
        ("warnings", "https://me:hunter2@host", "write it as a list"),
        ("warnings", "late " * 20, "write it as a list"),
    ],
)
def test_one_value_for_a_list(field: str, value: Any, hint: str) -> None:
    (problem,) = problems_of(Outer, {"name": "a", field: value})
    assert (problem.expected, problem.hint) == ("expected a list", hint)


def test_an_object_may_complain_as_a_whole() -> None:
    @attrs.frozen
    class Range:
        low: int
        high: int

        def __attrs_post_init__(self) -> None:
            if self.low > self.high:
                raise Invalid("value.order", "is below low", field="high")

    assert [str(problem) for problem in problems_of(Range, {"low": 2, "high": 1})] == ["high: is below low"]


@pytest.mark.req("C16")
@pytest.mark.parametrize("wrong", [{"count": 1, "secret": 2000}, {"count": 1, "secret": ["hunter2"]}])
def test_what_may_be_secret_is_not_quoted(wrong: Any) -> None:
    (problem,) = problems_of(Inner, wrong)
    assert str(problem) == "secret: expected text"


def test_a_sensitive_field_is_not_quoted_either() -> None:
    (problem,) = problems_of(Outer, {"name": "wan", "pin": "hunter2"})
    assert "hunter2" not in repr(problem)
    assert problem.message == "expected 4 characters at most"


def test_our_own_faults_are_not_hidden() -> None:
    def broken(_instance: object, _field: object, _value: object) -> None:
        raise RuntimeError("a bug")

    @attrs.frozen
    class Broken:
        field: int = attrs.field(validator=broken)

    with pytest.raises(RuntimeError, match="a bug"):
        from_wire(Broken, {"field": 1})


INNERS = st.builds(Inner, st.integers(0, 10))
OUTERS = st.builds(
    Outer,
    name=st.text(),
    ready=st.booleans(),
    ratio=st.floats(allow_nan=False, allow_infinity=False),
    offer_window=st.integers(0, 10**15).map(lambda ns: Duration(ns / 10**9)),
    since=st.none() | st.integers(-(10**18), 10**19).map(Instant),
    mode=st.sampled_from(["probe", "skip"]),
    address=st.none() | st.ip_addresses(),
    on_link=st.none() | st.builds(lambda a, n: IPv4Interface(f"{a}/{n}"), st.ip_addresses(v=4), st.integers(0, 32)),
    inner=st.none() | INNERS,
    items=st.lists(INNERS).map(tuple),
    codes=st.lists(st.integers(1, 254), max_size=4, unique=True).map(tuple),
    by_name=st.dictionaries(st.text(), INNERS),
    octets=st.binary(),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["name", "items", "inner", "count"]), inner)
    ),
    max_leaves=20,
)


@given(OUTERS)
def test_there_and_back_through_json(value: Outer) -> None:
    assert from_wire(Outer, json.loads(json.dumps(to_wire(value)))) == value


@given(JSON)
def test_any_json_is_a_value_or_problems(data: Any) -> None:
    try:
        from_wire(Outer, data)
    except Problems as problems:
        assert problems.problems
