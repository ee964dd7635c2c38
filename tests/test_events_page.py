"""docs/events.md names every topic, and every reason beside it, that the program can tell."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from routerd.daemons import dhcpv4_report

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "events.md").read_text()
TOPIC = re.compile(r"routerd(\.[a-z0-9_-]+){2,}")
CLIENT = {
    *(topic for topic, _ in dhcpv4_report.SENT.values()),
    *(topic for topic, _, _ in dhcpv4_report.LOST.values()),
    *(f"lease.{word}" for word in dhcpv4_report.EXTENDED.values()),
}
REASONS = {
    *(reason for _, reason in dhcpv4_report.SENT.values()),
    *(reason for _, reason, _ in dhcpv4_report.LOST.values()),
    *(f"Lease{word.capitalize()}" for word in dhcpv4_report.EXTENDED.values()),
}


def texts(node: ast.AST) -> Iterator[str]:
    yield from (n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str))


def sources() -> Iterator[ast.Module]:
    for room in ("api", "controllers", "daemons", "events", "nurseries"):
        yield from (ast.parse(path.read_text()) for path in sorted((ROOT / "routerd" / room).rglob("*.py")))


def topics() -> set[str]:
    """Every topic that stands in the program as one piece."""
    return {text for tree in sources() for text in texts(tree) if TOPIC.fullmatch(text)}


def told() -> Iterator[tuple[str, str]]:
    """Topic (without its prefix) and reason of what a client tells by a `Teller`."""
    for tree in sources():
        for call in ast.walk(tree):
            match call:
                case ast.Call(
                    func=ast.Name("tell") | ast.Attribute(attr="_tell" | "tell"), args=[topic, reason, _, *_]
                ):
                    match topic, reason:
                        case ast.Constant(str(word)), ast.Constant(str(why)):
                            yield word, why


def named(topic: str) -> bool:
    last = topic.rpartition(".")[2]
    return f"`{topic}`" in PAGE or f"`….{last}`" in PAGE or f"`{topic}.…`" in PAGE


def test_there_is_something_to_name() -> None:
    assert len(topics()) > 9
    assert len(list(told())) > 9


@pytest.mark.parametrize("topic", sorted(topics() - {dhcpv4_report.TOPIC}))
def test_topics(topic: str) -> None:
    assert named(topic.removeprefix(f"{dhcpv4_report.TOPIC}."))


@pytest.mark.parametrize("topic", sorted(CLIENT | {topic for topic, _ in told() if not TOPIC.fullmatch(topic)}))
def test_topics_of_the_client(topic: str) -> None:
    assert f"| `{topic}` |" in PAGE


@pytest.mark.parametrize("reason", sorted(REASONS | {reason for _, reason in told()}))
def test_reasons_of_the_client(reason: str) -> None:
    assert re.search(rf"\b{reason}\b", PAGE)
