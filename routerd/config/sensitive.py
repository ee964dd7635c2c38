"""Names of fields that hold, or may hold, a secret, and of what stands around them: from the types of all kinds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import attrs

from routerd.resources.kinds import KINDS
from routerd.shapes.convert import fields_of
from routerd.shapes.secret import Secret


def _secretive(field: attrs.Attribute[Any]) -> bool:
    return field.type is Secret or Secret in get_args(field.type) or bool(field.metadata.get("sensitive"))


def _classes(tp: Any, around: str = "", inside: tuple[type, ...] = ()) -> Iterator[tuple[str, type]]:
    """Every class in a type, itself included, with the name of the field that holds it. One that has itself inside is
    looked into once."""
    if isinstance(tp, type) and attrs.has(tp) and tp not in inside:
        yield around, tp
        for name, field in fields_of(tp).items():
            yield from _classes(field.type, name, (*inside, tp))
    for inner in get_args(tp):
        yield from _classes(inner, around, inside)


_HOLDERS = [
    (around, cls)
    for kind in KINDS.values()
    for around, cls in _classes(kind.spec)
    if any(map(_secretive, fields_of(cls).values()))
]

SENSITIVE = frozenset(name for _, cls in _HOLDERS for name, field in fields_of(cls).items() if _secretive(field))
"""`secret`: what stands behind it is not shown."""
AROUND = frozenset(around for around, _ in _HOLDERS if around)
"""`sendOptions`: a slip anywhere inside may put the secret where no name tells that it is one."""
NUMBERS = frozenset(name for _, cls in _HOLDERS for name, field in fields_of(cls).items() if field.type is int)
"""`code`: fields beside a secret that are numbers, and may be shown as long as they are."""
