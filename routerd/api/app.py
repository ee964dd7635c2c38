"""The one Quart application that serves every socket: routes, access, refusals.

It holds nothing: the router, the socket and the peer come with each request in `scope["state"]`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any

from quart.globals import request_ctx
from quart.utils import encode_headers
from quart.wrappers import Request, Response
from quart.wrappers.response import DataBody
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection
from werkzeug.exceptions import HTTPException, InternalServerError, MethodNotAllowed, RequestEntityTooLarge

from routerd.api import control, daemon, openapi
from routerd.api.access import Client, Role, role_of
from routerd.api.operation import Call, Doorway, Operation, answer
from routerd.api.refusal import Refusal, encode_error, new_request_id

MAX_BODY = 1 << 20


class Exchange(TrioASGIHTTPConnection):
    """A request and its answer, in one task (quart-trio has three). A client that goes away cancels it: the
    connection sees to that. The body is read before anything else, and no further than MAX_BODY."""

    async def __call__(self, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        self.scope["state"]["request_id"] = new_request_id()
        if not self.scope["path"].startswith("/"):
            self.scope["path"] = "/" + self.scope["path"]  # nothing is served there, and Quart expects it
        request = self._create_request_from_scope(send)
        size, more = 0, True
        while more:
            part = await receive()
            request.body.append(part["body"])
            size, more = size + len(part["body"]), part["more_body"]
            if size > MAX_BODY or (request.content_length or 0) > MAX_BODY:
                request.routing_exception = RequestEntityTooLarge()
                break
        request.body.set_complete()
        await self._send_response(send, await self.app.handle_request(request))

    async def _send_response(self, send: Callable[[Any], Awaitable[None]], response: Any) -> None:
        response.headers["x-request-id"] = self.scope["state"]["request_id"]
        if isinstance(response.response, DataBody):
            headers = encode_headers(response.headers)
            await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            await send({"type": "http.response.body", "body": response.response.data})
        else:
            await super()._send_response(send, response)


async def get_openapi(_: Call) -> Response:
    """`GET /openapi.json`."""
    return answer(_document())


OPERATIONS = (
    *control.OPERATIONS,
    *daemon.OPERATIONS,
    Operation(
        "GET",
        "/openapi.json",
        "This document.",
        Role.OBSERVER,
        get_openapi,
        Mapping[str, Any],
        doors=("main", "status", "daemon"),
    ),
)
"""All that is served, on any socket."""


@cache
def _document() -> bytes:
    return openapi.encoded(OPERATIONS)


@cache
def make_app() -> QuartTrio:
    """The application: control API and daemon API."""
    app = QuartTrio("routerd.api", static_folder=None)
    app.asgi_http_class = Exchange
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    for number, operation in enumerate(OPERATIONS):
        rule = operation.path.replace("{", "<").replace("}", ">")
        app.add_url_rule(
            rule,
            f"{number} {operation.path}",
            _view(operation),
            methods=[operation.method],
            provide_automatic_options=False,
        )
    app.register_error_handler(HTTPException, _http_exception)
    app.register_error_handler(InternalServerError, _our_fault)
    return app


def _view(operation: Operation) -> Callable[..., Awaitable[Response]]:
    defaults = operation.defaults

    async def view(**path: str) -> Response:
        request = request_ctx.request
        state = request.scope["state"]
        doorway: Doorway = state["doorway"]
        try:
            if doorway.kind not in operation.doors:
                raise _unknown(request)
            client = Client(state["peer"], state["request_id"], doorway.path)
            if operation.role is not Role.OBSERVER:
                await _check_role(operation, doorway, client)
            query = defaults
            if query is None or request.query_string:
                query = operation.query(request.args.to_dict(flat=False))
            return await operation.handler(Call(request, doorway, state["server"], client, query, path))
        except Refusal as refusal:
            return _refused(request, refusal)

    return view


async def _check_role(operation: Operation, doorway: Doorway, client: Client) -> None:
    """Whether this peer may do this by this socket. Raises Refusal."""
    role = role_of(client.peer, doorway.groups)
    if doorway.kind != "status" and role >= operation.role:
        return
    if role >= operation.role:
        why, hint = "the status socket is for observing only", f"use {doorway.main_path}"
    else:
        why = f"user {client.peer.uid} is {role}, and this takes {operation.role}"
        hint = f"{_WHO[operation.role]}, by {doorway.main_path if doorway.kind == 'status' else doorway.path}"
    await doorway.audit.refused(client, f"{operation.method} {operation.path}", why)
    raise Refusal(403, "denied", why, hint=hint)


_WHO = {
    Role.OPERATOR: "members of the group routerd and root may",
    Role.ADMIN: "root, and the members of the group that the configuration names, may",
}


def _unknown(request: Request) -> Refusal:
    return Refusal(
        404, "not-found", f"there is nothing at {request.path[:200]}", hint="/openapi.json tells what there is"
    )


def _refused(request: Request, refusal: Refusal) -> Response:
    response = answer(encode_error(refusal.detail, request.scope["state"]["request_id"]), refusal.status)
    response.headers.update(refusal.headers)
    return response


async def _http_exception(error: HTTPException) -> Response:
    request = request_ctx.request
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        words = f"{request.method} is not for {request.path[:200]}"
        return _refused(request, Refusal(405, "method", words, hint=f"use {allowed}", headers={"Allow": allowed}))
    if isinstance(error, RequestEntityTooLarge):
        return _refused(request, Refusal(413, "too-large", f"a body has at most {MAX_BODY} bytes"))
    if error.code == 404:
        return _refused(request, _unknown(request))
    return _refused(request, Refusal(error.code or 500, "http", error.description or error.name))


async def _our_fault(error: InternalServerError) -> Response:
    """Quart has logged the traceback; it never leaves."""
    request = request_ctx.request
    words = "routerd failed to answer this; its log has the reason, under this request id"
    return _refused(request, Refusal(500, "internal", words))
