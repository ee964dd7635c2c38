"""Attributes of emitted events: `${…}` and what stands for it (contract §3.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from routerd.events.types import Event
from routerd.resources.rules import VARIABLE

LATE = frozenset({"correlation", "count"})
"""What is known only when the rule fires."""


def wanted(templates: Iterable[str]) -> tuple[str, ...]:
    """The variables in the templates that an event answers, each once."""
    found = dict.fromkeys(name for template in templates for name in VARIABLE.findall(template))
    return tuple(name for name in found if name not in LATE)


def expanded(templates: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """The templates with the values in their places; nothing where there is no value."""
    return {key: VARIABLE.sub(lambda match: values.get(match[1], ""), template) for key, template in templates.items()}


def value_of(event: Event, variable: str) -> str | None:
    """What an event has for a variable, or for a part of it by which events are correlated."""
    room, _, part = variable.partition(".")
    match room:
        case "event":
            return event.topic
        case "attributes":
            shown = {"resource.kind": "kind", "resource.name": "name"}.get(part)
            given = event.attributes.get(part)
            return given if given is not None or shown is None else getattr(event.resource, shown, None)
        case "resource":
            return getattr(event.resource, "api_version" if part == "apiVersion" else part, None)
        case _:
            return getattr(event.source, part, None)
