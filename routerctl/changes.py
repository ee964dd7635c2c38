"""What a change would do or has done, as people read it: fields before and after, steps, outcomes, what is pending."""

from __future__ import annotations

import time

from routerctl.client import entries
from routerctl.errors import Exit
from routerctl.table import Table
from routerctl.times import ahead, clock
from routerctl.words import cell, clean, columns, role

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from routerctl.client import Object
    from routerctl.output import Out

WIDEST = 40
"""Columns up to which the steps are set below each other; a longer field pushes its own aside."""

_SIGNS = {"added": ("+", "good"), "removed": ("-", "bad")}
_CHANGED = ("~", "warn")
_FAILED = ("error", "errored", "failed")
_UNDONE = ("rolledback", "reverted")
_WANTING = ("blocked", "degraded", "drifted", "pending")


class _Entry:
    """What happens to one resource."""

    __slots__ = ("fields", "look", "sign", "steps")

    def __init__(self, change: Object) -> None:
        word = str(change.get("change"))
        self.sign, self.look = _SIGNS.get(word, _CHANGED)
        self.fields = [(word, field) for field in entries(change, "fields")] if word != "removed" else []
        self.steps: list[str] = []


def reference_in(identity: object) -> str:
    """`net.routerd.net/v1alpha1/Interface/wan` -> `Interface/wan`."""
    return "/".join(str(identity).split("/")[-2:])


def differs(result: Object) -> bool:
    """Whether anything would change, or has."""
    return bool(entries(result, "changes")) or result.get("changed") is True


def show_changes(out: Out, changes: Sequence[Object], resources: Sequence[Object] = ()) -> None:
    """`~ Kind/name  field before → after  step` for each that changes or has steps of a controller."""
    found = {str(change.get("resource")): _Entry(change) for change in changes}
    for one in resources:
        if steps := one.get("plan"):
            entry = found.setdefault(reference_in(one.get("id")), _Entry({}))
            entry.steps += [cell(step) for step in (steps if isinstance(steps, list) else [steps])]
    width = max((columns(clean(name)) for name in found), default=0)
    laid = {name: _rows(out, entry) for name, entry in found.items()}
    room = max([columns(field) for rows in laid.values() for field, step in rows if step] or [0])
    for name, entry in found.items():
        for number, (field, step) in enumerate(laid[name]):
            head = f"{entry.sign} {clean(name)}" if number == 0 else ""
            line = f"{field:{min(room, WIDEST)}}   {step}" if step else field
            pad = " " * (width + 2 - columns(head))
            out.line(f"{out.paint(entry.look, head)}{pad}   {line}".rstrip())


def _rows(out: Out, entry: _Entry) -> list[tuple[str, str]]:
    """Fields and steps beside each other."""
    fields, steps = [_field(out, *pair) for pair in entry.fields], entry.steps
    if not fields:
        return [(step, "") for step in steps] or [("", "")]
    count = max(len(fields), len(steps))
    fields, steps = fields + [""] * (count - len(fields)), steps + [""] * (count - len(steps))
    return list(zip(fields, steps, strict=True))


def _field(out: Out, change: str, field: Object) -> str:
    path = clean(str(field.get("path") or "")).removeprefix("spec.")
    before, after = cell(field.get("before")), cell(field.get("after"))
    return f"{path} {after}" if change == "added" else f"{path} {before} {out.glyph('→', '->')} {after}"


def show_restarts(out: Out, result: Object) -> None:
    """Which daemons begin, end, or begin anew: what one feels of a change."""
    acts = [act for one in entries(result, "resources") for act in entries(one, "artifacts")]
    daemons = {str(act.get("name")): str(act.get("action")) for act in acts if act.get("kind") == "Daemon"}
    listed = result.get("restarts")
    for name in listed if isinstance(listed, list) else []:
        daemons.setdefault(cell(name), "restart")
    for action in sorted(set(daemons.values())):
        out.line(f"{clean(action)}s " + ", ".join(clean(name) for name, its in daemons.items() if its == action))
    if not daemons:
        out.line("no daemon restart")


def show_warnings(out: Out, result: Object) -> int:
    """Each on a line; how many."""
    warnings = result.get("warnings")
    listed = warnings if isinstance(warnings, list) else []
    for warning in listed:
        out.line(out.paint("warn", f"  ! {cell(warning)}"))
    return len(listed)


def show_leftovers(out: Out, result: Object) -> None:
    """What routerd still knows of, and no configuration declares."""
    for one in entries(result, "orphans"):
        told = "; ".join(cell(one[key]) for key in ("reason", "remediation") if one.get(key))
        out.line(out.paint("dim", f"  left over: {cell(one.get('kind'))}/{cell(one.get('name'))}  {told}".rstrip()))


def show_outcomes(out: Out, result: Object) -> None:
    """What became of each resource."""
    rows = []
    for one in entries(result, "resources"):
        outcome = str(one.get("outcome") or "-")
        phase = one.get("phase") if outcome != "removed" else None
        rows.append((reference_in(one.get("id")), outcome, phase, _detail(one)))
    Table(out, "RESOURCE", "OUTCOME", "PHASE", "DETAIL", painted="OUTCOME").rows(rows)


def _detail(one: Object) -> object:
    """Why it is not as it should be."""
    if one.get("warnings"):
        return one["warnings"]
    if role(str(one.get("phase"))) == "good":
        return []
    unmet = [condition for condition in entries(one, "conditions") if condition.get("status") != "True"]
    return [told for condition in unmet if (told := condition.get("message") or condition.get("reason"))]


def show_pending(out: Out, pending: Object) -> None:
    """That it is undone unless confirmed, and how to confirm it."""
    generation, previous = cell(pending.get("generation")), cell(pending.get("previous"))
    until = f"{ahead(pending.get('confirmBy'), time.time())} ({clock(pending.get('confirmBy'), time.time())})"
    out.line(out.paint("warn", f"pending: generation {generation} goes back to {previous} {until} unless confirmed:"))
    out.line(f"  routerctl confirm {cell(pending['token']) if pending.get('token') else ''}".rstrip())


def counted(number: int, word: str) -> str:
    """`1 warning`, `2 warnings`."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def outcome_of(result: Object) -> Exit:
    """The exit code that a change's end has."""
    phase = str(result.get("phase")).lower()
    if phase in _UNDONE:
        return Exit.ROLLED_BACK
    if phase in _FAILED:
        return Exit.FAILED
    failed = any(one.get("outcome") == "failed" for one in entries(result, "resources"))
    return Exit.DEGRADED if failed or phase in _WANTING else Exit.OK
