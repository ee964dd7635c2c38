"""The shapes of `POST /rules/test`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import attrs

from routerd.api.wire import CONTROL, ControlVersion
from routerd.shapes.duration import Duration
from routerd.shapes.instant import Instant
from routerd.shapes.limits import AtMost, Between

LONGEST = 366 * 86400.0


@attrs.frozen
class RuleTestRequest:
    """`POST /rules/test`. `ruleYaml` holds one EventRule: a resource, a list, or a whole Router document. `since` is
    how far back to begin, `limit` how often it may fire before that is enough."""

    api_version: ControlVersion | None = None
    kind: Literal["RuleTestRequest"] | None = None
    rule_yaml: str | None = attrs.field(default=None, metadata={"name": "ruleYaml"})
    since: Duration = attrs.field(default=Duration(86400.0), validator=AtMost(LONGEST))
    limit: int = attrs.field(default=1000, validator=Between(1, 10_000))


@attrs.frozen
class RuleFiring:
    """Once that the rule would have fired: after which event (its cursor id), when, and what it would have said."""

    event_id: int = attrs.field(metadata={"name": "eventId"})
    time: Instant
    topic: str
    correlation: str
    inputs: Sequence[int]
    """The ids of the events that completed the pattern."""
    attributes: Mapping[str, str]


@attrs.frozen(kw_only=True)
class RuleTest:
    """What the rule would have done. `events` is how many it looked at."""

    api_version: ControlVersion = CONTROL
    kind: Literal["RuleTest"] = "RuleTest"
    rule: str
    began: Instant = attrs.field(metadata={"name": "from"})
    ended: Instant = attrs.field(metadata={"name": "to"})
    events: int
    fired: Sequence[RuleFiring]
    warnings: Sequence[str]
