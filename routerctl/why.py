"""`routerctl why`: the causes of a resource's present phase, drawn as a tree down to the first."""

from __future__ import annotations

import time

from routerctl.client import entries, number, part
from routerctl.errors import Exit, Failure
from routerctl.kinds import reference
from routerctl.resources import suggested
from routerctl.times import clock, parse_instant, span
from routerctl.words import cell, columns, role

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from routerctl.client import Client, Object
    from routerctl.output import Out

EXAMPLES = {
    "why": """
  routerctl why DHCPv4Client/wan             what made it what it is
  routerctl why IPv4Route/office -o json     the events themselves
"""
}
CHANGED = "routerd.resource.status.changed"
DEEPEST = 40
"""Causes of causes that are drawn; what is deeper is only said to be there."""


def arguments(verb: str, parser: ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("target", metavar="KIND/NAME", help="the resource")


def run(verb: str, args: Namespace, client: Client, out: Out) -> Exit:
    """Ask and draw."""
    target = reference(args.target)
    try:
        answer = client.get("/why", [("target", target)])
    except Failure as failure:
        raise suggested(client, target, failure) from None
    if out.form == "table":
        show(out, answer, time.time())
    else:
        out.one(answer, str(answer.get("target") or target))
    return Exit.OK


class Line:
    """A cause on its line: the branches before it, what happened, when, the ids, and its own words."""

    __slots__ = ("branch", "head", "ids", "role", "text", "when")

    def __init__(self, branch: str, head: str, when: str = "", ids: str = "", text: str = "", look: str = "") -> None:
        self.branch = branch
        self.head = head
        self.when = when
        self.ids = ids
        self.text = text
        self.role = look


def show(out: Out, answer: Object, now: float) -> None:
    """Draw an answer."""
    phase, since = cell(answer.get("phase") or "Unknown"), parse_instant(answer.get("since"))
    head = f"{cell(answer.get('target'))}  {out.paint(role(phase), phase)}"
    head += f" since {clock(answer.get('since'), now)} ({span(now - since)})" if since is not None else ""
    head += f"   reason={cell(answer['reason'])}" if answer.get("reason") else ""
    out.line(head)
    if chain := part(answer, "chain"):
        _draw(out, list(lines(out, _beginning(chain, answer.get("target")), "", now)))
    else:
        told = f"{cell(answer['message'])}; " if answer.get("message") else ""
        out.line(f"{told}no cause of it is in the event log")
    if suppressed := answer.get("suppressed"):
        out.line(f"suppressed (follow from the same root): {cell(suppressed)}")
    if answer.get("next"):
        out.line(f"next: {cell(answer['next'])}")


def _beginning(chain: Object, target: object) -> list[Object]:
    """The causes to begin with: that its status changed stands in the first line already."""
    event, causes = part(chain, "event"), entries(chain, "causes")
    about = f"{event.get('resourceKind')}/{event.get('resourceName')}"
    return causes if causes and about == target and event.get("topic") == CHANGED else [chain]


def lines(out: Out, causes: list[Object], branch: str, now: float, depth: int = 0) -> Iterator[Line]:
    """The tree below a line, depth first."""
    for index, cause in enumerate(causes):
        last = index == len(causes) - 1
        fork = out.glyph("└─ " if last else "├─ ", "`- " if last else "|- ")
        yield _line(out, cause, branch + fork, now)
        below = branch + ("   " if last else out.glyph("│  ", "|  "))
        for told in _beside(cause):
            yield Line(below, told)
        deeper = entries(cause, "causes")
        if deeper and depth + 1 >= DEEPEST:
            yield Line(below, out.glyph("…", "..."))
        else:
            yield from lines(out, deeper, below, now, depth + 1)


def _beside(cause: Object) -> Iterator[str]:
    """What cannot be drawn below it, and why."""
    if cause.get("again") is True:
        yield "what led to it stands above"
    if missing := number(cause, "missing"):
        yield f"{missing} of its causes {'is' if missing == 1 else 'are'} not in the log any more"


def _line(out: Out, cause: Object, branch: str, now: float) -> Line:
    event, times = part(cause, "event"), number(cause, "times")
    kind, name = event.get("resourceKind"), event.get("resourceName")
    reason = cell(event.get("reason") or event.get("topic") or event.get("type"))
    text = cell(event["message"]) if event.get("message") else ""
    head = f"{cell(kind)}/{cell(name)}  {reason}" if kind else reason
    when, ids = clock(event.get("time") or event.get("createdAt"), now), f"ev {cell(event.get('id'))}"
    if times > 1:
        head, text = f"{text or reason}" + (f" ({times} times)" if f"{times} times" not in text else ""), ""
        minutes = dict.fromkeys(_minute(cause.get(end), now) for end in ("from", "to"))
        when = out.glyph("–", "-").join(minutes)
        ids = f"ev {cell(cause.get('firstId'))}{out.glyph('…', '..')}{cell(cause.get('lastId'))}"
    root = cause.get("root") is True
    return Line(branch, f"root: {head}" if root else head, when, ids, text, "bold" if root else "")


def _minute(instant: object, now: float) -> str:
    """`02:05`, or with its date when that is another day."""
    return clock(instant, now).removesuffix("Z").rpartition(":")[0] or "-"


def _draw(out: Out, tree: list[Line]) -> None:
    heads = max(columns(line.branch + line.head) for line in tree)
    whens = max(columns(line.when) for line in tree)
    for line in tree:
        pad = " " * (heads - columns(line.branch + line.head))
        room = None if out.width is None else max(40, out.width - heads - whens - len(line.ids) - 6)
        tail = f"{line.when:{whens}}  {line.ids}  {out.fit(line.text, room)}"
        out.line(f"{line.branch}{out.paint(line.role, line.head)}{pad}  {tail}".rstrip())
