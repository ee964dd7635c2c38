"""What docs/ipv6.md names exists: kinds, fields, statuses and topics."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from routerd.resources import net6
from routerd.resources.kinds import KINDS
from routerd.shapes.convert import fields_of

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "ipv6.md").read_text()
CONTRACT, EVENTS = (DOCS / "contract.md").read_text(), (DOCS / "events.md").read_text()
OURS = [kind for kind in KINDS.values() if inspect.getmodule(kind.spec) is net6]


def test_every_kind_is_in_the_table() -> None:
    named = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) - {"mode", "routerd", "kernel"}
    assert {kind.name for kind in OURS} == {name for name in named if name[0].isupper()}


def test_every_field_is_one() -> None:
    known = {name for kind in OURS for name in (*fields_of(kind.spec), *kind.provides)}
    for name in re.findall(r"`([a-z]+(?:[A-Z]\w*)+)(?:: \w+)?`", PAGE):
        assert name in known, name


def test_every_status_is_one_of_the_contract() -> None:
    table = PAGE[PAGE.index("| What is seen |") :]
    reasons = re.findall(r"`(\w+)`, `(\w+)` \|", table)
    assert len(reasons) >= 6
    for phase, reason in reasons:
        assert re.search(rf"^\| \w+6\w+ \| {phase} \| .*\b{reason}\b", CONTRACT, re.MULTILINE), reason


def test_every_topic_is_told() -> None:
    for topic in re.findall(
        r"`(?:routerd\.(?:ra|ipv6\.ra|dhcpv6\.client)\.)?((?:prefix|identity|other)[._]\w+)`", PAGE
    ):
        assert f"`{topic}`" in EVENTS, topic
