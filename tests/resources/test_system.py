"""LogRetention: what it takes, and what is wrong, in words and with its place."""

from __future__ import annotations

import pytest

from routerd.config import ConfigErrors, load
from routerd.resources.system import LogRetention

HEAD = "apiVersion: routerd.net/v1alpha1\nkind: Router\nmetadata: {name: home}\nspec:\n  resources:\n"


def resource(spec: str, name: str = "log") -> str:
    return f"""
    - apiVersion: system.routerd.net/v1alpha1
      kind: LogRetention
      metadata: {{name: {name}}}
      spec: {spec}
"""


def spec_of(text: str) -> LogRetention:
    [loaded] = load(HEAD + resource(text)).of(LogRetention)
    return loaded.spec


def problems(*resources: str) -> list[tuple[str, str, str]]:
    """Code, field and hint of each error."""
    with pytest.raises(ConfigErrors) as caught:
        load(HEAD + "".join(resources))
    return [(error.code, error.path, error.hint) for error in caught.value.errors]


@pytest.mark.parametrize(
    ("text", "seconds", "octets", "interval"),
    [
        ("{retention: 30d}", 30 * 86400, 200 * 2**20, 3600),
        ("{retention: 12h, maxSize: 1MiB, schedule: daily}", 43200, 2**20, 86400),
        ("{retention: 1m, maxSize: 2GiB, signals: [events], schedule: '', vacuum: true}", 60, 2**31, 3600),
        ("{retention: 1d, maxSize: 4096KiB}", 86400, 2**22, 3600),
    ],
)
def test_what_it_takes(text: str, seconds: float, octets: int, interval: float) -> None:
    spec = spec_of(text)
    assert (spec.retention, spec.max_octets, spec.interval) == (seconds, octets, interval)


@pytest.mark.parametrize(
    ("text", "code", "field"),
    [
        ("{}", "schema.required", "retention"),
        ("{retention: 30}", "schema.type", "retention"),
        ("{retention: 1.5d}", "schema.duration", "retention"),
        ("{retention: 30s}", "value.range", "retention"),
        ("{retention: 0}", "schema.type", "retention"),
        ("{retention: 30d, maxSize: 200}", "schema.type", "maxSize"),
        ("{retention: 30d, maxSize: 200MB}", "schema.pattern", "maxSize"),
        ("{retention: 30d, maxSize: 1023KiB}", "value.range", "maxSize"),
        ("{retention: 30d, signals: []}", "value.required", "signals"),
        ("{retention: 30d, signals: [events, events]}", "value.duplicate", "signals[1]"),
        ("{retention: 30d, signals: [dnsQueries]}", "unsupported.signal", "signals[0]"),
        ("{retention: 30d, signals: [event]}", "value.signal", "signals[0]"),
        ("{retention: 30d, schedule: weekly}", "schema.enum", "schedule"),
        ("{retention: 30d, vacuum: false}", "value.unsupported", "vacuum"),
        ("{retention: 30d, sinks: [archive]}", "unsupported.field", "sinks"),
    ],
)
def test_what_is_wrong(text: str, code: str, field: str) -> None:
    [(found, path, _)] = problems(resource(text))
    assert (found, path) == (code, f"spec.{field}")


def test_hints() -> None:
    [(_, _, hint)] = problems(resource("{retention: 30d, signals: [trafficFlows]}"))
    assert hint == "this version has events"
    [(_, _, hint)] = problems(resource("{retention: 30d, signals: [event]}"))
    assert "events" in hint


def test_one_to_a_signal() -> None:
    [(code, path, hint)] = problems(resource("{retention: 30d}"), resource("{retention: 1d}", "other"))
    assert (code, path) == ("duplicate.retention", "spec.signals") and "line" in hint
