"""Names of fields that hold, or may hold, a secret: gathered from the types of all kinds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import attrs

from routerd.resources.kinds import KINDS
from routerd.shapes.convert import fields_of
from routerd.shapes.secret import Secret


def _names(tp: Any) -> Iterator[str]:
    if isinstance(tp, type) and attrs.has(tp):
        for name, field in fields_of(tp).items():
            if field.type is Secret or Secret in get_args(field.type) or field.metadata.get("sensitive"):
                yield name
            yield from _names(field.type)
    for inner in get_args(tp):
        yield from _names(inner)


SENSITIVE = frozenset(name for kind in KINDS.values() for name in _names(kind.spec))
