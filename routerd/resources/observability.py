"""Group `observability.routerd.net/v1alpha1`: where routerd's own events and figures are sent."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

import attrs

from routerd.resources.resource import told
from routerd.shapes.duration import Duration, format_duration
from routerd.shapes.invalid import Invalid
from routerd.shapes.limits import AtMost, Between, Matching
from routerd.shapes.secret import Secret

_TOKEN = Matching(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", 64, "the name of a header", "letters, digits and -")
_PATH = Matching(r"/[^\x00]*", 1024, "an absolute path", "a path that begins with /")


def _endpoint(_instance: object, _field: object, value: str) -> None:
    """An http or https URL without user, query and fragment. What is refused is not quoted: it may hold a password."""
    expected = "expected an http or https URL, for example http://collector.example:4318"
    alone = "expected a URL without user, password, query and fragment; a header with a secret takes what is secret"
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018  (it is read for what it raises)
    except ValueError:
        raise Invalid("value.url", expected, expected) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not value.isprintable() or " " in value:
        raise Invalid("value.url", expected, expected)
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise Invalid("value.url", alone, alone)


def _at_least_a_second(instance: object, field: object, value: float) -> None:
    AtMost(86400.0)(instance, field, value)
    if value < 1:
        raise Invalid("value.range", f"{format_duration(value)} is shorter than 1s", "expected 1s at least")


def _each_once(_instance: object, _field: object, value: tuple[object, ...]) -> None:
    if not value:
        raise Invalid("value.required", "names no signal", "expected events, metrics, or both")
    if len(set(value)) < len(value):
        raise Invalid("value.duplicate", "a signal stands here twice", "expected each once")


@attrs.frozen
class Header:
    """An HTTP header of each request. Give its value as exactly one of `secret` and `file`."""

    name: str = attrs.field(validator=_TOKEN, metadata=told("The name of the header.", example="Authorization"))
    secret: Secret | None = attrs.field(default=None, metadata=told("The value."))
    file: str | None = attrs.field(
        default=None,
        validator=attrs.validators.optional(_PATH),
        metadata=told("A file that has the value, read whenever sending begins.", example="/etc/routerd/otlp-token"),
    )

    def __attrs_post_init__(self) -> None:
        if (self.secret is None) is (self.file is None):
            raise Invalid("value.exclusive", "a header has no value, or two", "expected secret or file")
        if self.secret is not None and not self.secret.reveal().isprintable():
            raise Invalid("value.header", "the value has characters that no header may have", field="secret")


@attrs.frozen
class Telemetry:
    """Sends routerd's events (as log records) and metrics by OTLP to a collector. Needs the Python packages of
    `routerd[otlp]`; nothing of them is loaded without a Telemetry."""

    endpoint: str = attrs.field(
        validator=_endpoint,
        metadata=told(
            "The collector's URL; `/v1/logs` and `/v1/metrics` are added to it.",
            example="http://192.0.2.1:4318",
            sensitive=True,
        ),
    )
    protocol: Literal["http/protobuf"] = attrs.field(default="http/protobuf", metadata=told("How it is spoken to."))
    signals: tuple[Literal["events", "metrics"], ...] = attrs.field(
        default=("events", "metrics"), validator=_each_once, metadata=told("What is sent.")
    )
    severity: Literal["debug", "info", "warning", "error"] = attrs.field(
        default="info", metadata=told("Of events: only those at least this severe.")
    )
    interval: Duration = attrs.field(
        default=Duration(30.0),
        validator=_at_least_a_second,
        metadata=told("How often metrics are sent; 1s to 24h."),
    )
    timeout: Duration = attrs.field(
        default=Duration(10.0),
        validator=_at_least_a_second,
        metadata=told("How long a request may take."),
    )
    queue_size: int = attrs.field(
        default=20_000,
        validator=Between(100, 1_000_000),
        metadata=told(
            "Events that may wait for a collector that does not answer. They wait in the event log, also over a "
            "restart; of more the oldest are passed over and counted."
        ),
    )
    headers: tuple[Header, ...] = attrs.field(default=(), metadata=told("Headers of each request."))
    ca_file: str | None = attrs.field(
        default=None,
        validator=attrs.validators.optional(_PATH),
        metadata=told("A file of certificates (PEM) by which the collector is known, instead of the system's."),
    )
