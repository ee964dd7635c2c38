"""`routerctl status`: the router on one screen."""

from __future__ import annotations

import time

from routerctl.client import entries, part
from routerctl.errors import Exit
from routerctl.health import readiness
from routerctl.resources import address_of, listed, phase_of, reference_of
from routerctl.table import Table
from routerctl.times import ago, parse_instant, span
from routerctl.words import cell, role

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

    from routerctl.client import Client, Object
    from routerctl.health import Health
    from routerctl.output import Out

EXAMPLES = {
    "status": """
  routerctl status            is the line up, with which address, for how long; what is wrong
  routerctl status -o json    phase, issues and controllers as routerd answers them
"""
}


BY = {"IPv6RAAddress": "RA", "DHCPv6Address": "DHCPv6", "DHCPv6PrefixDelegation": "DHCPv6"}
"""Kinds of what a provider gives of IPv6, and by which protocol."""


def arguments(verb: str, parser: ArgumentParser) -> None:
    """It has none of its own."""


def run(verb: str, args: Namespace, client: Client, out: Out) -> Exit:
    """Short reads, one screen."""
    answer = client.get("/status")
    if out.form == "table":
        _show(out, part(answer, "status"), listed(client, "resources"), readiness(client), time.time())
    else:
        out.one(answer, "Status/routerd")
    return Exit.OK


def _show(out: Out, status: Object, resources: list[Object], health: Health, now: float) -> None:
    phase = cell(status.get("phase") or "Unknown")
    applied = ago(status.get("lastApplyTime"), now)
    out.line(
        out.paint(role(phase), out.glyph("● ", "") + phase)
        + f"   generation {cell(status.get('generation'))}, {cell(status.get('resourceCount'))} resources"
        + (f", applied {applied} ago" if applied != "-" else "")
    )
    if waiting := status.get("waitingGeneration"):
        out.line(f"generation {cell(waiting)} is written, and taken up at the next change or start")
    _wans(out, _of_kind(resources, "DHCPv4Client"), now)
    _wans6(out, [one for one in resources if one.get("kind") in BY], now)
    _interfaces(out, _of_kind(resources, "Interface"))
    _daemons(out, health)
    _controllers(out, entries(status, "controllers"), now)
    _problems(out, status, health)


def _wans(out: Out, clients: list[Object], now: float) -> None:
    rows = []
    for one in clients:
        status = part(one, "status")
        rows.append(
            (
                one.get("name"),
                phase_of(one),
                address_of(status),
                status.get("defaultGateway"),
                status.get("dnsServers"),
                lease_of(status, now),
            )
        )
    _section(out, ("WAN", "PHASE", "ADDRESS", "GATEWAY", "DNS", "LEASE"), rows)


def _wans6(out: Out, given: list[Object], now: float) -> None:
    rows = []
    for one in given:
        status, by = part(one, "status"), BY[str(one.get("kind"))]
        has = status.get("currentPrefix") or status.get("currentAddress") or status.get("addresses")
        gateway = status.get("defaultGateway")
        detail = f"via {cell(gateway)}" if gateway else lease_of(status, now)
        rows.append((one.get("name"), by, phase_of(one), has, detail))
    _section(out, ("WAN6", "BY", "PHASE", "HAS", "DETAIL"), rows)


def lease_of(status: Object, now: float) -> str:
    """`41m left, renews in 11m`; without a lease, why there is none."""
    ends = parse_instant(status.get("expiresAt") or status.get("validUntil"))
    renews = parse_instant(status.get("renewAt"))
    if not (status.get("currentAddress") or status.get("currentPrefix")):
        return str(status.get("lastError") or status.get("message") or status.get("reason") or "")
    if ends is None:
        return "for ever"
    left = f"{span(ends - now)} left" if ends > now else f"ended {span(now - ends)} ago"
    if status.get("reason") == "NoCarrier":
        return f"{left}, no carrier"
    return f"{left}, renews in {span(renews - now)}" if renews is not None and renews > now else left


def _interfaces(out: Out, interfaces: list[Object]) -> None:
    rows = []
    for one in interfaces:
        status = part(one, "status")
        device = status.get("ifname") or part(one, "spec").get("ifname")
        carrier = {True: "up", False: "down"}.get(bool(status["carrier"])) if "carrier" in status else None
        rows.append((one.get("name"), phase_of(one), device, carrier, status.get("addresses")))
    _section(out, ("INTERFACE", "PHASE", "DEVICE", "CARRIER", "ADDRESSES"), rows)


def _daemons(out: Out, health: Health) -> None:
    rows = []
    for check in health.checks:
        word, _, name = str(check.get("name")).partition(" ")
        if word == "daemon":
            phase = "Running" if check.get("status") == "pass" else "Failed"
            rows.append((name, phase, check.get("detail") if check.get("detail") != phase else None))
    _section(out, ("DAEMON", "PHASE", "DETAIL"), rows)


def _controllers(out: Out, controllers: list[Object], now: float) -> None:
    failing = [one for one in controllers if one.get("currentError") is True]
    if not failing:
        out.line()
        out.line(f"{len(controllers)} controllers, none in error")
        return
    rows = [
        (
            one.get("name"),
            "Failing",
            f"{cell(one.get('consecutiveErrorCount'))} in a row",
            ago(one.get("lastErrorTime"), now),
            one.get("lastError"),
        )
        for one in failing
    ]
    _section(out, ("CONTROLLER", "PHASE", "ERRORS", "LAST", "ERROR"), rows)


def _problems(out: Out, status: Object, health: Health) -> None:
    issues = entries(status, "resourcePhaseIssues")
    rows: list[Sequence[object]] = [
        (reference_of(one), one.get("phase"), one.get("reason"), one.get("message")) for one in issues
    ]
    told = ("daemon", "controller")
    own = [check for check in health.failing if str(check.get("name")).partition(" ")[0] not in told]
    for check in own:
        rows += [
            (check.get("name"), "Failed", None, line) for line in str(check.get("detail") or "").splitlines() or [""]
        ]
    _section(out, ("PROBLEM", "PHASE", "REASON", "MESSAGE"), rows)


def _section(out: Out, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    if rows:
        out.line()
        Table(out, *header, painted="PHASE").rows(rows)


def _of_kind(resources: list[Object], kind: str) -> list[Object]:
    return [one for one in resources if one.get("kind") == kind]
