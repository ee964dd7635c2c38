"""`GET /schema.json`: the JSON Schema of a configuration, as `routerd schema` prints it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson
from quart.wrappers import Response

from routerd.api.access import Role
from routerd.api.operation import Call, Operation, answer
from routerd.config.schema import document_schema


async def get_schema(_: Call) -> Response:
    """`GET /schema.json`."""
    return answer(_schema())


@cache
def _schema() -> bytes:
    return orjson.dumps(document_schema(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


OPERATIONS = (
    Operation(
        "GET",
        "/schema.json",
        "The JSON Schema of a configuration.",
        Role.OBSERVER,
        get_schema,
        Mapping[str, Any],
    ),
)
