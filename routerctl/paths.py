"""Paths into JSON values, as kubectl writes the simple ones: `.status.phase`, `{.items[*].name}`, `.spec['a.b']`."""

from __future__ import annotations

import re

from routerctl.errors import Exit, Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Path = Sequence[str | int]

ANY = "*"
"""The step to each element of a list, or each value of an object."""

_STEP = re.compile(r"\.?([^.\[\]=]+)|\[(\d+)\]|\[(\*)\]|\['([^']*)'\]", re.ASCII)


def parse_path(expression: str, text: str = "") -> list[str | int]:
    """The steps of a path. `text`: all that was typed. Raises Failure (usage)."""
    plain = expression.removeprefix("{").removesuffix("}")
    found = list(_STEP.finditer(plain))
    if not found or "".join(step[0] for step in found) != plain:
        raise Failure(Exit.USAGE, f'"{text or expression}" has no path', "for example .status.currentAddress")
    return [int(step[2]) if step[2] else step[1] or step[3] or step[4] for step in found]


def found_at(value: Any, path: Path) -> list[Any]:
    """What is there: nothing, one value, or with `*` any number."""
    values = [value]
    for step in path:
        values = [deeper for one in values for deeper in _below(one, step)]
    return values


def _below(value: Any, step: str | int) -> list[Any]:
    if step == ANY:
        return list(value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())
    try:
        return [] if isinstance(value, str) else [value[step]]
    except (KeyError, IndexError, TypeError):
        return []
