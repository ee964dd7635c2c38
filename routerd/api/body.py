"""The JSON body of a request as one of our classes."""

from __future__ import annotations

from typing import TypeVar

import orjson

from routerd.api.operation import Call
from routerd.api.refusal import Refusal
from routerd.shapes.convert import from_wire
from routerd.shapes.invalid import Problems, dotted

T = TypeVar("T")

_HEAD = {"apiVersion": "unsupported apiVersion", "kind": "unsupported kind"}
"""What may be left out, and must be right when it is there; in the words that existing clients know."""


async def body_of(call: Call, cls: type[T]) -> T:
    """The body as `cls`; an empty one as an empty object. Raises Refusal (400) for what is no JSON, and for fields that
    are unknown, missing or wrong."""
    body = await call.request.get_data()
    try:
        return from_wire(cls, orjson.loads(body) if body.strip() else {})
    except orjson.JSONDecodeError as error:
        raise Refusal(400, "body.json", f"bad request: the body is not JSON: {error}") from None
    except Problems as problems:
        first = problems.problems[0]
        field = dotted(first.path) or None
        words = f"{_HEAD[field]}: {first}" if field in _HEAD else f"bad request: {problems}"
        raise Refusal(400, first.code, words, field=field, hint=first.hint or None) from None
