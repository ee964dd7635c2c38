"""`routerctl describe`: one resource with its spec, what is observed of it, its conditions and last events."""

from __future__ import annotations

import time

from routerctl.client import entries, number, part
from routerctl.errors import Exit
from routerctl.kinds import reference
from routerctl.resources import described, phase_of, reference_of
from routerctl.table import Table
from routerctl.times import ago, ahead, parse_count
from routerctl.words import cell, role

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from routerctl.client import Client, Object
    from routerctl.output import Out

EXAMPLES = {
    "describe": """
  routerctl describe DHCPv4Client/wan    spec, what is observed, conditions, the last events
  routerctl describe if/lan -o json      the same as routerd answers it
"""
}
INDENT = "  "


def arguments(verb: str, parser: ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("target", metavar="KIND/NAME", help="the resource")
    parser.add_argument("--events-limit", metavar="N", type=parse_count, default=10, help="how many of its events (10)")


def run(verb: str, args: Namespace, client: Client, out: Out) -> Exit:
    """Ask and show."""
    answer = described(client, reference(args.target), args.events_limit)
    resource = part(answer, "resource")
    if out.form == "table":
        _show(out, resource, time.time())
    else:
        out.one(answer, reference_of(resource))
    return Exit.OK


def _show(out: Out, resource: Object, now: float) -> None:
    status = part(resource, "status")
    phase = cell(phase_of(resource))
    facts = [("Resource", cell(reference_of(resource))), ("API version", cell(resource.get("apiVersion")))]
    facts += [("Phase", out.paint(role(phase), phase))]
    told = [(key.capitalize(), cell(status[key])) for key in ("reason", "message") if status.get(key)]
    facts += [(key, value) for key, value in told if value != phase]
    width = max(len(key) for key, _ in facts) + 3
    for key, value in facts:
        out.line(f"{key + ':':{width}}{value}")
    _section(out, "Spec", part(resource, "spec"), now)
    shown = ("phase", "reason", "message", "conditions")
    _section(out, "Observed", {key: value for key, value in status.items() if key not in shown}, now)
    _conditions(out, entries(status, "conditions"), now)
    _events(out, entries(resource, "events"), now)


def _section(out: Out, title: str, values: Object, now: float) -> None:
    pairs = list(_flat(_plain(values)))
    out.title(title)
    if not pairs:
        out.line(INDENT + "none")
    width = max((len(key) for key, _ in pairs), default=0) + 2
    for key, value in pairs:
        relative = ahead(value, now)
        out.line(f"{INDENT}{cell(key):{width}}{cell(value)}" + (f"  ({relative})" if relative else ""))


def _plain(values: object) -> object:
    """Without the moments of the host's clock, where there are instants beside them: those are for programs."""
    if isinstance(values, list):
        return [_plain(one) for one in values]
    if not isinstance(values, dict):
        return values
    told = {f"{key}Monotonic" for key in values}
    return {key: _plain(one) for key, one in values.items() if key not in told}


def _flat(values: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Leaves with their dotted paths; a list of plain values is one leaf."""
    if isinstance(values, dict) and values:
        for key, value in values.items():
            yield from _flat(value, f"{path}.{key}" if path else str(key))
    elif isinstance(values, list) and any(isinstance(value, (dict, list)) for value in values):
        for index, value in enumerate(values):
            yield from _flat(value, f"{path}[{index}]")
    elif path:
        yield path, values


def _conditions(out: Out, conditions: list[Object], now: float) -> None:
    out.title("Conditions")
    if not conditions:
        out.line(INDENT + "none")
    table = Table(out, "TYPE", "STATUS", "REASON", "SINCE", "MESSAGE", painted="STATUS", indent=INDENT)
    table.rows(
        (
            one.get("type"),
            one.get("status"),
            one.get("reason"),
            ago(one.get("lastTransitionTime"), now),
            one.get("message"),
        )
        for one in conditions
    )


def _events(out: Out, events: list[Object], now: float) -> None:
    out.title("Events")
    if not events:
        out.line(INDENT + "none")
    table = Table(out, "ID", "AGE", "TOPIC", "REASON", "MESSAGE", indent=INDENT)
    table.rows(
        (
            event.get("id"),
            ago(event.get("createdAt"), now),
            event.get("topic") or event.get("type"),
            event.get("reason"),
            event.get("message"),
        )
        for event in sorted(events, key=lambda event: number(event, "id"))
    )
