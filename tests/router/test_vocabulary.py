"""Every status that a router ever stores is as the table of docs/contract.md §4.4 says: whole routers go through many
situations, and each status is looked at as it is stored."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from routerd.events.objects import Objects
from routerd.events.types import Ref, Status, StoredObject
from routerd.nurseries.system import System
from routerd.resources import net6
from routerd.resources.kinds import KINDS
from routerd.sim.isp6 import ADVERTISEMENT
from tests.api.client import fetch
from tests.router.rig import DEFAULT, WAN, Rig, document, provider, until
from tests.router.rig6 import IPV6, T1, VALID, Street6, provider6

PAGE = (Path(__file__).parents[2] / "docs" / "contract.md").read_text()


@attrs.frozen
class Row:
    """A phase of a kind: the reasons for it, the conditions that it may have, the fields that it never lacks."""

    reasons: frozenset[str]
    conditions: frozenset[str]
    always: frozenset[str]


def _rows() -> Iterator[tuple[tuple[str, str], Row]]:
    [section] = re.findall(r"^### 4\.4 .*?(?=^## )", PAGE, re.MULTILINE | re.DOTALL)
    for line in re.findall(r"^\| [A-Z].*\|$", section, re.MULTILINE)[1:]:
        kind, phase, *rest = (cell.strip() for cell in line.strip("|").split("|"))
        reasons, conditions, always = (frozenset(cell.split()) for cell in rest)
        yield (kind, phase), Row(reasons, conditions, always)


TABLE = dict(_rows())
SILENT = {"WhenFalse", "DependsOnFalse"}


def wrong(ref: Ref, status: Status) -> Iterator[str]:
    """What of a status is not as the table says."""
    row = TABLE.get((ref.kind, status.get("phase", "")))
    if row is None:
        yield f"{ref} is {status.get('phase')}"
        return
    if status.get("reason", "–") not in row.reasons:
        yield f"{ref} is {status['phase']} because of {status.get('reason')}"
    if not isinstance(status.get("observedGeneration"), int):
        yield f"{ref} has no observedGeneration"
    if not status.get("conditions"):
        yield f"{ref} has no conditions"
    for condition in status.get("conditions", ()):
        if condition["type"] not in row.conditions:
            yield f"{ref} is {status['phase']} with the condition {condition['type']}"
        if condition.keys() - {"message"} != {"type", "status", "reason", "observedGeneration", "lastTransitionTime"}:
            yield f"{ref} has a condition with {sorted(condition)}"
    if missing := row.always - status.keys():
        yield f"{ref} is {status['phase']} without {sorted(missing)}"
    if empty := [name for name in KINDS[ref.kind].provides if status.get(name, 0) in (None, "")]:
        yield f"{ref} has nothing for {empty}"
    if status.get("reason") in SILENT and (told := (status.keys() & set(KINDS[ref.kind].provides)) - {"phase"}):
        yield f"{ref} is held and provides {sorted(told)}"


@attrs.define
class Book:
    """What was wrong, and which phases and provided fields have been seen."""

    faults: list[str] = attrs.field(factory=list)
    seen: set[tuple[str, str]] = attrs.field(factory=set)
    provided: set[tuple[str, str]] = attrs.field(factory=set)

    def note(self, changes: Mapping[Ref, StoredObject | None]) -> None:
        for ref, stored in changes.items():
            if stored is None or ref.kind not in {kind for kind, _ in TABLE}:
                continue
            self.faults += wrong(ref, stored.status)
            self.seen.add((ref.kind, stored.status.get("phase", "")))
            self.provided |= {(ref.kind, name) for name in KINDS[ref.kind].provides if name in stored.status}


@pytest.fixture
def book(monkeypatch: pytest.MonkeyPatch) -> Book:
    """Looks over the shoulder of the object store."""
    kept, apply = Book(), Objects.apply

    def noting(self: Objects, changes: Mapping[Ref, StoredObject | None]) -> None:
        kept.note(changes)
        apply(self, changes)

    monkeypatch.setattr(Objects, "apply", noting)
    return kept


REST = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: lan}
      spec: {ifname: eth1, mtu: 1400}
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: dark}
      spec: {ifname: eth2, adminUp: false}
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: refused}
      spec: {ifname: eth3, mtu: 9216}
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: foreign}
      spec: {ifname: eth4, managed: false}
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: absent}
      spec: {ifname: usb0}
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: held}
      spec: {ifname: eth5, when: {state: {Interface/wan.phase: {equals: Down}}}}
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: patient}
      spec: {ifname: eth6, when: {state: {Interface/wan.phase: {equals: Up, for: 5s}}}}
    - apiVersion: net.routerd.net/v1alpha1
      kind: DHCPv4Client
      metadata: {name: absent}
      spec: {interface: absent}
    - apiVersion: net.routerd.net/v1alpha1
      kind: DHCPv4Client
      metadata: {name: patient}
      spec: {interface: patient}
    - apiVersion: net.routerd.net/v1alpha1
      kind: DHCPv4Client
      metadata: {name: held}
      spec: {interface: held}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4StaticAddress
      metadata: {name: lan}
      spec: {interface: lan, address: 192.168.1.1/24}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4StaticAddress
      metadata: {name: absent}
      spec: {interface: absent, address: 192.168.2.1/24}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4StaticAddress
      metadata: {name: held}
      spec: {interface: held, address: 192.168.3.1/24}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4StaticAddress
      metadata: {name: patient}
      spec: {interface: patient, address: 192.168.4.1/24}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4Route
      metadata: {name: black}
      spec: {destination: 10.1.0.0/16, type: blackhole}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4Route
      metadata: {name: lab}
      spec: {destination: 10.2.0.0/16, gateway: 192.168.1.2, preferredSource: 192.168.1.1}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4Route
      metadata: {name: by-wan}
      spec: {destination: 10.3.0.0/16, device: wan, gatewayFrom: {resource: DHCPv4Client/wan, field: gateway}}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4Route
      metadata: {name: lost}
      spec: {destination: 10.4.0.0/16, device: usb7}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4Route
      metadata: {name: dark}
      spec: {destination: 10.5.0.0/16, device: dark}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4Route
      metadata: {name: sourceless}
      spec: {destination: 10.6.0.0/16, gateway: 192.168.1.2, preferredSource: 192.168.9.9}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4Route
      metadata: {name: needy}
      spec:
        destination: 10.7.0.0/16
        device: lan
        dependsOn: [{resource: DHCPv4Client/wan, phase: Bound}]
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4Route
      metadata: {name: held}
      spec: {destination: 10.8.0.0/16, device: held}
    - apiVersion: net.routerd.net/v1alpha1
      kind: ManagementAccess
      metadata: {name: ssh}
      spec: {interfaces: [lan, wan]}
    - apiVersion: net.routerd.net/v1alpha1
      kind: EventRule
      metadata: {name: flap}
      spec:
        pattern: {operator: count, topic: routerd.interface.link.down, threshold: 2}
        emit: {topic: home.flap}
    - apiVersion: net.routerd.net/v1alpha1
      kind: DerivedEvent
      metadata: {name: online}
      spec:
        topic: home.online
        hysteresis: 5s
        inputs: [{field: "${DHCPv4Client/wan.status.phase}", equals: Bound}]
    - apiVersion: system.routerd.net/v1alpha1
      kind: LogRetention
      metadata: {name: events}
      spec: {retention: 30d}
"""
LINKS = tuple(f"eth{number}" for number in range(7))


def test_the_table_and_the_kinds_have_the_same_phases() -> None:
    for kind in {kind for kind, _ in TABLE}:
        assert KINDS[kind].phases == () or {phase for of, phase in TABLE if of == kind} == set(KINDS[kind].phases)
    provided = {(kind, name) for (kind, _), row in TABLE.items() for name in row.always}
    assert all(name in KINDS[kind].provides for kind, name in provided)


def test_a_status_that_is_not_as_the_table_says_is_found() -> None:
    """Each fault alone, in a status that is good otherwise."""
    condition = {
        "type": "Applied",
        "status": "True",
        "reason": "Applied",
        "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    provided = {"interface": "lan", "ifname": "eth1", "address": "192.0.2.1/24", "dryRun": False}
    good = {**provided, "phase": "Applied", "reason": "Applied", "observedGeneration": 1, "conditions": [condition]}
    ref = Ref("IPv4StaticAddress", "lan")
    assert list(wrong(ref, good)) == []
    without = {key: value for key, value in condition.items() if key != "observedGeneration"}
    for bad in (
        {**good, "phase": "Up"},
        {**good, "reason": "NotYet"},
        {**good, "observedGeneration": None},
        {**good, "conditions": []},
        {**good, "conditions": [without]},
        {**good, "conditions": [{**condition, "type": "LinkUp"}]},
        {**good, "address": ""},
        {key: value for key, value in good.items() if key != "ifname"},
        {**good, "phase": "Pending", "reason": "WhenFalse"},
    ):
        assert len(list(wrong(ref, bad))) == 1, bad


def _as_it_is(system: System) -> System:
    return system


def _broken(system: System) -> System:
    """Its client crashes as soon as it opens a socket: a fault of ours."""
    nothing: Any = None
    return attrs.evolve(system, endpoints=nothing)


async def _contend(rig: Rig) -> None:
    """Somebody takes an address away again and again, and puts a route of his own in the place of ours."""
    for _ in range(6):
        [address] = [a for a in rig.host.snapshot().addresses if str(a.address) == "192.168.1.1/24"]
        rig.host.remove_address(address)
        await trio.sleep(0.5)
    [route] = [r for r in rig.host.snapshot().routes if str(r.destination) == "10.1.0.0/16"]
    rig.host.put_route(attrs.evolve(route, ours=False))
    await trio.sleep(70)


async def test_whole_routers_keep_to_the_table(rig: Rig, autojump_clock: MockClock, book: Book) -> None:
    rig.config = document(WAN % "", REST)
    async with rig.surroundings(lease_time=600, links=LINKS):
        rig.server.settings = provider(600, silent=True)
        async with rig.live() as reload:
            await trio.sleep(10)
            rig.server.settings = provider(600)
            await until(lambda: DEFAULT in rig.routes())
            await trio.sleep(60)
            for link in ("eth0", "eth1"):  # short and long losses of carrier, another MAC, by others set down
                rig.world.pull_cable(link)
                await trio.sleep(2)
                rig.world.plug(link)
                await trio.sleep(20)
                rig.world.pull_cable(link)
                await trio.sleep(30)
                rig.world.plug(link)
                await trio.sleep(20)
            rig.world.set_link("eth4", admin_up=False)
            rig.server.settings = provider(600, silent=True)
            await trio.sleep(1000)  # renewing, rebinding, expired
            rig.server.settings = provider(600)
            await until(lambda: DEFAULT in rig.routes(), within=600)
            await _contend(rig)
            for command in ("renew", "release", "start", "stop", "start"):
                await fetch(str(rig.run_dir / "dhcpv4-client" / "wan.sock"), f"/v1/commands/{command}", "POST")
                await trio.sleep(30)
            rig.config_path.write_text(document(WAN % ", useDNS: false, hostname: again", REST))
            await reload()
            await trio.sleep(30)
            rig.config_path.write_text("no: yaml: at all")
            await reload()
            await trio.sleep(1)
        for hold in (_as_it_is, _broken, _as_it_is):
            async with rig.live(hold):
                await trio.sleep(20)
    assert book.faults == []
    assert {row for row in TABLE if row[0] not in SIX} - book.seen == {
        ("EventRule", "Error"),
        ("DerivedEvent", "Error"),
    }, "defects of ours alone"
    never = {(kind, name) for kind, _ in TABLE if kind not in SIX for name in KINDS[kind].provides} - book.provided
    assert never == {("Interface", "primaryIPv6"), ("DHCPv4Client", "domain")}, "this world has neither"


# IPv6

SIX = {name for name, kind in KINDS.items() if kind.spec.__module__ == net6.__name__}
REST6 = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: absent-lan}
      spec: {ifname: usb1}
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: held-lan}
      spec: {ifname: eth4, when: {state: {Interface/wan.phase: {equals: Down}}}}
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: absent}
      spec: {ifname: usb0}
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: held}
      spec: {ifname: eth2, when: {state: {Interface/wan.phase: {equals: Down}}}}
    - apiVersion: net.routerd.net/v1alpha1
      kind: DHCPv6Information
      metadata: {name: wan}
      spec: {interface: wan}
    - apiVersion: net.routerd.net/v1alpha1
      kind: DHCPv6PrefixDelegation
      metadata: {name: absent}
      spec: {interface: absent}
    - apiVersion: net.routerd.net/v1alpha1
      kind: DHCPv6Address
      metadata: {name: held}
      spec: {interface: held}
    - apiVersion: net.routerd.net/v1alpha1
      kind: DHCPv6Information
      metadata: {name: absent}
      spec: {interface: absent}
    - apiVersion: net.routerd.net/v1alpha1
      kind: DHCPv6Information
      metadata: {name: held}
      spec: {interface: held}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6RAAddress
      metadata: {name: absent}
      spec: {interface: absent}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6RAAddress
      metadata: {name: held}
      spec: {interface: held}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6RouterAdvertisement
      metadata: {name: needy}
      spec: {interface: dark, dependsOn: [{resource: Interface/wan, phase: Down}]}
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: dark}
      spec: {ifname: eth3, adminUp: false}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6DelegatedAddress
      metadata: {name: beyond}
      spec: {prefixDelegation: wan-pd, interface: lan, subnetID: 70000, addressSuffix: "::1"}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6DelegatedAddress
      metadata: {name: absent}
      spec: {prefixDelegation: wan-pd, interface: absent-lan, subnetID: 2, addressSuffix: "::1"}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6DelegatedAddress
      metadata: {name: dark}
      spec: {prefixDelegation: wan-pd, interface: dark, subnetID: 3, addressSuffix: "::1"}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6DelegatedAddress
      metadata: {name: held}
      spec: {prefixDelegation: wan-pd, interface: held-lan, subnetID: 4, addressSuffix: "::1"}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6StaticRoute
      metadata: {name: black}
      spec: {destination: "2001:db8:b::/48", type: blackhole}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6StaticRoute
      metadata: {name: lab}
      spec: {destination: "2001:db8:c::/48", device: lan, gateway: "fe80::2"}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6StaticRoute
      metadata: {name: by-wan}
      spec:
        destination: "2001:db8:d::/48"
        device: wan
        gatewayFrom: {resource: IPv6RAAddress/wan-ra, field: defaultGateway}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6StaticRoute
      metadata: {name: sourced}
      spec: {destination: "2001:db8:e::/48", device: lan, preferredSource: "2001:db8::1:1"}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6StaticRoute
      metadata: {name: lost}
      spec: {destination: "2001:db8:f::/48", device: usb7}
"""


async def _trouble(street: Street6) -> None:
    """Lost carriers, another prefix, a provider that is silent until all is over, and comes back."""
    rig, world = street.rig, street.rig.world
    for link in ("eth0", "eth1"):
        world.pull_cable(link)
        await trio.sleep(30)
        world.plug(link)
        await trio.sleep(30)
    street.server.settings = provider6(1)
    await trio.sleep(2 * T1)
    street.server.settings = attrs.evolve(provider6(1), silent=True)
    street.router.advertisement = None
    await trio.sleep(3 * VALID)
    street.server.settings = provider6()
    street.router.advertisement = ADVERTISEMENT
    await trio.sleep(VALID)
    [own] = [a for a in rig.host.snapshot().addresses if a.ours and a.address.network.prefixlen == 64 and a.link == 2]
    for _ in range(6):
        rig.host.remove_address(own)
        await trio.sleep(0.5)
    [route] = [r for r in rig.host.snapshot().routes if str(r.destination) == "2001:db8:b::/48"]
    rig.host.put_route(attrs.evolve(route, ours=False, kind="unreachable"))
    await trio.sleep(70)


ANY_LENGTH = IPV6.replace(", prefixLength: 56", "")
"""Who asks for no length may name subnets that do not fit into what comes."""


async def test_whole_routers_with_ipv6_keep_to_the_table(rig: Rig, autojump_clock: MockClock, book: Book) -> None:
    street = Street6(rig)
    async with street.surroundings():
        rig.config = document(ANY_LENGTH, REST6)
        for link in ("eth2", "eth3", "eth4"):
            rig.world.add_link(link, link)
        street.server.settings = attrs.evolve(provider6(), silent=True)
        async with rig.live() as reload:
            await trio.sleep(10)
            street.server.settings = provider6()
            await until(lambda: street.on(0))
            await _trouble(street)
            for command in ("renew", "rebind", "release", "start", "info-request", "stop", "start"):
                await fetch(str(rig.run_dir / "dhcpv6-client" / "wan-pd.sock"), f"/v1/commands/{command}", "POST")
                await trio.sleep(30)
            rig.config_path.write_text(document(ANY_LENGTH, REST6.replace("usb7", "usb8")))
            await reload()
            await trio.sleep(30)
        for hold in (_as_it_is, _broken, _as_it_is):
            async with rig.live(hold):
                await trio.sleep(20)
    assert book.faults == []
    assert {row for row in TABLE if row[0] in SIX} - book.seen == set()
