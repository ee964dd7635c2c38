"""What differs between two configurations, and that no secret is shown for it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings

from routerd.config import Router, load
from routerd.config.diff import FieldDiff, diff
from tests.config.valid import documents

HEAD = "apiVersion: routerd.net/v1alpha1\nkind: Router\nmetadata: {name: home}\nspec:\n  resources:\n"
ITEM = "  - {apiVersion: net.routerd.net/v1alpha1, kind: %s, metadata: {name: %s%s}, spec: {%s}}\n"


def router(*resources: tuple[str, ...]) -> Router:
    return load(HEAD + "".join(ITEM % (kind, name, "".join(more), spec) for kind, name, spec, *more in resources))


def compared(one: tuple[str, ...], other: tuple[str, ...]) -> list[tuple[str, Any, Any]]:
    wan = ("Interface", "wan", "ifname: eth0")
    [found] = diff(router(wan, one), router(wan, other))
    assert found.change == "changed"
    return [(field.path, field.before, field.after) for field in found.fields]


def test_fields_are_told_with_what_they_were_and_are() -> None:
    one, other = ("Interface", "lan", "ifname: eth1, mtu: 1400"), ("Interface", "lan", "ifname: eth2, managed: false")
    assert compared(one, other) == [
        ("spec.ifname", "eth1", "eth2"),
        ("spec.managed", True, False),
        ("spec.mtu", 1400, None),
    ]


def test_metadata_lists_and_nested_things() -> None:
    one = ("DHCPv4Client", "wan", "interface: wan, requestOptions: [3], sendOptions: [{code: 77, text: a}]")
    other = (*one[:2], "interface: wan, requestOptions: [3, 6], sendOptions: [{code: 77, text: b}]")
    noted = (*other, ", annotations: {by: me}")
    assert compared(one, noted) == [
        ("spec.requestOptions", [3], [3, 6]),
        ("spec.sendOptions[0].text", "a", "b"),
        ("metadata.annotations.by", None, "me"),
    ]


def test_durations_are_told_as_they_are_written() -> None:
    one = ("DHCPv4Client", "wan", "interface: wan")
    assert compared(one, (*one[:2], "interface: wan, offerWindow: 1500ms")) == [("spec.offerWindow", "0s", "1.5s")]


def test_defaults_of_what_is_new_or_gone_are_not_told() -> None:
    wan, lan = ("Interface", "wan", "ifname: eth0"), ("Interface", "lan", "ifname: eth1, mtu: 1400, adminUp: true")
    [added] = diff(router(wan), router(wan, lan))
    assert [field.path for field in added.fields] == ["spec.ifname", "spec.mtu"]
    [removed] = diff(router(wan, lan), router(wan))
    assert [field.path for field in removed.fields] == ["spec.ifname", "spec.mtu"]


def test_a_secret_is_seen_to_differ_and_not_shown() -> None:
    first, second = (
        ("DHCPv4Client", "wan", f"interface: wan, sendOptions: [{{code: 90, secret: {word}}}]")
        for word in ("hush", "quiet")
    )
    assert compared(first, second) == [("spec.sendOptions[0].secret", "***", "***")]
    wan = ("Interface", "wan", "ifname: eth0")
    assert "hush" not in repr(diff(router(wan), router(wan, first)))


def test_order_and_what_is_added_and_removed() -> None:
    a, b, c = (("Interface", name, f"ifname: {name}") for name in "abc")
    found = diff(router(a, b), router(c, b))
    assert [(str(one.resource), one.change) for one in found] == [("Interface/c", "added"), ("Interface/a", "removed")]
    assert FieldDiff("spec.ifname", None, "c") in found[0].fields
    assert FieldDiff("spec.ifname", "a", None) in found[1].fields
    assert diff(router(a, b), router(b, a)) == ()


@settings(max_examples=20, deadline=None)
@given(documents(), documents())
def test_it_is_empty_when_and_only_when_they_say_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    before, after = load(json.dumps(one)), load(json.dumps(other))
    assert diff(before, before) == ()
    found = {str(item.resource): item.change for item in diff(before, after)}
    old, new = ({str(resource): resource for resource in router.resources} for router in (before, after))
    assert found.keys() == {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    back = {str(item.resource): item.change for item in diff(after, before)}
    swap = {"added": "removed", "removed": "added", "changed": "changed"}
    assert {name: swap[change] for name, change in found.items()} == back
    assert all(item.fields for item in diff(before, after))
