"""What changes the configuration, and what tells of its changes (contract §5): apply, plan, validate, delete, rollback,
generations. How it is done is behind the seam `routerd.api.change`."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import attrs
import orjson
from quart.wrappers import Response

from routerd.api.access import Role, role_of
from routerd.api.body import body_of
from routerd.api.change import Candidate, NotChanged, Terms
from routerd.api.operation import Call, Operation, answer, count
from routerd.api.refusal import Refusal
from routerd.api.wire import ConfigProblem, encode
from routerd.api.wire_changes import (
    ApplyRequest,
    ApplyResult,
    Artifact,
    DeleteRequest,
    DeleteResult,
    Generation,
    Generations,
    PlanRequest,
    PlanResult,
    Result,
    RollbackRequest,
    RollbackResult,
    ValidateRequest,
    ValidateResult,
)
from routerd.api.wire_resources import GenerationRecord, Ledger
from routerd.config import ConfigError, ConfigErrors, render
from routerd.config.schema import document_schema
from routerd.resources.kinds import KINDS, kind_named
from routerd.shapes.duration import Duration
from routerd.shapes.invalid import did_you_mean

PREFIX = "/api/control.routerd.net/v1alpha1"
LONGEST = 600.0
"""Seconds that an answer is waited for: so many changes may have come before."""
STATUS = {"absent": 404, "conflict": 409, "stale": 412, "beyond": 501}
MOST_ERRORS = 100
"""Errors of one configuration in one answer."""

T = TypeVar("T")


async def post_apply(call: Call) -> Response:
    """`POST /apply`."""
    body = await body_of(call, ApplyRequest)
    if body.candidate_yaml is None:
        words = "bad request: apply requires candidateYaml"
        raise Refusal(400, "body.missing", words, field="candidateYaml", hint="the text of a configuration")
    terms = _terms(call, body.dry_run, body.no_reconcile, body.confirm_within)
    work = call.plane.changes.apply(Candidate(body.candidate_yaml, body.replace), terms)
    result = await _done(call, work)
    return _told(ApplyResult(result=result), result)


async def post_plan(call: Call) -> Response:
    """`POST /plan`."""
    body = await body_of(call, PlanRequest)
    result = await _ended(call, call.plane.changes.plan(_candidate(body)))
    return _told(PlanResult(result=result), result)


async def post_validate(call: Call) -> Response:
    """`POST /validate`: 200 also for what is not valid."""
    body = await body_of(call, ValidateRequest)
    try:
        warnings = await call.plane.changes.validate(_candidate(body))
    except ConfigErrors as errors:
        found = problems(errors)
        return answer(encode(ValidateResult(valid=False, error=_words(errors), errors=found)))
    except NotChanged as no:
        return answer(encode(ValidateResult(valid=False, error=no.message)))
    except OSError as error:
        raise _unwritable(error) from None
    return answer(encode(ValidateResult(valid=True, warnings=warnings or None)))


async def post_delete(call: Call) -> Response:
    """`POST /delete`."""
    body = await body_of(call, DeleteRequest)
    kind, name = _target(body)
    terms = _terms(call, body.dry_run, body.no_reconcile, body.confirm_within)
    result = await _done(call, call.plane.changes.delete(kind, name, terms, force=body.force))
    return _told(_deleted(result, f"{kind}/{name}", body.dry_run), result)


async def post_rollback(call: Call) -> Response:
    """`POST /rollback`. It ends a change that waits for its confirmation."""
    body = await body_of(call, RollbackRequest)
    terms = attrs.evolve(_terms(call, body.dry_run, body.no_reconcile, body.confirm_within), overrules=True)
    result = await _done(call, call.plane.changes.rollback(body.to, terms))
    return _told(RollbackResult(result=result), result)


async def get_generations(call: Call) -> Response:
    """`GET /generations`. The token is for admins, by the main socket."""
    changes, running = call.plane.changes, call.plane.running
    pending = changes.pending
    body = Generations(
        current=running.generation,
        waiting=running.waiting,
        pending=pending if pending is None or _by_admin(call) else attrs.evolve(pending, token=None),
        items=await changes.generations(call.query["limit"]),
    )
    return answer(encode(body), ETag=f'"{running.waiting or running.generation}"')


async def get_generation(call: Call) -> Response:
    """`GET /generations/{number}`. The text may hold secrets: it is for admins, by the main socket."""
    number = call.path["number"]
    if not re.fullmatch(r"[0-9]{1,18}", number):
        raise Refusal(404, "not-found", f"{number[:60]} is not the number of a generation", field="number")
    found: Generation = await _ended(call, call.plane.changes.generation(int(number)))
    return answer(encode(found if _by_admin(call) else attrs.evolve(found, yaml=None)))


def _by_admin(call: Call) -> bool:
    return call.doorway.kind == "main" and role_of(call.client.peer, call.doorway.groups) is Role.ADMIN


async def ledger(call: Call) -> Ledger:
    """The generations as `GET /get` tells them."""
    items = await call.plane.changes.generations(call.query["limit"] or 20)
    records = [
        GenerationRecord(one.generation, one.started_at, one.has_yaml, one.finished_at, one.phase, one.config_hash)
        for one in items
    ]
    return Ledger(call.plane.log.degraded or "ok", records)


async def get_schema(_: Call) -> Response:
    """`GET /schema.json`."""
    return answer(_schema())


@cache
def _schema() -> bytes:
    return orjson.dumps(document_schema(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


# What is asked


def _candidate(body: PlanRequest | ValidateRequest) -> Candidate | None:
    return Candidate(body.candidate_yaml, body.replace) if body.candidate_yaml else None


def _terms(call: Call, dry_run: bool, no_reconcile: bool, within: Duration | None) -> Terms:
    if no_reconcile and within is not None:
        words = "bad request: what is not loaded cannot be confirmed: give confirmWithin or noReconcile"
        raise Refusal(400, "body.exclusive", words, field="confirmWithin")
    if within is not None and within <= 0:
        raise Refusal(400, "value.range", "bad request: confirmWithin must be more than nothing", field="confirmWithin")
    return Terms(
        actor=call.client.actor,
        causes=(call.act.began,),
        generation=_if_match(call),
        dry_run=dry_run,
        no_reconcile=no_reconcile,
        confirm_within=within,
        peer=call.client.attributes,
    )


def _if_match(call: Call) -> int | None:
    """The generation that the caller has seen last."""
    given = call.request.headers.get("If-Match", "").strip()
    if given in ("", "*"):
        return None
    found = re.fullmatch(r'(?:W/)?"?([0-9]{1,18})"?', given)
    if found is None:
        hint = 'the number of a generation, as If-Match: "12"'
        raise Refusal(400, "header.if-match", "bad request: If-Match names no generation", field="If-Match", hint=hint)
    return int(found[1])


def _target(body: DeleteRequest) -> tuple[str, str]:
    """Kind and name. The kind need not be one of ours: the store may know of others."""
    word, slash, name = body.target.partition("/")
    if not (word and slash and name):
        hint = "for example DHCPv4Client/wan"
        raise Refusal(400, "query.target", "bad request: target must be Kind/name", field="target", hint=hint)
    kind = kind_named(word)
    if kind is None and not body.force:
        hint = did_you_mean(word, KINDS) or f"there are {', '.join(KINDS)}"
        raise Refusal(404, "not-found", f"{body.target[:120]} not found in canonical config", field="target", hint=hint)
    version = KINDS[kind].api_version if kind is not None and kind in KINDS else None
    if version is not None and body.target_api_version not in (None, version):
        words, field = f"bad request: the version of {kind} is {version}", "targetApiVersion"
        raise Refusal(400, "schema.api-version", words, field=field)
    return kind or word, name


# What is answered


async def _done(call: Call, work: Awaitable[Result]) -> Result:
    """The end of a change, which is among what the act has led to."""
    result = await _ended(call, work)
    if result.event_id is not None:
        call.act.led_to = (result.event_id,)
    return result


async def _ended(call: Call, work: Awaitable[T]) -> T:
    """The end of something. Raises Refusal."""
    ended: list[T] = []
    with call.server.waiting(LONGEST):
        try:
            ended.append(await work)
        except ConfigErrors as errors:
            raise refusal_of(errors) from None
        except NotChanged as no:
            raise _not_changed(no) from None
        except OSError as error:
            raise _unwritable(error) from None
    if not ended:
        raise Refusal(503, "stopping", "routerd is stopping, or has too much to do", hint="the events tell how it ends")
    return ended[0]


def _not_changed(no: NotChanged) -> Refusal:
    found = None if no.errors is None else problems(no.errors)
    return Refusal(STATUS[no.why], no.why, no.message, field=no.field, hint=no.hint or None, errors=found)


def refusal_of(errors: ConfigErrors) -> Refusal:
    """A configuration that is faulty: the first of its errors, and all of them."""
    first, found = errors.errors[0], problems(errors)
    return Refusal(
        400,
        first.code,
        f"bad request: {_words(errors)}",
        field=first.path or None,
        hint=first.hint or None,
        line=first.line,
        column=first.column,
        errors=found,
    )


def problems(errors: ConfigErrors) -> Sequence[ConfigProblem]:
    """Each error with its place, and as it is shown to people."""
    return [
        ConfigProblem(
            one.message,
            one.code,
            one.line,
            one.column,
            render([one]),
            one.source,
            one.resource or None,
            one.path or None,
            one.hint or None,
        )
        for one in errors.errors[:MOST_ERRORS]
    ]


def _words(errors: ConfigErrors) -> str:
    first: ConfigError = errors.errors[0]
    about = " ".join(filter(None, (first.resource, first.path)))
    more = f" (and {len(errors.errors) - 1} more)" if len(errors.errors) > 1 else ""
    return f"{first.source}:{first.line}:{first.column}: {f'{about}: ' if about else ''}{first.message}{more}"


def _unwritable(error: OSError) -> Refusal:
    where = f"{error.filename}: " if error.filename else ""
    words = f"{where}{error.strerror or error}; nothing is changed"
    return Refusal(503, "config.disk", words, hint="mend what the system complains of, then try again")


def _deleted(result: Result, target: str, dry_run: bool) -> DeleteResult:
    """What becomes of the target; other differences to what is in force are in the result."""
    gone = [one for one in result.resources or () if one.outcome == "removed" and one.id.endswith(f"/{target}")]
    listed = [f"{one.api_version}/{target}" for one in result.changes or () if one.resource == target]
    artifacts: list[Artifact] = [artifact for one in gone for artifact in one.artifacts or ()]
    return DeleteResult(
        deleted=list(dict.fromkeys([*listed, *(one.id for one in gone)])),
        artifacts=artifacts or None,
        dry_run=dry_run or None,
        result=result,
    )


def _told(body: ApplyResult | PlanResult | DeleteResult | RollbackResult, result: Result) -> Response:
    return answer(encode(body), ETag=f'"{result.generation}"')


def _post(path: str, summary: str, role: Role, handler: Any, answered: Any, body: type, **more: Any) -> Operation:
    """One that takes a configuration, or changes it. Only what changes it is told of, and may be conditional."""
    mutates = role is Role.ADMIN
    errors = (409, 412, 501, 503) if mutates else (409, 503)
    more = {"body": body, "errors": errors, "mutates": mutates, "conditional": mutates, **more}
    return Operation("POST", f"{PREFIX}{path}", summary, role, handler, answered, **more)


OPERATIONS = (
    _post("/validate", "Is it a good configuration?", Role.OPERATOR, post_validate, ValidateResult, ValidateRequest),
    _post("/plan", "What would a configuration change?", Role.OPERATOR, post_plan, PlanResult, PlanRequest),
    _post("/apply", "Change the configuration.", Role.ADMIN, post_apply, ApplyResult, ApplyRequest),
    _post("/delete", "Delete a resource.", Role.ADMIN, post_delete, DeleteResult, DeleteRequest),
    _post(
        "/rollback", "Go back to an older configuration.", Role.ADMIN, post_rollback, RollbackResult, RollbackRequest
    ),
    Operation(
        "GET",
        f"{PREFIX}/generations",
        "The configurations that there have been, the newest first.",
        Role.OBSERVER,
        get_generations,
        Generations,
        (count("limit", "Generations in the answer.", 20, least=1, most=1000),),
        errors=(503,),
    ),
    Operation(
        "GET",
        f"{PREFIX}/generations/{{number}}",
        "One of them, and how it differs from the one before; its text for admins.",
        Role.OBSERVER,
        get_generation,
        Generation,
        errors=(409, 503),
    ),
    Operation(
        "GET",
        "/schema.json",
        "The JSON Schema of a configuration.",
        Role.OBSERVER,
        get_schema,
        Mapping[str, Any],
    ),
)
