"""`POST /rules/test`: when a rule would have fired, had it been there. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator

from quart.wrappers import Response

from routerd.api.access import Role
from routerd.api.body import body_of
from routerd.api.ending import refusal_of
from routerd.api.events import reading
from routerd.api.operation import Call, Operation, answer
from routerd.api.refusal import Refusal
from routerd.api.wire import PREFIX, encode
from routerd.api.wire_rules import RuleFiring, RuleTest, RuleTestRequest
from routerd.config import ConfigErrors
from routerd.config.load import resources_of_kind
from routerd.resources.resource import Resource
from routerd.resources.rules import EventRule
from routerd.rules.history import History, played
from routerd.shapes.instant import Instant

LONGEST = 50.0
"""Seconds that a history may take to be played."""
SOURCE = "ruleYaml"


async def post_rules_test(call: Call) -> Response:
    """`POST /rules/test`."""
    body = await body_of(call, RuleTestRequest)
    rule = _rule(body.rule_yaml)
    log = call.plane.log
    since = max(0, log.now() - round(body.since * 10**9))
    found: list[History] = []
    with call.server.waiting(LONGEST), reading():
        found.append(await played(log, rule.name, rule.spec, since, body.limit))
    if not found:
        hint = "ask for less with a shorter since"
        raise Refusal(503, "too-long", f"there are more events than can be played in {LONGEST:.0f} s", hint=hint)
    return answer(encode(_told(rule, found[0])))


def _rule(text: str | None) -> Resource[EventRule]:
    """The one rule. Raises Refusal (400)."""
    if text is None:
        raise Refusal(400, "body.missing", f"bad request: a test requires {SOURCE}", field=SOURCE, hint="a rule's YAML")
    try:
        rules = resources_of_kind(text, EventRule.__name__, SOURCE)
    except ConfigErrors as errors:
        raise refusal_of(errors) from None
    if len(rules) != 1:
        words = f"bad request: {SOURCE} has {len(rules) or 'no'} EventRule{'s' if rules else ''}"
        raise Refusal(400, "body.rule", words, field=SOURCE, hint="give one resource of kind EventRule")
    return rules[0]


def _told(rule: Resource[EventRule], history: History) -> RuleTest:
    firings = [
        RuleFiring(
            hit.event_id,
            Instant(hit.at),
            rule.spec.emit.topic,
            hit.fired.correlation,
            hit.fired.inputs,
            hit.fired.attributes,
        )
        for hit in history.hits
    ]
    return RuleTest(
        rule=str(rule),
        began=Instant(history.began),
        ended=Instant(history.ended),
        events=history.events,
        fired=firings,
        warnings=list(_warnings(history)),
    )


def _warnings(history: History) -> Iterator[str]:
    if history.lost:
        yield f"{_events(history.lost)} gone from the log: it might have fired on them, too"
    if not history.complete:
        yield f"it would have fired more than {len(history.hits)} times: what came later was not looked at"
    if history.uncorrelated:
        yield f"{_events(history.uncorrelated)} passed over, without what it correlates by"
    if history.suppressed:
        yield f"it would have fired {history.suppressed} times more, but for its rate"
    if history.forgotten:
        yield f"{history.forgotten} times what was half seen was given up: there were too many correlation keys"


def _events(number: int) -> str:
    return "1 event was" if number == 1 else f"{number} events were"


OPERATIONS = (
    Operation(
        "POST",
        f"{PREFIX}/rules/test",
        "When a rule would have fired, had it been there.",
        Role.OPERATOR,
        post_rules_test,
        RuleTest,
        body=RuleTestRequest,
        errors=(503,),
        mutates=False,
    ),
)
