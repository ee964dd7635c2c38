"""What changes the configuration, or says what that would do (contract §5): apply, plan, validate, delete, rollback.
How it is done is behind the seam `routerd.api.change`."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from typing import Any

import attrs
from quart.wrappers import Response

from routerd.api.access import Role
from routerd.api.body import body_of
from routerd.api.change import Candidate, NotChanged, Terms
from routerd.api.ending import ended, problems, unwritable, words_of
from routerd.api.operation import Call, Operation, answer
from routerd.api.refusal import Refusal
from routerd.api.wire import PREFIX, encode
from routerd.api.wire_changes import (
    ApplyRequest,
    ApplyResult,
    Artifact,
    DeleteRequest,
    DeleteResult,
    PlanRequest,
    PlanResult,
    Result,
    RollbackRequest,
    RollbackResult,
    ValidateRequest,
    ValidateResult,
)
from routerd.config import ConfigErrors
from routerd.resources.kinds import KINDS, kind_named
from routerd.shapes.duration import Duration
from routerd.shapes.invalid import did_you_mean


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
    result = await ended(call, call.plane.changes.plan(_candidate(body)))
    return _told(PlanResult(result=result), result)


async def post_validate(call: Call) -> Response:
    """`POST /validate`: 200 also for what is not valid."""
    body = await body_of(call, ValidateRequest)
    try:
        warnings = await call.plane.changes.validate(_candidate(body))
    except ConfigErrors as errors:
        found = problems(errors)
        return answer(encode(ValidateResult(valid=False, error=words_of(errors), errors=found)))
    except NotChanged as no:
        return answer(encode(ValidateResult(valid=False, error=no.message)))
    except OSError as error:
        raise unwritable(error) from None
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
    result = await ended(call, work)
    if result.event_id is not None:
        call.act.led_to = (result.event_id,)
    return result


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
    errors = (409, 412, 503) if mutates else (409, 503)
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
)
