"""How two configurations differ, field by field. Secrets are seen to differ, and shown as `***`: by their type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import attrs

from routerd.config.router import Router
from routerd.resources.resource import Resource
from routerd.shapes.convert import fields_of, to_wire

Change = Literal["added", "removed", "changed"]


@attrs.frozen
class FieldDiff:
    """A field by its path (`spec.sendOptions[0].code`), and its values as the API shows them; None: not there."""

    path: str
    before: Any = None
    after: Any = None


@attrs.frozen
class ResourceDiff:
    """A resource that is not the same in both."""

    resource: Resource[Any]
    change: Change
    fields: tuple[FieldDiff, ...]


def diff(before: Router, after: Router) -> tuple[ResourceDiff, ...]:
    """What is different, in the order of `after`; then what is not there any more, in that of `before`."""
    old, new = _by_key(before), _by_key(after)
    found = [_compared(old.get(key), resource) for key, resource in new.items()]
    gone = [_difference(resource, "removed", resource, None) for key, resource in old.items() if key not in new]
    return (*(one for one in found if one is not None), *gone)


def _by_key(router: Router) -> dict[tuple[str, str, str], Resource[Any]]:
    return {(one.api_version, one.kind, one.name): one for one in router.resources}


def _compared(before: Resource[Any] | None, after: Resource[Any]) -> ResourceDiff | None:
    if before is None:
        return _difference(after, "added", None, after)
    return None if before == after else _difference(after, "changed", before, after)


def _difference(
    shown: Resource[Any], change: Change, before: Resource[Any] | None, after: Resource[Any] | None
) -> ResourceDiff:
    fields = (
        field
        for name in ("spec", "owner_refs", "annotations")
        for field in _fields(_path(name), getattr(before, name, None), getattr(after, name, None))
    )
    return ResourceDiff(shown, change, tuple(fields))


def _path(name: str) -> str:
    return name if name == "spec" else {"owner_refs": "metadata.ownerRefs", "annotations": "metadata.annotations"}[name]


def _fields(path: str, before: Any, after: Any) -> Iterator[FieldDiff]:
    """The leaves that differ. What is there on one side only is taken apart like what is there on both."""
    before, after = _there(before), _there(after)
    if before == after:
        return
    present = after if after is not None else before
    if before is None or after is None or type(before) is type(after):
        inner = list(_inside(present, before, after))
        if inner:
            for name, one, other in inner:
                yield from _fields(path + name, one, other)
            return
    yield FieldDiff(path, to_wire(before), to_wire(after))


def _inside(present: Any, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    """What a value is made of, each part with what it was and is."""
    cls: Any = type(present)
    if attrs.has(cls):
        for wire, field in fields_of(cls).items():
            yield f".{wire}", getattr(before, field.name, None), getattr(after, field.name, None)
    elif isinstance(present, Mapping):
        one, other = before or {}, after or {}
        names = (*other, *sorted(one.keys() - other.keys()))
        yield from ((f".{name}", one.get(name), other.get(name)) for name in names)
    elif isinstance(present, tuple | list) and attrs.has(type(present[0])):
        ones, others = before or (), after or ()
        for place in range(max(len(ones), len(others))):
            yield f"[{place}]", _at(ones, place), _at(others, place)


def _there(value: Any) -> Any:
    """What is empty is as good as nothing."""
    return None if isinstance(value, tuple | list | Mapping) and not value else value


def _at(values: Any, place: int) -> Any:
    return values[place] if place < len(values) else None
