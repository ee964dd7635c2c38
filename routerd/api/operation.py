"""What the API offers: each operation with its path, the role it takes, its parameters and its answer. The routes, the
access checks and the OpenAPI document all come from tables of these."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

import attrs
from quart.wrappers import Request, Response

from routerd.api.access import Act, Audit, Client, Groups, Role, SocketKind, groups_named
from routerd.api.plane import Daemon, Plane
from routerd.api.refusal import Refusal, not_here
from routerd.api.server import Server
from routerd.api.status import StatusPage
from routerd.api.wire import JSON
from routerd.config import Router
from routerd.resources.management import ManagementAccess
from routerd.shapes.duration import PATTERN, parse_duration
from routerd.shapes.invalid import Invalid, did_you_mean

Schema = dict[str, Any]

ASK_AGAIN = 10.0
"""Seconds after which the host is asked again for a group that it did not have."""


@attrs.define(eq=False)
class Membership:
    """The operators' group and the admins' groups that the configuration in force names, looked up once for each
    configuration, for that may ask a directory service; of what the host does not have it is asked again now and
    then."""

    operators: str
    plane: Plane
    clock: Callable[[], float] = time.monotonic
    _router: Router | None = attrs.field(init=False, default=None)
    _groups: Groups = attrs.field(init=False, default=Groups())
    _looked_at: float = attrs.field(init=False, default=0.0)

    @property
    def groups(self) -> Groups:
        """The present ones."""
        router = self.plane.running.router
        now = self.clock()
        if self._router is not router or (not self._groups.complete and now - self._looked_at >= ASK_AGAIN):
            self._looked_at = now
            access = (resource.spec for resource in router.of(ManagementAccess))
            admins = dict.fromkeys(spec.admin_group for spec in access if spec.admin_group is not None)
            self._groups, self._router = groups_named(self.operators, *admins), router
        return self._groups


@attrs.frozen(eq=False)
class Doorway:
    """One of our sockets: which it is, and what lies behind it."""

    kind: SocketKind
    path: str
    plane: Plane
    membership: Membership
    audit: Audit
    main_path: str
    """Where those who may do more than observe are sent."""
    daemon: Daemon | None = None
    status: StatusPage = attrs.field(init=False)

    @status.default
    def _status(self) -> StatusPage:
        return StatusPage(self.plane)

    @property
    def groups(self) -> Groups:
        """Whose members are operators and admins at present."""
        return self.membership.groups


@attrs.frozen(eq=False)
class Call:
    """One request to an operation, let in and with its parameters parsed."""

    request: Request
    doorway: Doorway
    server: Server
    client: Client
    query: Mapping[str, Any]
    """By parameter name; those not given have their default."""
    path: Mapping[str, str]
    """What stands in the place of the path's `{name}`."""
    _act: Act | None = None

    @property
    def plane(self) -> Plane:
        """The running router."""
        return self.doorway.plane

    @property
    def act(self) -> Act:
        """What is being done, for operations that mutate: `act.began` is the cause of what they do."""
        assert self._act is not None, "it does not mutate"
        return self._act


Handler = Callable[[Call], Awaitable[Response]]


@attrs.frozen(eq=False)
class Param:
    """A query parameter. `parse` turns its text into a value, or raises Invalid."""

    name: str
    help: str
    parse: Callable[[str], Any]
    schema: Schema
    default: Any = None
    required: bool = False
    many: bool = False
    role: Role = Role.OBSERVER
    """Who may give it, if that takes more than the operation itself."""


@attrs.frozen(eq=False)
class Operation:
    """A method and path. `answer` is the class of its 200 answer, or None while this version does not have it."""

    method: Literal["GET", "POST"]
    path: str
    summary: str
    role: Role
    handler: Handler
    answer: Any = None
    params: tuple[Param, ...] = ()
    body: type | None = None
    doors: tuple[SocketKind, ...] = ("main", "status")
    errors: tuple[int, ...] = ()
    """Statuses outside 2xx that are its own, beside those that every operation may have."""
    streams: bool = False
    """Whether it also answers as server-sent events."""
    media: tuple[str, ...] = (JSON,)
    """What its answer may be, when it is text (`answer` is `str`)."""
    conditional: bool = False
    """Whether it takes `If-Match` with the number of a generation."""
    mutates: bool = attrs.field()
    """Whether it may change anything: then it is told before it is done, and how it ended. Every POST that this version
    has, unless it says that it does not."""

    urgent: bool = False
    """Whether it is done even while the log cannot be written: what the network needs now."""

    @mutates.default
    def _mutates(self) -> bool:
        return self.method == "POST" and self.answer is not None

    @property
    def refusals(self) -> frozenset[int]:
        """`errors`, and the one of whatever must be on record first."""
        return frozenset({*self.errors, *((503,) if self.mutates and not self.urgent else ())})

    def raised(self, query: Mapping[str, Any]) -> Operation:
        """The operation as it is with these parameters: some take more of a role."""
        roles = [param.role for param in self.params if param.role > self.role and query[param.name] is not None]
        return attrs.evolve(self, role=max(roles)) if roles else self

    def query(self, given: Mapping[str, list[str]]) -> dict[str, Any]:
        """Its parameters out of a query string. Raises Refusal (400) that names the parameter."""
        if self.answer is None or not (self.params or given):
            return {}
        known = {param.name: param for param in self.params}
        for name in given:
            if name not in known:
                hint = did_you_mean(name, known) or (f"there are {', '.join(known)}" if known else "there are none")
                raise Refusal(400, "query.unknown", f"there is no parameter {name[:60]}", field=name[:60], hint=hint)
        return {name: _value(param, given.get(name, [])) for name, param in known.items()}


def absent(
    method: Literal["GET", "POST"], path: str, what: str, role: Role, doors: tuple[SocketKind, ...] = ("main", "status")
) -> Operation:
    """An operation of the API that this version answers with 501, whatever its parameters."""

    async def refuse(_: Call) -> Response:
        raise not_here(what)

    return Operation(method, path, f"Not in this version: {what}.", role, refuse, doors=doors)


def _value(param: Param, texts: list[str]) -> Any:
    if not texts:
        if param.required:
            raise Refusal(400, "query.missing", f"{param.name} is required", field=param.name, hint=param.help)
        return param.default
    if len(texts) > 1 and not param.many:
        raise Refusal(400, "query.repeated", f"{param.name} can be given once only", field=param.name)
    try:
        values = tuple(map(param.parse, texts))
    except Invalid as invalid:
        code = invalid.code.replace("schema.", "query.")
        hint = invalid.hint or invalid.expected or None
        raise Refusal(400, code, _about(param.name, invalid.message), field=param.name, hint=hint) from None
    return values if param.many else values[0]


def _about(name: str, message: str) -> str:
    return message if message.startswith(f"{name} ") else f"{name}: {message}"


def count(name: str, help: str, default: int | None = None, *, least: int = 0, most: int | None = None) -> Param:
    """A non-negative integer; more than `most` is taken as `most`."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or len(text) > 18:
            raise Invalid("schema.integer", f"{name} must be a non-negative integer")
        if int(text) < least:
            raise Invalid("schema.integer", f"{name} must be at least {least}")
        return int(text) if most is None else min(int(text), most)

    bounds = {"minimum": least} | ({} if default is None else {"default": default})
    told = help if most is None else f"{help} At most {most}; more is taken as that."
    return Param(name, told, parse, {"type": "integer", **bounds}, default)


def text(name: str, help: str, *, required: bool = False, many: bool = False) -> Param:
    """Any text."""
    return Param(name, help, str, {"type": "string"}, () if many else None, required, many)


def duration(name: str, help: str, default: str, most: str) -> Param:
    """A Go duration; more than `most` is taken as `most`."""
    longest = parse_duration(most)
    told = f"{help} A duration such as 10s, at most {most}; more is taken as that."
    schema = {"type": "string", "pattern": PATTERN, "default": default}
    return Param(name, told, lambda text: min(parse_duration(text), longest), schema, parse_duration(default))


def flag(name: str, help: str) -> Param:
    """`?name`, `?name=1` or `?name=true`."""

    def parse(text: str) -> bool:
        if text.lower() not in ("", "1", "true", "0", "false"):
            raise Invalid("schema.boolean", f"{name} must be true or false")
        return text.lower() not in ("0", "false")

    return Param(name, help, parse, {"type": "string", "enum": ["", "1", "true", "0", "false"]}, False)


def choice(name: str, help: str, choices: tuple[str, ...], default: str) -> Param:
    """One of some words."""

    def parse(text: str) -> str:
        if text not in choices:
            raise Invalid(
                "schema.enum", f"{name} must be one of {', '.join(choices)}", hint=did_you_mean(text, choices)
            )
        return text

    return Param(name, help, parse, {"type": "string", "enum": list(choices), "default": default}, default)


def answer(body: bytes, status: int = 200, **headers: str) -> Response:
    """A JSON answer. `headers` with `_` for `-`."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(body, status, fields, content_type=JSON)
