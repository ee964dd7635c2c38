"""How two configurations differ, field by field. Secrets are seen to differ, and shown as `***`: by their type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import attrs

from routerd.config.router import Router
from routerd.resources.resource import Resource
from routerd.shapes.convert import fields_of, present, to_wire

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


def _fields(path: str, before: Any, after: Any, tp: Any = None) -> Iterator[FieldDiff]:
    """The leaves that differ. What is there on one side only is taken apart like what is there on both. `tp`: the
    declared type."""
    before, after = _there(before), _there(after)
    if before == after:
        return
    value = after if after is not None else before
    if before is None or after is None or type(before) is type(after):
        inner = list(_inside(value, before, after))
        if inner:
            for name, one, other, declared in inner:
                yield from _fields(path + name, one, other, declared)
            return
    yield FieldDiff(path, _wire(before, tp), _wire(after, tp))


def _wire(value: Any, tp: Any) -> Any:
    return None if value is None else to_wire(value, tp)


def _inside(value: Any, before: Any, after: Any) -> Iterator[tuple[str, Any, Any, Any]]:
    """What a value is made of, each part with what it was and is, and its declared type if it has one. Of what is there
    on one side only, defaults are not told."""
    cls: Any = type(value)
    if attrs.has(cls):
        alone = before is None or after is None
        for wire, field in fields_of(cls).items():
            one, other = getattr(before, field.name, None), getattr(after, field.name, None)
            if not (alone and getattr(value, field.name) == field.default):
                yield f".{wire}", one, other, present(field.type)
    elif isinstance(value, Mapping):
        one, other = before or {}, after or {}
        names = (*other, *sorted(one.keys() - other.keys()))
        yield from ((f".{name}", one.get(name), other.get(name), None) for name in names)
    elif isinstance(value, tuple | list) and attrs.has(type(value[0])):
        ones, others = before or (), after or ()
        for place in range(max(len(ones), len(others))):
            yield f"[{place}]", _at(ones, place), _at(others, place), None


def _there(value: Any) -> Any:
    """What is empty is as good as nothing."""
    return None if isinstance(value, tuple | list | Mapping) and not value else value


def _at(values: Any, place: int) -> Any:
    return values[place] if place < len(values) else None
