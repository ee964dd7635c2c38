"""The design's arrows: who may import whom, and the purity of the protocols (docs/design.md, "The rooms")."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

MAY_IMPORT: dict[str, set[str]] = {
    "protocols": set(),
    "shapes": set(),
    "resources": {"shapes"},
    "config": {"resources", "shapes", "events.topics"},
    "events": {"shapes"},
    "rules": {"events", "resources", "shapes", "protocols.machine"},
    "host": {"sim"},
    "endpoints": {"sim"},
    "sim": {"protocols", "host", "endpoints"},
    "api": {"events", "resources", "config", "shapes", "rules.history"},
    "daemons": {"protocols", "endpoints", "host", "events", "resources", "shapes", "api.plane", "nurseries.driver"},
    "controllers": {"host", "events", "resources", "config", "shapes", "api.plane"},
    "changes": {
        *("controllers", "host", "events", "config", "resources", "shapes"),
        *("api.plane", "api.change", "api.wire_changes", "api.status", "protocols.machine"),
    },
    "telemetry": {"events", "resources", "shapes", "api.plane", "api.figures", "api.metric"},
    "nurseries": {
        *("protocols", "endpoints", "host", "daemons", "controllers", "changes", "events"),
        *("api", "config", "resources", "rules", "shapes", "sim", "telemetry"),
    },
}
"""A room, and the rooms (or single modules) of ours that it may import beside itself."""

SIMULATED_ONLY = {"host": "simulated", "endpoints": "simulated"}
"""Rooms in which only modules of this name may import the simulation."""

PURE = {"argparse", "asyncio", "datetime.now", "logging", "os", "pathlib", "select", "signal", "socket", "subprocess"}
PURE |= {"sqlite3", "threading", "time", "trio"}
"""What no protocol imports: they neither wait, nor log, nor look at a clock, a file or a socket."""

ALSO_PURE = {"routerd/changes/commit.py", "routerd/changes/guard.py"}
ALSO_PURE |= {
    f"routerd/rules/{name}.py" for name in ("clock", "counting", "derived", "machine", "meeting", "player", "silence")
}
"""Machines, and what they are told, that are no protocols."""

LINUX_ONLY = {
    *("AF_PACKET", "AF_NETLINK", "SO_BINDTODEVICE", "SO_PEERCRED", "SO_PRIORITY", "SO_MARK"),
    *("CLOCK_BOOTTIME", "pyroute2"),
}


def modules() -> Iterator[Path]:
    yield from sorted((ROOT / "routerd").rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, anywhere in it; `from a import b` counts as a.b."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", list(modules()), ids=name_of)
def test_a_module_imports_only_what_the_design_allows(path: Path) -> None:
    parts = path.relative_to(ROOT / "routerd").parts
    if len(parts) == 1:
        return  # __main__ and the package itself stand above the rooms
    room = parts[0]
    for name in imports(path):
        if not name.startswith("routerd."):
            continue
        target = name.split(".")[1:]
        if target[0] == room or target[0] == "__version__":
            continue
        allowed = target[0] in MAY_IMPORT[room] or ".".join(target[:2]) in MAY_IMPORT[room]
        assert allowed, f"{name_of(path)} imports {name}: {room} may not"
        if target[0] == "sim" and room in SIMULATED_ONLY:
            assert path.stem.startswith(SIMULATED_ONLY[room]), f"{name_of(path)} imports the simulation"


@pytest.mark.req("C1")
@pytest.mark.parametrize(
    "path", [p for p in modules() if "protocols" in p.parts or name_of(p) in ALSO_PURE], ids=name_of
)
def test_a_protocol_is_pure(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path)}
    assert not roots & PURE, f"{name_of(path)} imports {sorted(roots & PURE)}"
    tree = ast.parse(path.read_text())
    asynchronous = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert not [node for node in ast.walk(tree) if isinstance(node, asynchronous)]
    drawn = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)]
    unseeded = {f"random.{n.attr}" for n in drawn if n.value.id == "random"} - {"random.Random"}
    assert not unseeded, f"{name_of(path)} draws from the global generator: {unseeded}"


@pytest.mark.parametrize("path", list(modules()), ids=name_of)
def test_only_host_and_endpoints_know_linux(path: Path) -> None:
    relative = path.relative_to(ROOT / "routerd")
    if relative.parts[0] in ("host", "endpoints") or relative == Path("api/sockets.py"):
        return  # the API reads a peer's credentials from its socket: the one question that has no neutral form
    words = {n.attr for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Attribute)}
    words |= {name.split(".")[0] for name in imports(path)}
    assert not words & LINUX_ONLY, f"{name_of(path)} knows {sorted(words & LINUX_ONLY)}"


def test_routerctl_imports_nothing_of_routerd_and_no_event_loop() -> None:
    forbidden = {"routerd", "trio", "quart", "quart_trio", "hypercorn", "asyncio"}
    for path in sorted((ROOT / "routerctl").rglob("*.py")):
        roots = {name.split(".")[0] for name in imports(path)}
        assert not roots & forbidden, f"{path.name} imports {sorted(roots & forbidden)}"


def test_the_design_names_every_room() -> None:
    rooms = {p.name for p in (ROOT / "routerd").iterdir() if (p / "__init__.py").exists()}
    assert rooms == MAY_IMPORT.keys()
    page = (ROOT / "docs" / "design.md").read_text()
    assert all(f"{room}/" in page for room in rooms)
