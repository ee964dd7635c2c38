"""`routerctl doctor`: what routerd tells of itself, judged area by area, each trouble with what to do about it."""

from __future__ import annotations

import time

from routerctl.client import entries, number, part
from routerctl.errors import Exit
from routerctl.feed import stored
from routerctl.health import Health, readiness
from routerctl.kinds import DAEMON_DIRECTORIES
from routerctl.resources import listed, phase_of, reference_of, summary
from routerctl.table import Table
from routerctl.times import ahead
from routerctl.words import role

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from routerctl.client import Client, Object
    from routerctl.output import Out

EXAMPLES = {
    "doctor": """
  routerctl doctor            every area
  routerctl doctor wan        is the line up, and if not, what to try
  routerctl doctor -o json    for monitoring; exit code 8 when something fails
"""
}
LOOKED_BACK = "1000"
"""Events of severity error that are counted, at most."""
RECENTLY = 3600.0
"""Seconds for which an event of severity error is a warning."""
WANS = ("DHCPv4Client", "DHCPv6Address", "DHCPv6PrefixDelegation", "IPv6RAAddress", "PPPoESession")
"""Kinds that acquire a WAN."""
HELD = ("WhenFalse", "DependsOnFalse")
"""Reasons for which a resource waits because its configuration wants it so."""
CROWDED = 0.8
"""Part of the descriptors in use from which on it is a warning."""


class Findings:
    """What routerd answers, asked once."""

    def __init__(self, client: Client) -> None:
        self.status = part(client.get("/status"), "status")
        self.resources = listed(client, "resources")
        self.health: Health = readiness(client)
        self.runtime = client.get("/runtime")
        self.events = client.get("/events", [("tail", LOOKED_BACK), ("severity", "error")])
        self.now = time.time()

    def check(self, name: str) -> Object:
        """A check of /readyz; empty when there is none of that name."""
        return next((one for one in self.health.checks if one.get("name") == name), {})

    def kind(self, *kinds: str) -> list[Object]:
        """The resources of some kinds."""
        return [one for one in self.resources if one.get("kind") in kinds]


class Check:
    """One line: `status` is pass, warn, fail or skip."""

    __slots__ = ("detail", "name", "remedy", "status")

    def __init__(self, name: str, status: str, detail: str = "", remedy: str = "") -> None:
        self.name = name
        self.status = status
        self.detail = detail
        self.remedy = remedy if status in ("warn", "fail") else ""


def arguments(verb: str, parser: ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("area", choices=sorted(AREAS), nargs="?", help="one area; else all of them")


def run(verb: str, args: Namespace, client: Client, out: Out) -> Exit:
    """Ask, judge, show."""
    findings = Findings(client)
    areas = [args.area] if args.area else list(AREAS)
    checks = [(area, check) for area in areas for check in AREAS[area](findings)]
    counts = {word: sum(check.status == word for _, check in checks) for word in ("pass", "warn", "fail", "skip")}
    overall = next((word for word in ("fail", "warn", "pass") if counts[word]), "skip")
    if out.form == "table":
        tally = " ".join(f"{word}={count}" for word, count in counts.items())
        out.line(f"DOCTOR {out.paint(role(overall), overall)} {tally}")
        table = Table(out, "AREA", "STATUS", "CHECK", "DETAIL", "REMEDY", painted="STATUS")
        table.rows((area, check.status, check.name, check.detail, check.remedy) for area, check in checks)
    elif out.whole:
        out.value({"summary": {"overall": overall, **counts}, "checks": [_row(*pair) for pair in checks]})
    else:
        out.items([_row(*pair) for pair in checks], lambda row: f"{row['area']}/{row['name']}")
    return Exit.CONDITION if overall == "fail" else Exit.OK


def _row(area: str, check: Check) -> Object:
    told = {"detail": check.detail, "remedy": check.remedy}
    return {"area": area, "name": check.name, "status": check.status} | {
        key: text for key, text in told.items() if text
    }


# Areas


def _wan(findings: Findings) -> Iterator[Check]:
    clients = findings.kind(*WANS)
    if not clients:
        yield Check("clients", "skip", "no resource acquires a WAN")
    used = {part(one, "spec").get("interface") for one in clients}
    for link in findings.kind("Interface"):
        if link.get("name") in used:
            yield _resource(link, "is the cable in, and the other side on?")
    for one in clients:
        yield _resource(one, f"routerctl why {reference_of(one)}")
    for check in findings.health.checks:
        word, _, name = str(check.get("name")).partition(" ")
        if word == "daemon":
            yield _readiness(
                check, f"routerctl events --resource {_client_of(name)}; routerd starts it again by itself"
            )


def _client_of(daemon: str) -> str:
    directory, _, name = daemon.partition("/")
    kind = next((kind for kind, folder in DAEMON_DIRECTORIES.items() if folder == directory), "DHCPv4Client")
    return f"{kind}/{name}"


def _resource(one: Object, remedy: str) -> Check:
    """One that has a lease still, whatever its phase, is no failure yet."""
    status = part(one, "status")
    if role(phase_of(one)) == "good":
        word = "pass"
    elif status.get("reason") in HELD:
        word = "skip"
    else:
        word = "warn" if status.get("currentAddress") or status.get("currentPrefix") else "fail"
    return Check(reference_of(one), word, summary(one), remedy)


def _readiness(check: Object, remedy: str) -> Check:
    good = check.get("status") == "pass"
    return Check(str(check.get("name")), "pass" if good else "fail", str(check.get("detail") or ""), remedy)


def _disk(findings: Findings) -> Iterator[Check]:
    if check := findings.check("event-log"):
        yield _readiness(check, "is the disk of the state directory full, read-only or broken? df; dmesg")
    else:
        yield Check("event-log", "skip", "routerd does not tell")


def _mgmt(findings: Findings) -> Iterator[Check]:
    declared = findings.kind("ManagementAccess")
    if not declared:
        yield Check("access", "skip", "no ManagementAccess is declared: nothing guards against locking oneself out")
    for one in declared:
        yield _resource(one, f"routerctl describe {reference_of(one)}")
    if pending := part(findings.status, "pendingCommit"):
        when = ahead(pending.get("confirmBy"), findings.now)
        detail = f"generation {pending.get('generation')} is rolled back {when} unless confirmed"
        yield Check("pending commit", "warn", detail, "routerctl confirm, or routerctl rollback")
    else:
        yield Check("pending commit", "pass", "none")


def _reconcile(findings: Findings) -> Iterator[Check]:
    for one in entries(findings.status, "controllers"):
        failing = one.get("currentError") is True
        detail = str(one.get("lastError") or "fails") if failing else f"{number(one, 'reconcileCount')} runs"
        yield Check(f"controller {one.get('name')}", "fail" if failing else "pass", detail, "routerctl get controllers")
    issues = entries(findings.status, "resourcePhaseIssues")
    for one in issues:
        told = [str(one[key]) for key in ("phase", "reason", "message") if one.get(key)]
        yield Check(reference_of(one), "warn", " ".join(told), f"routerctl why {reference_of(one)}")
    if not issues:
        yield Check("resources", "pass", f"{len(findings.resources)}, each as it should be")


def _runtime(findings: Findings) -> Iterator[Check]:
    if check := findings.check("event-loop"):
        yield _readiness(check, "what else keeps this machine busy? top")
    used, most = number(findings.runtime, "openFds"), number(findings.runtime, "maxFds")
    if most:
        crowded = used > CROWDED * most
        yield Check(
            "descriptors", "warn" if crowded else "pass", f"{used} of {most}", "raise LimitNOFILE of the service"
        )


def _config(findings: Findings) -> Iterator[Check]:
    if error := findings.status.get("pendingError"):
        yield Check("file", "fail", str(error), "routerctl validate")
    elif check := findings.check("configuration"):
        yield _readiness(check, "routerctl validate")
    waiting = findings.status.get("waitingGeneration")
    if waiting:
        yield Check(
            "loaded", "warn", f"generation {waiting} is written and not taken up", "routerctl apply, or a reload"
        )
    else:
        yield Check("loaded", "pass", f"generation {findings.status.get('generation')}")


def _events(findings: Findings) -> Iterator[Check]:
    oldest, newest = number(findings.events, "oldest"), number(findings.events, "newest")
    yield Check("log", "pass", f"events {oldest} to {newest}" if newest >= oldest > 0 else "empty")
    errors = [one for one in entries(findings.events, "events") if stored(one) > findings.now - RECENTLY]
    last = f"; the last: {errors[-1].get('message') or errors[-1].get('topic')}" if errors else ""
    remedy = "routerctl events --severity error --since 1h"
    yield Check("errors", "warn" if errors else "pass", f"{len(errors)} in the last hour{last}", remedy)


AREAS = {
    "wan": _wan,
    "config": _config,
    "reconcile": _reconcile,
    "mgmt": _mgmt,
    "disk": _disk,
    "runtime": _runtime,
    "events": _events,
}
