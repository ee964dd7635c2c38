"""Group `system.routerd.net/v1alpha1`: what concerns the program itself (contract §4.3)."""

from __future__ import annotations

import re
from typing import Any, Literal

import attrs

from routerd.resources.resource import told
from routerd.shapes.duration import Period, format_duration
from routerd.shapes.invalid import Invalid, Problem, Problems, described, did_you_mean
from routerd.shapes.limits import Matching

SIGNALS = ("events",)
"""What this version keeps a log of."""
LATER_SIGNALS = ("accessLogs", "pluginRuns", "dnsQueries", "trafficFlows", "firewallEvents", "dhcpFingerprints")
"""What the API knows, too."""

SHORTEST = 60.0
SMALLEST = 2**20
"""Octets: what an empty log and its indices take, with some room."""

SIZE = Matching(r"[1-9][0-9]{0,5}(KiB|MiB|GiB)", 9, "a size", "a number and KiB, MiB or GiB")
_UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def _kept(_instance: object, _field: object, value: tuple[str, ...]) -> None:
    """Signals that this version has, each once, at least one."""
    problems = [
        Problem.of(invalid, (place,))
        for place, name in enumerate(value)
        if (invalid := _objection(name, value[:place]))
    ]
    if problems:
        raise Problems(tuple(problems))
    if not value:
        raise Invalid("value.required", "names no signal", "expected at least one", f"there is {', '.join(SIGNALS)}")


def _objection(name: str, before: tuple[str, ...]) -> Invalid | None:
    there_is = f"this version has {', '.join(SIGNALS)}"
    if name in before:
        return Invalid("value.duplicate", f"{described(name)} stands here twice", "expected each once")
    if name in LATER_SIGNALS:
        return Invalid("unsupported.signal", f"{name} is not supported by this version", "of a later version", there_is)
    if name not in SIGNALS:
        hint = did_you_mean(name, (*SIGNALS, *LATER_SIGNALS)) or there_is
        return Invalid("value.signal", f"{described(name)} is not a signal", "expected a signal", hint)
    return None


def _long(_instance: object, _field: object, value: Any) -> None:
    if value < SHORTEST:
        least = format_duration(SHORTEST)
        raise Invalid("value.range", f"{format_duration(value)} is shorter than {least}", f"expected {least} at least")


@attrs.frozen
class _Size:
    """A size of at least SMALLEST."""

    def __call__(self, instance: object, field: object, value: str) -> None:
        SIZE(instance, field, value)
        if octets(value) < SMALLEST:
            raise Invalid("value.range", f"{value} is less than 1MiB", "expected 1MiB at least")

    def schema(self) -> dict[str, Any]:
        """As JSON Schema keywords."""
        return SIZE.schema()


def octets(size: str) -> int:
    """`200MiB` as a number."""
    return int(re.sub(r"\D", "", size)) * _UNITS[size[-3:]]


@attrs.frozen
class LogRetention:
    """How long routerd keeps what it has recorded. Without one: 30 days, and at most 200MiB."""

    retention: Period = attrs.field(
        validator=_long,
        metadata=told("Delete what is older: a duration, or days as in `30d`. At least `1m`.", example="30d"),
    )
    max_size: str = attrs.field(
        default="200MiB",
        validator=_Size(),
        metadata=told("Delete the oldest while the log takes more than this, however young it is.", example="200MiB"),
    )
    signals: tuple[str, ...] = attrs.field(
        default=SIGNALS,
        validator=_kept,
        metadata=told(f"Of what. This version has `{'`, `'.join(SIGNALS)}`.", example=["events"]),
    )
    schedule: Literal["", "daily"] = attrs.field(
        default="",
        metadata=told("How often to look: each hour, or each day; a flood of events is always seen at once."),
    )
    vacuum: bool = attrs.field(
        default=True,
        metadata=told("Give the space back to the file system. True only: the log does so with each deletion."),
    )

    def __attrs_post_init__(self) -> None:
        if not self.vacuum:
            message = "the log gives its space back with each deletion"
            raise Invalid("value.unsupported", message, "expected true", "leave it out", field="vacuum")

    @property
    def max_octets(self) -> int:
        """`maxSize` as a number."""
        return octets(self.max_size)

    @property
    def interval(self) -> float:
        """Seconds between two looks."""
        return 86400.0 if self.schedule == "daily" else 3600.0
