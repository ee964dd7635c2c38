"""The one Quart application that serves every socket: routes, access, refusals.

It holds nothing: the router, the socket and the peer come with each request in `scope["state"]`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, cached_property
from typing import Any

import trio
from quart.utils import encode_headers
from quart.wrappers import Request, Response
from quart.wrappers.response import DataBody
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import MapAdapter, Rule

from routerd.api import control, daemon, openapi
from routerd.api.access import Act, Client, Role, role_of
from routerd.api.operation import Call, Doorway, Operation, answer
from routerd.api.plane import Plane
from routerd.api.refusal import Refusal, encode_error, new_request_id
from routerd.api.traffic import UNKNOWN
from routerd.api.wire import PREFIX
from routerd.events.types import Ref
from routerd.shapes.instant import format_instant

log = logging.getLogger(__name__)

MAX_BODY = 1 << 20


class Exchange(TrioASGIHTTPConnection):
    """A request and its answer, in one task (quart-trio has three). A client that goes away cancels it: the
    connection sees to that. The body is read before anything else, and no further than MAX_BODY."""

    app: App

    async def __call__(self, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        self.scope["state"].update(request_id=new_request_id(), operation=None)
        self.scope["path"] = _path(self.scope["path"])
        request = self._create_request_from_scope(send)
        fits = await self._read_body(request, receive)
        response = await self.app.handle_request(request) if fits else _too_large(request)
        _count(request, response)
        await self._send_response(send, response)

    async def _read_body(self, request: Request, receive: Callable[[], Awaitable[Any]]) -> bool:
        size, more = 0, True
        while more and size <= MAX_BODY:
            part = await receive()
            request.body.append(part["body"])
            size, more = size + len(part["body"]), part["more_body"]
        request.body.set_complete()
        return size <= MAX_BODY

    async def _send_response(self, send: Callable[[Any], Awaitable[None]], response: Any) -> None:
        if (pending := self.scope["state"]["doorway"].plane.commits.pending) is not None:
            response.headers["x-routerd-pending"] = f"{pending.generation} {format_instant(pending.confirm_by)}"
        if isinstance(response.response, DataBody):
            headers = encode_headers(response.headers)
            headers.append((b"x-request-id", self.scope["state"]["request_id"].encode("ascii")))
            await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            await send({"type": "http.response.body", "body": response.response.data})
        else:
            response.headers["x-request-id"] = self.scope["state"]["request_id"]
            await super()._send_response(send, response)


class App(QuartTrio):
    """Quart's requests, responses and routing. Its contexts, signals, sessions and hooks are left out: nothing here
    needs them, and they cost as much as all the rest."""

    asgi_http_class = Exchange

    @cached_property
    def routes(self) -> MapAdapter:
        """From path and method to Operation."""
        return self.url_map.bind("routerd")

    async def handle_request(self, request: Request) -> Response:
        """Route, answer, or refuse."""
        try:
            operation, path = self.routes.match(request.path, request.method)
            request.scope["state"]["operation"] = operation
            return await _answer(operation, request, path)
        except Refusal as refusal:
            return _refused(request, refusal)
        except MethodNotAllowed as error:
            return _refused(request, self._wrong_method(request, sorted(error.valid_methods or ())))
        except NotFound:
            return _refused(request, _unknown(request))
        except Exception:
            request_id = request.scope["state"]["request_id"]
            log.exception(
                "%s %s failed (request %s); this is a defect of routerd", request.method, request.path, request_id
            )
            words = "routerd failed to answer this; its log has the reason, under this request id"
            return _refused(request, Refusal(500, "internal", words))

    def _wrong_method(self, request: Request, valid: list[str]) -> Refusal:
        operation, _ = self.routes.match(request.path, valid[0])
        if request.scope["state"]["doorway"].kind not in operation.doors:
            return _unknown(request)
        allowed = ", ".join(valid)
        words = f"{request.method} is not for {request.path[:200]}"
        return Refusal(405, "method", words, hint=f"use {allowed}", headers={"Allow": allowed})


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
def make_app() -> App:
    """The application: control API and daemon API."""
    app = App("routerd.api", static_folder=None)
    app.url_map.merge_slashes = False
    for operation in OPERATIONS:
        path = operation.path.replace("{", "<").replace("}", ">")
        app.url_map.add(Rule(path, methods=[operation.method], endpoint=operation))
    return app


async def _answer(operation: Operation, request: Request, path: Mapping[str, str]) -> Response:
    state = request.scope["state"]
    doorway: Doorway = state["doorway"]
    if doorway.kind not in operation.doors:
        raise _unknown(request)
    client = Client(state["peer"], state["request_id"], doorway.path)
    if operation.role is not Role.OBSERVER:
        await _check_role(operation, doorway, client)
    query = operation.query(request.args.to_dict(flat=False) if request.query_string else {})
    raised = operation.raised(query)
    if raised is not operation:
        await _check_role(raised, doorway, client)
    act = _act(doorway, request.path) if operation.mutates else None
    call = Call(request, doorway, state["server"], client, query, path, act)
    return await (operation.handler(call) if act is None else _audited(operation, call, act))


def _act(doorway: Doorway, path: str) -> Act:
    """What is about to be done, in words: `apply`, `renew DHCPv4Client/wan`."""
    daemon = doorway.daemon
    words = path.removeprefix(f"{PREFIX}/").removeprefix("/v1/commands/")[:60]
    if daemon is None:
        return Act(words)
    ref = Ref(daemon.resource_kind, daemon.source.instance, daemon.api_version)
    return Act(f"{words} {ref}", ref)


async def _audited(operation: Operation, call: Call, act: Act) -> Response:
    """Answer, with the record of who asked on disk before it begins, and the record of how it ended after that. What
    cannot be on record is not done, unless it is urgent."""
    audit, client, plane = call.doorway.audit, call.client, call.plane
    await audit.begins(client, act, plane.running.generation)
    outcome: str = "abandoned"
    status: int | None = None
    try:
        if not operation.urgent:
            _check_record(plane)
        response = await operation.handler(call)
        outcome, status = act.outcome, response.status_code
        return response
    except Refusal as refusal:
        outcome, status = refusal.detail.code, refusal.status
        raise
    except Exception:
        outcome, status = "failed", 500
        raise
    finally:
        with trio.move_on_after(1, shield=True):
            await audit.ended(client, act, outcome, status, plane.running.generation)


def _check_record(plane: Plane) -> None:
    """Raises Refusal while what is told reaches no disk."""
    if (trouble := plane.log.degraded) is not None:
        words = f"the event log cannot be written ({trouble}), and nothing is changed without a record of who did it"
        hint = f"mend the disk of {plane.state_dir}, or make room there; daemons' commands (renew) work all the same"
        raise Refusal(503, "log.degraded", words, hint=hint)


async def _check_role(operation: Operation, doorway: Doorway, client: Client) -> None:
    """Whether this peer may do this by this socket. Raises Refusal."""
    role = role_of(client.peer, doorway.groups)
    if doorway.kind != "status" and role >= operation.role:
        return
    if role >= operation.role:
        why, hint = "the status socket is for observing only", f"use {doorway.main_path}"
    else:
        why = f"user {client.peer.uid} is an {role}, and this takes an {operation.role}"
        socket = doorway.main_path if doorway.kind == "status" else doorway.path
        hint = f"{_who(operation.role, doorway)} may, by {socket}"
    await doorway.audit.refused(client, f"{operation.method} {operation.path}", why)
    raise Refusal(403, "denied", why, hint=hint)


def _who(role: Role, doorway: Doorway) -> str:
    if role is Role.OPERATOR:
        return f"root and the members of the group {doorway.groups.name}"
    names = doorway.groups.admin_names
    groups = f" and the members of the group{'s' if len(names) > 1 else ''} {', '.join(names)}" if names else ""
    return f"root{groups}"


def _count(request: Request, response: Response) -> None:
    """For the metrics: a path that we do not know is not told, or whoever asks could make up any number of them."""
    state = request.scope["state"]
    operation: Operation | None = state["operation"]
    what = UNKNOWN if operation is None else f"{operation.method} {operation.path.removeprefix(PREFIX)}"
    state["doorway"].plane.traffic.requests[what, response.status_code] += 1


def _path(target: str) -> str:
    """The path of a request's target, which may be a whole URL (RFC 9112 §3.2.2), or no path at all."""
    if target.startswith("/"):
        return target
    _, scheme, rest = target.partition("://")
    return "/" + (rest.partition("/")[2] if scheme else target)


def _unknown(request: Request) -> Refusal:
    words = f"there is nothing at {request.path[:200]}"
    return Refusal(404, "not-found", words, hint="/openapi.json tells what there is")


def _too_large(request: Request) -> Response:
    return _refused(request, Refusal(413, "too-large", f"a body has at most {MAX_BODY} bytes"))


def _refused(request: Request, refusal: Refusal) -> Response:
    response = answer(encode_error(refusal.detail, request.scope["state"]["request_id"]), refusal.status)
    response.headers.update(refusal.headers)
    return response
