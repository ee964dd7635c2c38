"""What all answers have in common: how they are encoded, and the shape of an error. The others are in `wire_status`,
`wire_resources`, `wire_changes`, `wire_daemon` …: from these classes come both the JSON and the OpenAPI document.

Absent means not known: an attribute whose default is None is left out when it is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import attrs
import orjson

from routerd.shapes.convert import to_wire

CONTROL: Final = "control.routerd.net/v1alpha1"
ControlVersion = Literal["control.routerd.net/v1alpha1"]
PREFIX: Final = f"/api/{CONTROL}"
"""Where the paths of the control API begin."""

JSON = "application/json"


def encode(answer: Any) -> bytes:
    """JSON of the control API: indented, for people with curl, at the price of some blanks. What is in its wire form
    already, as a page of events is, is not gone through again."""
    return orjson.dumps(answer, default=to_wire, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def encode_compact(answer: Any) -> bytes:
    """JSON of the daemon API, and of event streams: one line."""
    return orjson.dumps(answer, default=to_wire, option=orjson.OPT_APPEND_NEWLINE)


@attrs.frozen
class ConfigProblem:
    """One error of a configuration. `label` is the resource (`Kind/name`), `field` the path in it; `excerpt` shows the
    place to people, as rustc does. What may be a secret is not in it."""

    message: str
    code: str
    line: int
    column: int
    excerpt: str
    source: str
    label: str | None = None
    field: str | None = None
    hint: str | None = None


@attrs.frozen
class ErrorDetail:
    """What is wrong, for a person (message, hint) and for a program (code, field)."""

    message: str
    code: str
    field: str | None = None
    """The query parameter or body field to blame."""
    line: int | None = None
    column: int | None = None
    hint: str | None = None
    oldest: str | None = None
    """With 410: the oldest cursor that can be read on from."""
    errors: Sequence[ConfigProblem] | None = None
    """Of a configuration: all of them."""


@attrs.frozen(kw_only=True)
class Error:
    """Every answer outside 2xx (contract rule 2)."""

    api_version: ControlVersion = CONTROL
    kind: Literal["Error"] = "Error"
    error: ErrorDetail
    request_id: str = attrs.field(metadata={"name": "requestId"})


@attrs.frozen
class Metadata:
    """Whose answer it is."""

    name: str
