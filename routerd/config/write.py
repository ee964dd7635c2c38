"""Plain values as YAML that `compose` reads as the same values: in lines, or in JSON's form on one line."""

from __future__ import annotations

import json
import re
from typing import Any

from routerd.config.compose import resolved

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_BREAKS = re.compile("[\x7f-\x9f\u2028\u2029\ufeff]")
"""What JSON leaves as it is, and YAML takes for the end of a line or refuses."""


def written(value: Any) -> list[str]:
    """A mapping or list as lines without indentation; anything else as one."""
    if isinstance(value, dict) and value:
        return [line for name, inner in value.items() for line in _entry(name, inner)]
    if isinstance(value, list) and value:
        return [line for inner in value for line in item(inner)]
    return [on_one_line(value)]


def item(value: Any) -> list[str]:
    """One item of a list: its first line begins with the dash."""
    first, *rest = written(value)
    return [f"- {first}", *(f"  {line}" for line in rest)]


def on_one_line(value: Any) -> str:
    """`{"a": [1, "x"]}`; a word that can mean nothing else stands without quotes."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and resolved(value) == value:
        return value
    return _BREAKS.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))


def _entry(name: str, value: Any) -> list[str]:
    key = on_one_line(name)
    nested = bool(value) and (isinstance(value, dict) or (isinstance(value, list) and isinstance(value[0], dict)))
    if not nested:
        return [f"{key}: {on_one_line(value)}"]
    return [f"{key}:", *(f"  {line}" for line in written(value))]
