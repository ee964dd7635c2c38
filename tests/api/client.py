"""A plain HTTP client for tests, on trio, over Unix sockets. Every answer is held against the OpenAPI document."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any
from urllib.parse import quote, urlsplit

import attrs
import h11
import jsonschema
import trio

from routerd.api import openapi
from routerd.api.app import OPERATIONS
from routerd.api.wire import PREFIX

JSON = "application/json"


@attrs.frozen
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        return self.json["error"]


@cache
def document() -> dict[str, Any]:
    return openapi.document(OPERATIONS)


@cache
def _templates() -> dict[str, re.Pattern[str]]:
    return {path: re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))) for path in document()["paths"]}


@cache
def _validator(path: str, method: str, status: int, media: str) -> jsonschema.Draft202012Validator:
    """Fails with KeyError when the document does not know that this status can be."""
    described = document()["paths"][path][method]["responses"][str(status)]["content"][media]
    schema = {**described["schema"], "components": document()["components"]}
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


@cache
def _error_validator() -> jsonschema.Draft202012Validator:
    schema = {"$ref": "#/components/schemas/Error", "components": document()["components"]}
    return jsonschema.Draft202012Validator(schema)


def check(method: str, target: str, answer: Answer) -> None:
    """Whether the document foresees this answer."""
    path = urlsplit(target).path
    if answer.status != 200:
        assert answer.headers.get("x-request-id"), "every answer has a request id"
    media = answer.headers["content-type"].partition(";")[0]
    found = next((template for template, pattern in _templates().items() if pattern.fullmatch(path)), None)
    known = document()["paths"].get(found or "", {})
    documented = {"GET": "get", "HEAD": "get", "POST": "post"}.get(method, "")
    if documented in known:
        validator = _validator(str(found), documented, answer.status, media)
    else:
        assert answer.status in (400, 404, 405, 413), answer
        validator = _error_validator()
    if method != "HEAD":
        assert int(answer.headers["content-length"]) == len(answer.body)
        validator.validate(answer.json if media == JSON else answer.body.decode())
        if answer.status != 200 and "requestId" in answer.json:
            assert answer.json["requestId"] == answer.headers["x-request-id"]


def control(path: str, **query: object) -> str:
    """A target of the control API. `_` in names of parameters stands for `-`; a list repeats one."""
    pairs = [
        f"{name.replace('_', '-')}={quote(str(value), safe='')}"
        for name, given in query.items()
        for value in (given if isinstance(given, list) else [given])
    ]
    return PREFIX + path + ("?" + "&".join(pairs) if pairs else "")


class Session:
    """One connection, kept open from request to request."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._http = h11.Connection(h11.CLIENT)

    async def ask(
        self, target: str, method: str = "GET", body: bytes = b"", headers: Mapping[str, str] = {}, checked: bool = True
    ) -> Answer:
        await self.begin(target, method, body, headers)
        answer = await self.finish()
        if checked:
            check(method, target, answer)
        return answer

    async def begin(self, target: str, method: str = "GET", body: bytes = b"", headers: Mapping[str, str] = {}) -> None:
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        fields = {"Host": "routerd", **headers}
        if (body or method == "POST") and "Transfer-Encoding" not in fields:
            fields["Content-Length"] = str(len(body))
        data = self._http.send(h11.Request(method=method, target=target, headers=list(fields.items()))) or b""
        data += self._http.send(h11.Data(data=body)) or b"" if body else b""
        data += self._http.send(h11.EndOfMessage()) or b""
        await self.stream.send_all(data)

    async def head(self) -> Answer:
        """Status and headers; the body is to come."""
        response = await self._event()
        assert isinstance(response, h11.Response), response
        headers = {name.decode(): value.decode() for name, value in response.headers}
        return Answer(response.status_code, headers, b"")

    async def piece(self) -> bytes:
        """The next piece of the body; empty at its end."""
        event = await self._event()
        return bytes(event.data) if isinstance(event, h11.Data) else b""

    async def finish(self) -> Answer:
        answer = await self.head()
        body = b""
        while piece := await self.piece():
            body += piece
        return attrs.evolve(answer, body=body)

    async def _event(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self.stream.receive_some(65536))
        return event


async def dial(path: str) -> Session:
    return Session(await trio.open_unix_socket(path))


async def fetch(path: str, target: str, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
    """One request on a connection of its own. `headers` with `_` for `-`."""
    session = await dial(path)
    async with session.stream:
        return await session.ask(
            target, method, body, {name.replace("_", "-"): value for name, value in headers.items()}
        )


async def talk(path: str, *parts: bytes, end: bool = False, pause: float = 0.0) -> bytes:
    """Send bytes as they are; what comes back until the server closes. `end`: then close our sending side."""
    stream = await trio.open_unix_socket(path)
    async with stream:
        with suppress(trio.BrokenResourceError):  # it may not want to hear it all; its answer is there to read
            for part in parts:
                await stream.send_all(part)
                await trio.sleep(pause)
            if end:
                await stream.send_eof()
        return await drain(stream)


async def drain(stream: trio.SocketStream) -> bytes:
    """Everything until the server closes."""
    received = b""
    try:
        while data := await stream.receive_some(65536):
            received += data
    except trio.BrokenResourceError:
        pass
    return received
