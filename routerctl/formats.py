"""The formats of `-o`: which there are, and a value in each of them."""

from __future__ import annotations

import io
import json

from routerctl.errors import Exit, Failure
from routerctl.paths import parse_path
from routerctl.words import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from routerctl.paths import Path

FORMATS = ("table", "wide", "json", "yaml", "jsonl", "name", "jsonpath=PATH", "custom-columns=TITLE:PATH,…")


def form_of(text: str) -> str:
    """A format, as it was typed. Raises Failure (usage)."""
    known = [form.partition("=")[0] + ("=" if "=" in form else "") for form in FORMATS]
    if text not in known and not text.startswith(tuple(form for form in known if form.endswith("="))):
        raise Failure(Exit.USAGE, f'there is no format "{text}"', "one of " + ", ".join(FORMATS))
    paths_of(*text.partition("=")[::2])
    return text


def paths_of(form: str, text: str) -> list[tuple[str, Path]]:
    """Titles and paths of `jsonpath=PATH` and `custom-columns=TITLE:PATH,TITLE:PATH`. Raises Failure (usage)."""
    if form == "jsonpath":
        return [("", parse_path(text))]
    pairs = [column.partition(":") for column in text.split(",")] if form == "custom-columns" else []
    return [(clean(title), parse_path(path, text)) for title, _, path in pairs]


def only(found: list[Any]) -> Any:
    """One value as it is, several as a list."""
    return found[0] if len(found) == 1 else found


def as_json(value: Any, *, compact: bool) -> str:
    """JSON without a character that a terminal might obey."""
    text = json.dumps(
        value, ensure_ascii=False, indent=None if compact else 2, separators=(",", ":") if compact else None
    )
    if text.isascii() and "\x7f" not in text:
        return text
    # What JSON may hold raw and a terminal might obey can only stand inside strings, and may be escaped there.
    return "".join(
        ch if ch.isprintable() or ch == "\n" else json.dumps(ch)[1:-1].replace("\x7f", r"\u007f") for ch in text
    )


def as_yaml(value: Any) -> str:
    """YAML; the same. Raises Failure without ruamel.yaml."""
    try:
        from ruamel.yaml import YAML
    except ImportError:
        raise Failure(Exit.FAILED, "-o yaml needs the package ruamel.yaml", "use -o json") from None
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 1 << 20
    text = ""
    for yaml.allow_unicode in (True, False):
        stream = io.StringIO()
        yaml.dump(value, stream)
        text = stream.getvalue()
        if text.replace("\n", "").isprintable():
            break
    return text
