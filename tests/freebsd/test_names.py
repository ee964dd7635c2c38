"""Every name of the standard library that a portable module uses exists on FreeBSD.

names.json is what Python 3.11 on FreeBSD 15.1 answered to dir() of twelve modules. Linux-only modules are those
that are chosen by `nurseries/system.py`, and those say so in their name or folder.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
NAMES: dict[str, list[str]] = json.loads((Path(__file__).parent / "names.json").read_text())
LINUX_ONLY = {
    "routerd/host/linux",
    "routerd/endpoints/linux.py",
    "routerd/endpoints/packet_linux.py",
    "routerd/endpoints/udp.py",
}
GUARDED = {
    ("routerd/api/sockets.py", "socket.SO_PEERCRED"),  # the Linux branch of peer credentials
}
"""Names that stand in a branch which FreeBSD does not take."""


def portable() -> Iterator[Path]:
    for path in sorted([*(ROOT / "routerd").rglob("*.py"), *(ROOT / "routerctl").rglob("*.py")]):
        relative = str(path.relative_to(ROOT))
        if not any(relative.startswith(prefix) for prefix in LINUX_ONLY):
            yield path


def used(path: Path) -> Iterator[str]:
    """`module.name` for each attribute of a known module that the file reads or imports."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names} & NAMES.keys()
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in imported:
            yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module in NAMES:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", list(portable()), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_portable_module_uses_names_that_freebsd_has(path: Path) -> None:
    relative = str(path.relative_to(ROOT))
    for name in used(path):
        module, _, attribute = name.partition(".")
        if (relative, name) not in GUARDED:
            assert attribute in NAMES[module], f"{relative}: FreeBSD has no {name}"


def test_the_guards_are_still_needed() -> None:
    for relative, name in GUARDED:
        assert name in set(used(ROOT / relative)), f"{relative} does not use {name} any more"
