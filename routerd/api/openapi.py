"""The OpenAPI 3.1 document, made of the same operations and answer classes that serve (contract rule 8)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import orjson

from routerd import __version__
from routerd.api.access import Role
from routerd.api.operation import Operation, Param
from routerd.api.wire import JSON, PREFIX, Error
from routerd.api.wire_daemon import DaemonHealth
from routerd.api.wire_status import Checked
from routerd.shapes.schema import Refs, schema_of

ALWAYS = (400, 403, 404, 405, 413, 500)
"""Statuses outside 2xx that any operation may have."""
REASONS = {
    400: "Bad input: `error.field` names it.",
    403: "This peer may not do this, or not by this socket.",
    404: "No such path or object.",
    405: "Wrong method; `Allow` has the right ones.",
    409: "The state of the daemon does not allow it.",
    412: "`If-Match` names another generation than the latest.",
    410: "The cursor is stale; `error.oldest` can be read on from.",
    413: "The body is too large.",
    500: "A defect of routerd.",
    501: "This version, or this daemon, does not have it.",
    503: "Not now.",
}

Document = dict[str, Any]


def document(operations: Iterable[Operation]) -> Document:
    """The whole document."""
    answers = Refs("#/components/schemas/", answers=True)
    bodies = Refs("#/components/schemas/")
    paths: Document = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, answers, bodies)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "routerd",
            "version": __version__,
            "summary": "Control API and daemon API v1alpha1, over Unix sockets",
            "license": {"name": "BSD-2-Clause", "identifier": "BSD-2-Clause"},
        },
        "servers": [{"url": "http://routerd", "description": "any host name: the transport is a Unix socket"}],
        "tags": [
            {"name": "main", "description": "Served on routerd.sock."},
            {"name": "status", "description": "Served on routerd-status.sock, for any local user."},
            {"name": "daemon", "description": "Served on the socket of each managed daemon."},
        ],
        "paths": paths,
        "components": {"schemas": {**bodies.schemas, **answers.schemas}},
    }


def encoded(operations: Iterable[Operation]) -> bytes:
    """The same as JSON."""
    return orjson.dumps(document(operations), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _operation(operation: Operation, answers: Refs, bodies: Refs) -> Document:
    described: Document = {
        "operationId": _name(operation),
        "summary": operation.summary,
        "description": f"Takes the role {operation.role}.",
        "tags": list(operation.doors),
        "parameters": [*_path_params(operation.path), *map(_param, operation.params), *_conditions(operation)],
        "responses": _responses(operation, answers),
    }
    if operation.body is not None:
        content = {JSON: {"schema": schema_of(operation.body, bodies)}}
        described["requestBody"] = {"required": False, "content": content}
    return described


def _name(operation: Operation) -> str:
    words = re.findall(r"[a-zA-Z0-9]+", operation.path.removeprefix(PREFIX))
    return operation.method.lower() + "".join(word[:1].upper() + word[1:] for word in words)


def _path_params(path: str) -> list[Document]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", path)
    ]


def _conditions(operation: Operation) -> list[Document]:
    """Headers under which it is done, or is not."""
    if not operation.conditional:
        return []
    words = 'The generation that was seen last, as "12": if it is not the latest any more, 412 and nothing is done.'
    schema = {"type": "string"}
    return [{"name": "If-Match", "in": "header", "required": False, "description": words, "schema": schema}]


def _param(param: Param) -> Document:
    schema = {"type": "array", "items": param.schema} if param.many else param.schema
    told = param.help if param.role is Role.OBSERVER else f"{param.help} Takes the role {param.role}."
    return {"name": param.name, "in": "query", "required": param.required, "description": told, "schema": schema}


def _responses(operation: Operation, answers: Refs) -> Document:
    error = {JSON: {"schema": schema_of(Error, answers)}}
    absent = operation.answer is None
    statuses = sorted({*ALWAYS, *operation.refusals, *((501,) if absent else ())})
    responses = {str(status): {"description": REASONS[status], "content": error} for status in statuses}
    if operation.answer is None:
        return responses
    content: Document = {media: {"schema": schema_of(operation.answer, answers)} for media in operation.media}
    if operation.answer in (Checked, DaemonHealth):
        responses["503"] = {"description": "Not well: `status` is failed.", "content": content}
    if operation.streams:
        content = {**content, "text/event-stream": {"schema": {"type": "string"}}}
    return {"200": {"description": "It is so.", "content": content}, **responses}
