"""`GET /why`: what of a chain is told, and what is not there to be told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

from routerd.api.advice import Case, advise
from routerd.events.types import Event, Ref, Source, Status
from tests.api.client import Answer, control, fetch
from tests.api.conftest import Served, serving
from tests.api.router import LAN, WAN, open_bench

RULE = Ref("EventRule", "wan-lost", "observability.routerd.net/v1alpha1")
EVENTRULE = Source("routerd-eventrule-wan-lost", "routerd-eventrule", "wan-lost")
ROUTE = Ref("IPv4Route", "default")


async def why(served: Served, target: str = "DHCPv4Client/wan", socket: str = "status") -> Answer:
    return await fetch(getattr(served, socket), control("/why", target=target))


async def lose(served: Served) -> int:
    """The carrier goes, and the lease with it; the id of the root."""
    log = served.bench.log
    down = Event("routerd.interface.link.down", "warning", "CarrierLost", resource=Ref("Interface", "wan"))
    [root] = await log.append(down)
    lost = Event("routerd.dhcpv4.client.lease.lost", resource=WAN, causes=(root,))
    await log.append(lost, status={WAN: {"phase": "Pending", "reason": "NoCarrier"}})
    return root


@pytest.mark.parametrize("socket", ["main", "status"])
async def test_a_healthy_resource_has_what_made_it_healthy(served: Served, socket: str) -> None:
    told = (await why(served, socket=socket)).json
    assert (told["apiVersion"], told["kind"], told["target"]) == (
        *("control.routerd.net/v1alpha1", "Why", "DHCPv4Client/wan"),
    )
    assert (told["phase"], told["reason"], told["suppressed"], told["oldest"]) == ("Bound", "Bound", [], 1)
    chain = told["chain"]
    assert (chain["event"]["id"], chain["root"]) == (3, False)
    [bound] = chain["causes"]
    assert (bound["event"]["topic"], bound["root"], bound["causes"]) == ("routerd.dhcpv4.client.lease.bound", True, [])
    assert told["since"] == chain["event"]["time"]
    assert "next" not in told and "times" not in bound and "missing" not in bound


@pytest.mark.parametrize("phase", ["Bound", "Acquiring"])
async def test_what_a_resource_does_while_it_is_as_it_should_be_did_not_make_it_so(served: Served, phase: str) -> None:
    log = served.bench.log
    stored = log.objects.get(WAN)
    assert stored is not None
    status = {**stored.status, "phase": phase}
    await log.append(status={WAN: status})
    before = (await why(served)).json["chain"]["event"]["id"]
    await log.append(status={WAN: {**status, "prefixes": [{"validUntilMonotonic": 9.0}]}})
    assert (await why(served)).json["chain"]["event"]["id"] == before, "the same is told again"
    await log.append(status={WAN: {**status, "reason": "Renewing", "state": "Renewing"}})
    after = (await why(served)).json["chain"]["event"]["id"]
    assert (after == before) is (phase == "Bound")


@pytest.mark.parametrize(
    ("target", "status", "hint"),
    [
        ("DHCPv4Client/wna", 404, "did you mean DHCPv4Client/wan?"),
        ("Nonsense/wan", 404, None),
        ("wan", 400, "for example DHCPv4Client/wan"),
        ("DHCPv4Client/", 400, "for example DHCPv4Client/wan"),
    ],
)
async def test_what_is_not_there(served: Served, target: str, status: int, hint: str | None) -> None:
    answer = await why(served, target)
    assert (answer.status, answer.error["field"], answer.error.get("hint")) == (status, "target", hint)


async def test_the_target_is_required(served: Served) -> None:
    answer = await fetch(served.status, control("/why"))
    assert (answer.status, answer.error["code"]) == (400, "query.missing")


async def test_kinds_are_taken_as_they_are_typed(served: Served) -> None:
    assert (await why(served, "dhcpv4client/wan")).json["target"] == "DHCPv4Client/wan"


async def test_a_resource_of_which_nothing_is_known_yet(served: Served) -> None:
    await served.bench.log.append(gone=[LAN])
    told = (await why(served, "Interface/lan")).json
    assert told["phase"] == "Unknown"
    assert told["chain"]["event"]["topic"] == "routerd.resource.status.changed", "what is known is of before"
    added = attrs.evolve(served.bench.running.router.resources[0], name="new")
    router = attrs.evolve(served.bench.running.router, resources=(added,))
    served.bench.running = attrs.evolve(served.bench.running, router=router)
    told = (await why(served, "Interface/new")).json
    assert "chain" not in told and told["phase"] == "Unknown"


async def test_who_suffers_from_the_same_and_which_alarms_were_raised(served: Served) -> None:
    log = served.bench.log
    root = await lose(served)
    changed = log.newest
    other = Event("routerd.ipv4.route.removed", resource=ROUTE, causes=(changed,))
    await log.append(other, status={ROUTE: {"phase": "Pending", "reason": "Unresolved"}})
    await log.append(Event("site.wan.lost", resource=RULE, source=EVENTRULE, causes=(changed,)))
    await log.append(Event("site.wan.lost", resource=attrs.evolve(RULE, name="other"), source=EVENTRULE, causes=(1,)))
    await log.append(Event("routerd.test.down", resource=LAN), status={LAN: {"phase": "Down"}})
    held = Ref("IPv4StaticAddress", "held")
    await log.append(status={held: {"phase": "Pending", "reason": "WhenFalse"}}, because={held: (changed,)})
    told = (await why(served)).json
    assert told["suppressed"] == ["EventRule/wan-lost", "IPv4Route/default"]
    assert (await why(served, "IPv4Route/default")).json["suppressed"] == ["EventRule/wan-lost"], "the client led there"
    assert (await why(served, "Interface/lan")).json["suppressed"] == []
    [lost] = told["chain"]["causes"]
    [down] = lost["causes"]
    assert (down["event"]["id"], down["root"]) == (root, True)


async def test_an_alarm_is_no_cause(served: Served) -> None:
    """As where `when` hangs on a DerivedEvent."""
    log = served.bench.log
    root = await lose(served)
    [alarm] = await log.append(Event("site.wan.lost", resource=RULE, source=EVENTRULE, causes=(root,)))
    await log.append(status={ROUTE: {"phase": "Pending", "reason": "WhenFalse"}}, because={ROUTE: (alarm,)})
    told = (await why(served, "IPv4Route/default")).json
    assert [cause["event"]["id"] for cause in told["chain"]["causes"]] == [root]
    assert "EventRule/wan-lost" in told["suppressed"]


async def test_what_is_alike_is_told_as_one(served: Served) -> None:
    sent = [Event("routerd.dhcpv4.client.renew.sent", resource=WAN, time=at * 10**9) for at in (1, 2, 3)]
    first, *_, last = ids = await served.bench.log.append(*sent)
    await served.bench.log.append(status={WAN: {"phase": "Rebinding"}}, because={WAN: ids})
    [cause] = (await why(served)).json["chain"]["causes"]
    assert (cause["times"], cause["firstId"], cause["lastId"], cause["event"]["id"]) == (3, first, last, last)
    assert (cause["from"], cause["to"]) == ("1970-01-01T00:00:01Z", "1970-01-01T00:00:03Z")


async def test_what_was_before_the_horizon_is_said_to_be_missing(served: Served, tmp_path: Path) -> None:
    log = served.bench.log
    root = await lose(served)
    while await log.prune(log.now() + 10**9, root, 2**40):
        pass
    told = (await why(served)).json
    assert told["oldest"] == root + 1
    [lost] = told["chain"]["causes"]
    assert (lost["root"], lost["missing"], lost["causes"]) == (True, 1, [])
    await log.append(Event("routerd.test"))
    while await log.prune(log.now() + 10**9, log.newest, 2**40):
        pass
    told = (await why(served)).json
    assert told["phase"] == "Pending" and "chain" not in told and "since" not in told


async def test_a_chain_that_is_longer_than_anybody_reads_is_cut(served: Served) -> None:
    log = served.bench.log
    [last] = await log.append(Event("routerd.test", resource=WAN))
    for number in range(300):
        [last] = await log.append(Event(f"routerd.test.{number % 2}", resource=WAN, causes=(last,)))
    await log.append(status={WAN: {"phase": "Lost"}}, because={WAN: (last,)})
    told, depth = (await why(served)).json["chain"], 0
    while told["causes"]:
        [told] = told["causes"]
        depth += 1
    assert 20 < depth < 100 and told["missing"] == 1


async def test_a_faulty_configuration_is_explained_by_its_rejection_as_long_as_that_is_known(served: Served) -> None:
    log, router = served.bench.log, Ref("Router", "home", "routerd.net/v1alpha1")
    [applied] = await log.append(Event("routerd.configuration.applied"), status={router: {"phase": "Applied"}})
    served.bench.running = attrs.evolve(served.bench.running, pending_error="router.yaml:1:1: oh")
    told = (await why(served, "Router/home")).json
    assert (told["phase"], told["chain"]["event"]["id"]) == ("Degraded", applied + 1)
    [rejected] = await log.append(Event("routerd.configuration.rejected", "error"))
    await log.append(Event("routerd.configuration.rejected", "warning", message="an apply: the file stays as it was"))
    told = (await why(served, "Router/home")).json
    assert (told["chain"]["event"]["id"], told["chain"]["root"]) == (rejected, True)


async def test_the_log_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_bench(tmp_path) as bench, serving(bench, tmp_path) as served:

        async def fail(*_: object, **__: object) -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(bench.log, "tail", fail)
        answer = await why(served)
        assert (answer.status, answer.error["code"]) == (503, "log.unreadable")


# Advice

UP_SINCE = {"type": "LinkUp", "status": "True", "lastTransitionTime": "2026-01-01T02:06:10Z"}
HEALTHY = {"phase": "Up", "conditions": [UP_SINCE]}
INTERFACE = Ref("Interface", "wan")


def event(reason: str, message: str = "", ref: Ref = WAN) -> Event:
    return Event("routerd.test", reason=reason, message=message, resource=ref)


@pytest.mark.parametrize(
    ("status", "root", "said"),
    [
        ({"phase": "Bound", "reason": "Bound"}, event("LeaseBound"), None),
        ({"phase": "Idle", "reason": "Stopped"}, event("CommandRequested"), "`routerctl start DHCPv4Client/wan`"),
        ({"phase": "Bound", "reason": "NoCarrier"}, event("CarrierLost"), "the cable"),
        ({"phase": "Error", "reason": "HostRefused", "message": "mtu greater"}, event("HostRefused"), "mtu greater"),
        ({"phase": "Pending", "reason": "WhenFalse", "message": "X is Down"}, None, "holds it back: X is Down"),
        ({"phase": "Acquiring", "reason": "Selecting"}, event("Nak"), "the server refuses"),
        (
            {"phase": "Acquiring", "reason": "NotGranted"},
            event("Refused", "X refuses it"),
            "X refuses it; it is asked again",
        ),
        ({"phase": "Acquiring", "reason": "NotGranted"}, event("Started"), "a server answers, and does not grant it"),
        ({"phase": "Acquiring", "reason": "NoRouter", "device": "eth0"}, None, "advertises itself on eth0"),
        ({"phase": "Error", "reason": "DuplicateAddress"}, event("DuplicateAddress"), "find the host that has it"),
        ({"phase": "Acquiring", "reason": "Init"}, event("Conflict", "02:… uses it"), "(02:… uses it)"),
        ({"phase": "Acquiring", "reason": "Selecting"}, event("RenewSent"), "no answer: see whether a server"),
        ({"phase": "Rebinding", "reason": "Rebinding"}, event("RenewSent"), "try `routerctl rebind DHCPv4Client/wan`"),
        (
            {"phase": "Rebinding", "reason": "Rebinding", "interface": "wan"},
            event("CarrierLost", ref=INTERFACE),
            "the link is up again since 2026-01-01T02:06:10Z, but no answer: try",
        ),
        (
            {"phase": "Pending", "reason": "Unresolved", "message": "it has no gateway now"},
            event("CarrierLost", ref=INTERFACE),
            "it has no gateway now: `routerctl why Interface/wan`",
        ),
        ({"phase": "Pending", "reason": "NotYet"}, event("LinkGone", ref=INTERFACE), "why Interface/wan`"),
        ({"phase": "Pending", "reason": "NotYet"}, None, None),
    ],
)  # fmt: skip
def test_what_there_is_to_do(status: Status, root: Event | None, said: str | None) -> None:
    def status_of(target: str) -> Status:
        return HEALTHY if target == "Interface/wan" else {}

    told = advise(Case(WAN, status, root, status_of))
    assert told is None if said is None else said in (told or "")


@pytest.mark.parametrize(
    ("client", "other"), [({"phase": "Acquiring"}, "DHCPv4Client/wan"), ({"phase": "Bound"}, "Interface/wan")]
)
def test_who_led_there_and_is_in_trouble_still_is_to_be_looked_at(client: Status, other: str) -> None:
    statuses: dict[str, Status] = {"Interface/wan": HEALTHY, "DHCPv4Client/wan": client}
    status: Status = {"phase": "Pending", "reason": "NoPrefix"}
    root = event("CarrierUp", ref=INTERFACE)
    case = Case(ROUTE, status, root, lambda target: statuses.get(target, {}), led=(INTERFACE, WAN, ROUTE))
    assert advise(case) == f"see `routerctl why {other}`"


def test_a_faulty_configuration_is_to_be_mended_where_it_is_faulty() -> None:
    case: Any = Case(Ref("Router", "home"), {"phase": "Degraded"}, None, lambda _: {}, "router.yaml:8:17: oh\nmore")
    assert advise(case) == "mend the configuration, router.yaml:8:17: oh; then apply it again, or send SIGHUP"
