"""What `get` can ask for besides resources, and how each subject's answer is taken apart and shown."""

from __future__ import annotations

import time

from routerctl.client import entries, number, part
from routerctl.feed import EVENT_HEADER, event_row, happened
from routerctl.prefixes import PREFIX_HEADER, prefix_rows
from routerctl.resources import brief_spec, last_happened, reference_of, summary
from routerctl.table import Table
from routerctl.times import ago
from routerctl.words import cell, role

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from routerctl.client import Object
    from routerctl.output import Out

WORDS = {
    "resources": "resources all",
    "status": "status",
    "controllers": "controllers controller",
    "runtime": "runtime rt",
    "events": "events event",
    "prefixes": "prefixes prefix",
    "generations": "generations generation",
    "consumers": "consumers consumer",
    "ledger": "ledger",
}
"""Each subject, and what people call it."""
PATHS = {"generations": "/generations", "consumers": "/consumers"}
"""Subjects that are not asked of `/get`, and for which an admin is told more."""
HEADERS = {
    "resources": ("KIND", "NAME", "SPEC", "STATUS", "EVENTS"),
    "status": (),
    "controllers": ("NAME", "MODE", "KINDS", "RUNS", "LAST", "TOOK", "ERRORS", "ERROR"),
    "runtime": ("FIGURE", "VALUE"),
    "events": EVENT_HEADER,
    "generations": ("GENERATION", "PHASE", "STARTED", "ACTOR", "RESOURCES", "CHANGES", "YAML"),
    "consumers": ("CONSUMER", "CURSOR", "LAG", "UPDATED"),
    "ledger": ("GENERATION", "PHASE", "STARTED", "HAS_YAML"),
    "prefixes": PREFIX_HEADER,
}
PAINTED = {
    "resources": "STATUS",
    "controllers": "MODE",
    "events": "SEVERITY",
    "ledger": "PHASE",
    "generations": "PHASE",
    "prefixes": "PHASE",
}
ENVELOPE = ("apiVersion", "kind", "metadata")
SUBJECT_OF = {word: subject for subject, words in WORDS.items() for word in words.split()}


def items_of(subject: str, answer: Object) -> list[Object]:
    """The rows of an answer, for jsonl, names and tables."""
    if subject in ("status", "runtime"):
        return [part(answer, "raw") or answer]
    if subject in ("controllers", "prefixes"):
        return entries(part(answer, "raw") or answer, "items")
    if subject == "ledger":
        return entries(part(answer, "ledger"), "generations")
    if subject == "events":
        return sorted(entries(answer, "events"), key=lambda event: number(event, "id"))
    return entries(answer, "items")


def name_of(subject: str, item: Object) -> str:
    """`Kind/name` of a row: `DHCPv4Client/wan`, `Controller/address`, `Event/48211`."""
    if subject == "resources":
        return reference_of(item)
    if subject in ("status", "runtime"):
        return f"{item.get('kind') or subject.title()}/routerd"
    kind, key = _NAMED[subject]
    return f"{kind}/{item.get(key)}"


_NAMED = {
    "controllers": ("Controller", "name"),
    "events": ("Event", "id"),
    "generations": ("Generation", "generation"),
    "consumers": ("Consumer", "name"),
    "ledger": ("Generation", "generation"),
    "prefixes": ("DHCPv6PrefixDelegation", "name"),
}


class View:
    """Shows the answers of one subject in the asked format; a table keeps its columns from one answer to the next."""

    def __init__(self, out: Out, subject: str) -> None:
        self._out = out
        self._subject = subject
        self._table = Table(out, *HEADERS[subject], painted=PAINTED.get(subject, ""))

    def show(self, answer: Object) -> None:
        """A whole answer."""
        if self._out.whole:
            self._out.value(answer)
            return
        if self._out.form == "table" and self._subject == "ledger":
            self._out.line(f"INTEGRITY {cell(part(answer, 'ledger').get('integrity') or 'unknown')}")
        items = items_of(self._subject, answer)
        self.items(items)
        if not items:
            self._out.note("there are none")

    def items(self, items: Sequence[Object]) -> None:
        """Some of its rows."""
        if self._out.form != "table":
            self._out.items(items, lambda item: name_of(self._subject, item))
        elif self._subject == "status":
            for item in items:
                self._out.line(status_line(self._out, item))
        else:
            self._table.rows(self._rows(items))
        self._out.flush()

    def _rows(self, items: Sequence[Object]) -> Iterator[Sequence[object]]:
        now, room = time.time(), max(16, self._out.width // 5) if self._out.width else None
        for item in items:
            match self._subject:
                case "resources":
                    spec = self._out.fit(brief_spec(item), room)
                    yield item.get("kind"), item.get("name"), spec, summary(item), last_happened(item, now)
                case "controllers":
                    yield controller_row(item, now)
                case "events":
                    yield event_row(item, ago(happened(item), now))
                case "runtime":
                    yield from ((key, value) for key, value in item.items() if key not in ENVELOPE)
                case "generations":
                    yield generation_row(item, now, {})
                case "consumers":
                    updated = ago(item.get("updatedAt"), now)
                    yield item.get("name"), item.get("cursor"), item.get("lag"), updated
                case "prefixes":
                    yield from prefix_rows(item, now, self._out.wide)
                case "ledger":
                    started = ago(item.get("startedAt"), now)
                    yield item.get("generation"), item.get("phase"), started, bool(item.get("hasYaml"))


def status_line(out: Out, status: Object) -> str:
    """`STATUS Healthy generation=3 resources=5`."""
    status = part(status, "status") or status
    phase = cell(status.get("phase") or "Unknown")
    counts = f"generation={cell(status.get('generation'))} resources={cell(status.get('resourceCount'))}"
    return f"STATUS {out.paint(role(phase), phase)} {counts}"


def controller_row(one: Object, now: float) -> tuple[object, ...]:
    """A ControllerStatus under its header."""
    return (
        one.get("name"),
        one.get("mode"),
        one.get("resourceKinds"),
        one.get("reconcileCount") or 0,
        ago(one.get("lastReconcileTime"), now),
        one.get("lastDuration"),
        one.get("reconcileErrorCount") or 0,
        one.get("lastError") if one.get("currentError") else None,
    )


def generation_row(item: Object, now: float, marks: Mapping[str, str]) -> tuple[object, ...]:
    """A generation under its header. `marks`: what to say behind some of the numbers."""
    number = cell(item.get("generation"))
    return (
        number + marks.get(number, ""),
        item.get("phase"),
        ago(item.get("startedAt"), now),
        _brief(str(item.get("actor") or "")),
        item.get("resourceCount"),
        _counts(item),
        item.get("hasYaml") is True,
    )


def _brief(actor: str) -> str:
    """`uid=0 pid=812 /usr/bin/routerctl request=01J8…` -> `uid=0 routerctl`; all of it stands with the one."""
    words = actor.split()
    programs = [word.rpartition("/")[2] for word in words if word.startswith("/")]
    return " ".join([words[0], *programs]) if words and words[0].startswith("uid=") else actor


def _counts(item: Object) -> str:
    """`+1 -2 ~3`: resources added, removed, changed; and whether it was taken back, or took back another."""
    signs = (("+", "added"), ("-", "removed"), ("~", "changed"))
    counts = [f"{sign}{cell(item[key])}" for sign, key in signs if item.get(key)]
    back = [f"back to {cell(item['restores'])}"] if item.get("restores") else []
    return " ".join([*counts, *back, *(["reverted"] if item.get("reverted") is True else [])])
