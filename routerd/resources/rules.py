"""EventRule (contract §3.3, §4.3): events that follow from patterns among other events. What the words mean is in
`routerd.rules`; here is what may be written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import attrs

from routerd.resources.resource import told
from routerd.shapes.duration import Duration
from routerd.shapes.invalid import Invalid, Problem, Problems, described, did_you_mean
from routerd.shapes.limits import AtMost, Between, Each, Matching

_SEGMENT = r"[A-Za-z0-9_-]+"
TOPIC = Matching(rf"{_SEGMENT}(\.{_SEGMENT})*", 200, "a topic", "words joined by dots, such as home.wan.flapping")
GLOB = Matching(
    rf"({_SEGMENT}|\*\*?)(\.({_SEGMENT}|\*\*?))*",
    200,
    "a topic or a glob of topics",
    "words joined by dots; * is one word, ** any number of them",
)
_RESERVED = r"routerd(\..*)?"


@attrs.frozen
class OwnTopic:
    """A topic for events that are not routerd's own: who reads of a lost lease can rely on that it was lost."""

    def __call__(self, instance: object, field: object, value: Any) -> None:
        TOPIC(instance, field, value)
        if re.fullmatch(_RESERVED, value):
            message = f"{described(value)} would pass for an event of routerd's own"
            hint = f"did you mean home.{value.partition('.')[2] or 'event'}?"
            raise Invalid("schema.topic", message, "expected a topic that does not begin with routerd.", hint)

    def schema(self) -> dict[str, Any]:
        """As JSON Schema keywords."""
        return {**TOPIC.schema(), "not": {"pattern": f"^{_RESERVED}$"}}


CORRELATION = Matching(
    r"attributes\.[!-~]{1,100}|resource\.(name|kind|apiVersion)|daemon\.(instance|kind)",
    111,
    "a part of an event",
    "attributes.<key>, resource.name, resource.kind, resource.apiVersion, daemon.instance or daemon.kind",
)
LONGEST = 30 * 86400.0
"""Seconds that a pattern may span at most: the log does not remember more by default."""

Operator = Literal["all_of", "any_of", "sequence", "window", "absence", "throttle", "debounce", "count"]

_SPANS: Mapping[Operator, str] = {
    "all_of": "window",
    "sequence": "window",
    "window": "window",
    "absence": "duration",
    "throttle": "interval",
    "debounce": "quiet",
}
"""Which field holds an operator's time. `duration` is another word for each of them."""
_DEFAULT_SPANS: Mapping[Operator, Duration] = {
    "window": Duration(60.0),
    "absence": Duration(60.0),
    "throttle": Duration(60.0),
    "debounce": Duration(1.0),
}
_OWN: Mapping[Operator, frozenset[str]] = {
    "sequence": frozenset({"strict"}),
    "window": frozenset({"threshold"}),
    "count": frozenset({"threshold"}),
    "absence": frozenset({"expected"}),
}
_RATE_INTERVAL = Duration(60.0)

VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_VARIABLES = (
    "event.type",
    "correlation",
    "count",
    *(f"resource.{part}" for part in ("name", "kind", "apiVersion")),
)


def _templates(_instance: object, _field: object, value: Mapping[str, str]) -> None:
    """Every `${…}` is a variable that there is."""
    problems = []
    for key, template in value.items():
        try:
            _template(key, template)
        except Invalid as invalid:
            problems.append(Problem.of(invalid, (key,)))
    if problems:
        raise Problems(tuple(problems))


def _template(key: str, template: str) -> None:
    if key == "correlation":
        raise Invalid("value.reserved", "is always there by itself", "remove it, or give it another name")
    if len(template) > 1000:
        raise Invalid("value.length", "the text is longer than 1000 characters", "expected 1000 characters at most")
    if "${" in VARIABLE.sub("", template):
        raise Invalid("value.template", "a ${ has no }", "expected ${variable}")
    for name in VARIABLE.findall(template):
        if name not in _VARIABLES and not re.fullmatch(r"attributes\.[!-~]+", name):
            near = did_you_mean(name, _VARIABLES)
            hint = near or f"there are {', '.join(_VARIABLES)} and attributes.<key>"
            raise Invalid("value.template", f"{described(name)} is no variable", "unknown variable", hint)


@attrs.frozen
class EventPattern:
    """What is looked for among the events. Which of the fields are needed, and which may stand there, depends on the
    operator."""

    operator: Operator = attrs.field(
        metadata=told(
            "`all_of`: each of the topics was seen, in any order, within `window`. `any_of`: any of them. `sequence`: "
            "all of them in this order, within `window`. `window`: `threshold` events within `window`. `absence`: "
            "nothing `expected` came for `duration` after a `trigger`. `throttle`: at most one in `interval`. "
            "`debounce`: the last one, after `quiet`. `count`: every `threshold` events.",
            example="window",
        )
    )
    topics: tuple[str, ...] = attrs.field(
        default=(),
        validator=Each(GLOB, 32),
        metadata=told(
            "Topics of the events to look at, as globs: `*` is one word, `**` any number.",
            example=["routerd.dhcpv4.client.lease.lost"],
        ),
    )
    topic: str | None = attrs.field(default=None, validator=GLOB, metadata=told("One more of `topics`."))
    trigger: str | None = attrs.field(
        default=None, validator=GLOB, metadata=told("With `absence`: what begins the wait. Else one more of `topics`.")
    )
    expected: str | None = attrs.field(
        default=None,
        validator=GLOB,
        metadata=told("With `absence`: what ends the wait. Without it only a new `trigger` begins it again."),
    )
    duration: Duration | None = attrs.field(
        default=None,
        validator=AtMost(LONGEST),
        metadata=told("With `absence`: how long to wait, `1m` by default. Else another word for the operator's time."),
    )
    window: Duration | None = attrs.field(
        default=None,
        validator=AtMost(LONGEST),
        metadata=told(
            "The time within which all of it must happen. `window` has `1m` by default, `all_of` and `sequence` no "
            "limit.",
            example="10m",
        ),
    )
    interval: Duration | None = attrs.field(
        default=None,
        validator=AtMost(LONGEST),
        metadata=told("With `throttle`: the time for one event. With `rate`: the time it counts for. `1m` by default."),
    )
    quiet: Duration | None = attrs.field(
        default=None,
        validator=AtMost(LONGEST),
        metadata=told("With `debounce`: how long nothing more may come, `1s` by default."),
    )
    threshold: int | None = attrs.field(
        default=None,
        validator=Between(1, 1000),
        metadata=told("With `window` and `count`: how many events, 1 by default.", example=3),
    )
    rate: int | None = attrs.field(
        default=None,
        validator=Between(1, 1000),
        metadata=told("At most so many events are emitted per `interval`, whatever they are correlated by."),
    )
    strict: bool = attrs.field(
        default=False,
        metadata=told("With `sequence`: one of the topics out of its turn begins the sequence again."),
    )
    correlate_by: str | None = attrs.field(
        default=None,
        validator=CORRELATION,
        metadata=told(
            "Look for the pattern separately for each value of this part of the events: `attributes.<key>`, "
            "`resource.name`, `resource.kind`, `resource.apiVersion`, `daemon.instance` or `daemon.kind`.",
            name="correlate_by",
            example="resource.name",
        ),
    )
    allow_missing_correlation: bool = attrs.field(
        default=False,
        metadata=told(
            "Take events without that part together, instead of passing them over.", name="allow_missing_correlation"
        ),
    )

    def __attrs_post_init__(self) -> None:
        self._check_topics()
        self._check_fields()

    def _check_topics(self) -> None:
        if not self.inputs:
            raise Invalid("value.required", "is required", "expected what to look at", field="topics")
        if self.operator in ("all_of", "sequence") and len(self.inputs) < 2:
            hint = "any_of is for one topic, count for several events of one"
            message = f"{self.operator} takes two topics at least"
            raise Invalid("value.required", message, "expected two topics", hint, "topics")
        if len(set(self.inputs)) < len(self.inputs):
            field = "topic" if self.topic in self.topics else "trigger"
            raise Invalid("value.duplicate", "is among the topics already", "remove it", field=field)
        if self.expected in self.inputs:
            raise Invalid("value.expected", "is the trigger as well", "expected another topic", field="expected")

    def _check_fields(self) -> None:
        """What stands there has a meaning, and its time is said once."""
        span = _SPANS.get(self.operator)
        own = _OWN.get(self.operator, frozenset()) | ({span, "duration"} if span else set())
        given = {
            "expected": self.expected is not None,
            "threshold": self.threshold is not None,
            "strict": self.strict,
            **{name: getattr(self, name) is not None for name in ("duration", "window", "quiet")},
            "interval": self.interval is not None and self.rate is None,
        }
        for name, there in given.items():
            if there and name not in own:
                message = f"has no meaning for {self.operator}"
                raise Invalid("value.exclusive", message, "remove it", field=name)
        if span is not None and span != "duration" and self.duration is not None and getattr(self, span) is not None:
            message = f"stands beside {span}, of which it is another word"
            raise Invalid("value.exclusive", message, "expected one of the two", field="duration")
        for name in ("duration", "window", "interval", "quiet"):
            if getattr(self, name) == 0:
                raise Invalid("value.range", "is no time at all", "expected more than 0s", field=name)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The globs of the events that it looks at, in their order; `expected` is not among them."""
        return (*self.topics, *(glob for glob in (self.topic, self.trigger) if glob is not None))

    @property
    def span(self) -> float | None:
        """The operator's time in seconds, its default if none is given; None: it has none."""
        field = _SPANS.get(self.operator)
        given: float | None = getattr(self, field) if field is not None else None
        if given is None and field is not None:
            given = self.duration
        return given if given is not None else _DEFAULT_SPANS.get(self.operator)

    @property
    def least(self) -> int:
        """`threshold`, or its default."""
        return self.threshold if self.threshold is not None else 1

    @property
    def rate_interval(self) -> float:
        """The time that `rate` counts for, in seconds."""
        return self.interval if self.interval is not None else _RATE_INTERVAL


@attrs.frozen
class Emission:
    """The event that follows."""

    topic: str = attrs.field(
        validator=OwnTopic(),
        metadata=told("Its topic. Those that begin with `routerd.` are routerd's own.", example="home.wan.flapping"),
    )
    attributes: Mapping[str, str] = attrs.field(
        factory=dict,
        hash=False,
        validator=_templates,
        metadata=told(
            "Its attributes. `${event.type}`, `${resource.name}`, `${resource.kind}`, `${resource.apiVersion}` and "
            "`${attributes.<key>}` are those of the last event that was looked at (of the trigger, with `absence`), "
            "`${correlation}` is what they were correlated by, `${count}` how many there were.",
        ),
    )


@attrs.frozen
class EventRule:
    """Looks for a pattern among the events, also those from before a restart, and emits an event each time that it is
    complete."""

    pattern: EventPattern = attrs.field(
        metadata=told(
            "What to look for.",
            example={
                "operator": "window",
                "topics": ["routerd.dhcpv4.client.lease.lost"],
                "window": "10m",
                "threshold": 3,
                "correlate_by": "resource.name",
            },
        )
    )
    emit: Emission = attrs.field(
        metadata=told(
            "What to say then.", example={"topic": "home.wan.flapping", "attributes": {"wan": "${correlation}"}}
        )
    )
