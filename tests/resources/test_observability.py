"""Telemetry: what it takes, and what is wrong, in words and with its place."""

from __future__ import annotations

import pytest

from routerd.config import ConfigErrors, as_json, load, render, summary
from routerd.resources.observability import Telemetry
from routerd.shapes.convert import to_wire

HEAD = "apiVersion: routerd.net/v1alpha1\nkind: Router\nmetadata: {name: home}\nspec:\n  resources:\n"
URL = "endpoint: http://192.0.2.1:4318"


def document(spec: str) -> str:
    return f"""{HEAD}
    - apiVersion: observability.routerd.net/v1alpha1
      kind: Telemetry
      metadata: {{name: main}}
      spec: {{{spec}}}
"""


def spec_of(text: str) -> Telemetry:
    [loaded] = load(document(text)).of(Telemetry)
    return loaded.spec


@pytest.mark.parametrize(
    "endpoint",
    ["http://192.0.2.1:4318", "https://collector.example", "https://[2001:db8::1]:4318/otlp/", "HTTP://localhost"],
)
def test_endpoints(endpoint: str) -> None:
    assert spec_of(f'endpoint: "{endpoint}"').endpoint == endpoint


def test_defaults() -> None:
    spec = spec_of(URL)
    assert spec.signals == ("events", "metrics") and spec.severity == "info"
    assert (spec.interval, spec.timeout, spec.queue_size) == (30, 10, 20_000)


@pytest.mark.parametrize(
    ("text", "code", "field"),
    [
        ("", "schema.required", "endpoint"),
        ("endpoint: collector:4318", "value.url", "endpoint"),
        ("endpoint: ftp://collector", "value.url", "endpoint"),
        ("endpoint: http://", "value.url", "endpoint"),
        ('endpoint: "http://[::1"', "value.url", "endpoint"),
        ("endpoint: http://collector:70000", "value.url", "endpoint"),
        ('endpoint: "http://a b"', "value.url", "endpoint"),
        ('endpoint: "http://collector/?token=1"', "value.url", "endpoint"),
        ("endpoint: http://user:geheim@collector", "value.url", "endpoint"),
        (f"{URL}, protocol: grpc", "schema.enum", "protocol"),
        (f"{URL}, signals: []", "value.required", "signals"),
        (f"{URL}, signals: [events, events]", "value.duplicate", "signals"),
        (f"{URL}, signals: [traces]", "schema.enum", "signals[0]"),
        (f"{URL}, interval: 500ms", "value.range", "interval"),
        (f"{URL}, timeout: 48h", "value.range", "timeout"),
        (f"{URL}, queueSize: 10", "schema.range", "queueSize"),
        (f"{URL}, caFile: ca.pem", "schema.pattern", "caFile"),
        (f"{URL}, headers: [{{name: X-Token}}]", "value.exclusive", "headers[0]"),
        (f"{URL}, headers: [{{name: X-Token, secret: a, file: /b}}]", "value.exclusive", "headers[0]"),
        (f"{URL}, headers: [{{name: 'X Token', secret: a}}]", "schema.pattern", "headers[0].name"),
        (f'{URL}, headers: [{{name: X-Token, secret: "a\\nHost: b"}}]', "value.header", "headers[0].secret"),
    ],
)
def test_what_is_wrong(text: str, code: str, field: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load(document(text))
    [error] = caught.value.errors
    assert (error.code, error.path) == (code, f"spec.{field}")


def test_no_error_shows_a_secret() -> None:
    wrong = f"{URL}, timeout: 0s, headers: [{{name: X-Token, secret: geheim, file: /geheim2}}]"
    with pytest.raises(ConfigErrors) as caught:
        load(document(wrong))
    assert "geheim," not in render(caught.value)
    spec = spec_of(f"{URL}, headers: [{{name: X-Token, secret: geheim}}]")
    assert "geheim" not in repr(spec) and "geheim" not in str(to_wire(spec))


@pytest.mark.req("C16")
@pytest.mark.parametrize(
    "text",
    [
        'endpoint: "http://user:hunter2@127.0.0.1:99999/"',
        'endpoint: "http://127.0.0.1:1/?token=hunter2"',
        'endpoint: "http://[hunter2/"',
        'endpoint: "user:hunter2@127.0.0.1:4318"',
        'endpoint: "http://hunter2 @127.0.0.1"',
        'endpont: "http://user:hunter2@127.0.0.1/"',
        'protocol: "http://user:hunter2@127.0.0.1/"',
        f"{URL}, caFile: 'http://user:hunter2@127.0.0.1/'",
        f"{URL}, headers: [{{name: 'Bearer hunter2', secret: a}}]",
        f"{URL}, headers: [{{name: hunter2}}]",
        f"{URL}, headers: [{{name: X-Token, file: 'Bearer hunter2'}}]",
        f"{URL}, headers: [{{name: X-Token, secret: {{hunter2: 1, hunter2: 2}}}}]",
    ],
)
def test_a_refused_value_that_may_hold_a_password_is_not_repeated(text: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load(document(text))
    messages = [f"{error.message} {error.expected} {error.hint}" for error in caught.value.errors]
    assert "hunter2" not in summary(caught.value) + " ".join(messages)
    if text.startswith(("endp", "protocol")) and not text.startswith(URL):  # nor in the excerpt
        assert "hunter2" not in render(caught.value) + repr(as_json(caught.value))
