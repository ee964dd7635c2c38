"""What `wait` waits for: `phase=Bound`, `condition=Ready`, `deleted`, `jsonpath=.status.x=v`, read and judged."""

from __future__ import annotations

import json

from routerctl.client import entries, part
from routerctl.errors import Exit, Failure
from routerctl.paths import found_at, parse_path
from routerctl.resources import newest_event, phase_of
from routerctl.words import cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from routerctl.client import Object


class Wanted:
    """One condition on a resource, which is None when there is none. `text` is as it was typed."""

    __slots__ = ("_expected", "_key", "_path", "_test", "text")

    def __init__(self, text: str) -> None:
        """Raises Failure (usage)."""
        self.text = text
        self._test, _, rest = text.partition("=")
        self._key, _, self._expected = rest.partition("=")
        self._path: list[str | int] = []
        if self._test == "jsonpath":
            self._key, self._expected = _split(rest)
            self._path = parse_path(self._key, text)
        if self._test not in ("condition", "phase", "deleted", "jsonpath") or (self._test != "deleted") != bool(rest):
            hint = "phase=Bound, condition=Ready, condition=Ready=False, deleted, or jsonpath=.status.field=value"
            raise Failure(Exit.USAGE, f'"{text}" is not a condition', hint)

    def holds(self, resource: Object | None) -> bool:
        """Whether the resource is like that now."""
        if resource is None or self._test == "deleted":
            return self._test == "deleted" and resource is None
        if self._test == "phase":
            return phase_of(resource).lower() == self._key.lower()
        if self._test == "condition":
            found = condition_of(resource, self._key).get("status")
            return str(found).lower() == (self._expected or "True").lower()
        found = _at(resource, self._path)
        return _text(found) == self._expected if self._expected else found not in (None, "", [], {})

    def lacking(self, resource: Object) -> str:
        """What keeps it from holding, when the phase does not tell."""
        if self._test == "condition":
            found = condition_of(resource, self._key)
            return f"{self._key} is {cell(found.get('status') or 'not there yet')}"
        if self._test == "jsonpath":
            return f"{self._key} is {cell(_at(resource, self._path))}"
        return ""


def condition_of(resource: Object, kind: str) -> Object:
    """The condition of a type, any case; empty when there is none."""
    conditions = entries(part(resource, "status"), "conditions")
    return next((one for one in conditions if str(one.get("type")).lower() == kind.lower()), {})


def blocker(resource: Object, unmet: list[Wanted]) -> str:
    """Why it is not so yet: `Acquiring (no offer after 3 DISCOVER)`."""
    status = part(resource, "status")
    told = [
        str(one["message"])
        for one in entries(status, "conditions")
        if one.get("status") != "True" and one.get("message")
    ]
    event = newest_event(resource)
    why = [status.get("message"), *told, event.get("message"), status.get("reason"), event.get("reason")]
    reason = next((str(text) for text in why if text), "")
    lacking = [text for text in (one.lacking(resource) for one in unmet) if text]
    return "; ".join([phase_of(resource) + (f" ({reason})" if reason else ""), *lacking])


def _split(rest: str) -> tuple[str, str]:
    """`{.a.b}=v` or `.a.b=v` -> path, value."""
    if rest.startswith("{"):
        expression, _, value = rest[1:].partition("}")
        return expression, value.removeprefix("=")
    expression, _, value = rest.partition("=")
    return expression, value


def _at(value: Any, path: list[str | int]) -> Any:
    """The first value there; None when there is none."""
    return next(iter(found_at(value, path)), None)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
