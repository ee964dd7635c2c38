"""Events as rows of the database, and what a `Filter` means for both rows and events."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import attrs
import orjson

from routerd.events.topics import matches
from routerd.events.types import SEVERITIES, Event, Filter, Ref, Source, StoredEvent

COLUMNS = (
    "id, created_at, time, topic, severity, reason, message, api_version, kind, name, "
    "source, source_kind, source_instance, source_cursor, attributes, causes, actor, generation"
)
INSERT = f"insert into events ({COLUMNS}) values ({', '.join('?' * (COLUMNS.count(',') + 1))})"
INSERT_AGAIN = INSERT.replace("insert", "insert or replace")
"""For the first transaction after opening: a commit that failed may have reached the disk all the same."""

_RANK = {severity: rank for rank, severity in enumerate(SEVERITIES)}

Row = tuple[Any, ...]


def legible(event: Event) -> tuple[Event, str | None]:
    """The event in words that UTF-8 and JSON can say, and its attributes as JSON. What a peer sent may hold lone
    surrogates (undecodable octets): they become `\\udc80` and the like. Raises TypeError if an attribute is no text."""
    resource, source = event.resource, event.source
    names = f"{resource.kind}{resource.name}{resource.api_version}" if resource is not None else ""
    sayers = f"{source.name}{source.kind}{source.instance}" if source is not None else ""
    try:
        text = f"{event.topic}{event.reason}{event.message}{event.actor}{names}{sayers}"
        if not text.isascii():
            text.encode()
        return event, orjson.dumps(event.attributes).decode() if event.attributes else None
    except (UnicodeEncodeError, orjson.JSONEncodeError):
        event = _escaped(event)
        return event, orjson.dumps(event.attributes).decode()


def _escaped(event: Event) -> Event:
    def plain(value: Any) -> Any:
        return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value

    def plain_fields(value: Any) -> Any:
        return attrs.evolve(
            value, **{field.name: plain(getattr(value, field.name)) for field in attrs.fields(type(value))}
        )

    escaped: Event = attrs.evolve(
        plain_fields(event),
        attributes={plain(key): plain(value) for key, value in event.attributes.items()},
        resource=event.resource and plain_fields(event.resource),
        source=event.source and plain_fields(event.source),
    )
    return escaped


def to_row(stored: StoredEvent, attributes: str | None) -> Row:
    """The row of an event that `legible` has seen, `attributes` being its JSON."""
    event = stored.event
    resource, source = event.resource, event.source
    return (
        stored.id,
        stored.created_at,
        event.time,
        event.topic,
        _RANK[event.severity],
        event.reason,
        event.message,
        *((resource.api_version, resource.kind, resource.name) if resource is not None else (None, None, None)),
        *((source.name, source.kind, source.instance) if source is not None else (None, None, None)),
        stored.source_cursor,
        attributes,
        orjson.dumps(event.causes).decode() if event.causes else None,
        event.actor,
        event.generation,
    )


def from_row(row: Row) -> StoredEvent:
    """The inverse of `to_row`. Raises ValueError or IndexError on a row that we did not write."""
    number, created_at, time, topic, severity, reason, message, api_version, kind, name, *rest = row
    source, source_kind, source_instance, source_cursor, attributes, causes, actor, generation = rest
    if not all(isinstance(text, str) for text in (topic, reason, message, actor)) or not isinstance(time, int):
        raise ValueError(f"the row of event {number} holds what we never wrote")
    event = Event(
        topic=topic,
        severity=SEVERITIES[severity],
        reason=reason,
        message=message,
        resource=Ref(kind, name, api_version) if kind is not None else None,
        source=Source(source, source_kind, source_instance) if source is not None else None,
        attributes=orjson.loads(attributes) if attributes else {},
        causes=tuple(orjson.loads(causes)) if causes else (),
        actor=actor,
        generation=generation,
        time=time,
    )
    return StoredEvent(number, created_at, event, source_cursor)


@lru_cache(maxsize=1024)
def predicate(where: Filter) -> Callable[[StoredEvent], bool]:
    """`where` as a question about one event."""
    least = _RANK[where.severity]

    def wanted(stored: StoredEvent) -> bool:
        event = stored.event
        resource = event.resource
        return (
            (least == 0 or _RANK[event.severity] >= least)
            and (where.source is None or (event.source is not None and event.source.name == where.source))
            and (where.resource is None or resource == where.resource)
            and (where.kind is None or (resource is not None and resource.kind == where.kind))
            and (where.name is None or (resource is not None and resource.name == where.name))
            and topic_wanted(where, event.topic)
        )

    return wanted


def topic_wanted(where: Filter, topic: str) -> bool:
    """Whether one of the globs takes the topic in."""
    return not where.topics or any(matches(pattern, topic) for pattern in where.topics)


def condition(where: Filter) -> tuple[str, tuple[Any, ...]]:
    """`where` as SQL over the columns and its parameters; globs are asked of the SQL function `wanted(topic)`."""
    terms: list[tuple[str, Any]] = [("severity >= ?", _RANK[where.severity])] if where.severity != SEVERITIES[0] else []
    if where.resource is not None:
        ref = where.resource
        terms += [("kind = ?", ref.kind), ("name = ?", ref.name), ("api_version = ?", ref.api_version)]
    # `+` keeps off the indices that do not give the order of ids: sorting costs more than looking at every row.
    terms += [
        (f"+{column} = ?", value)
        for column, value in (("kind", where.kind), ("name", where.name), ("source", where.source))
        if value is not None
    ]
    clauses = [clause for clause, _ in terms] + (["wanted(topic)"] if where.topics else [])
    return " and ".join(clauses) or "true", tuple(value for _, value in terms)
