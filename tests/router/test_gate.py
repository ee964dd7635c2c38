"""`when` and `dependsOn` in a whole router: what is held is withdrawn, in order, and comes back as it was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import trio
from trio.testing import MockClock

from routerd.events.types import StoredEvent
from tests.router.mortal import Mortal
from tests.router.rig import CLIENT, DEFAULT, LEASED, WAN, Rig, document, provider, topics, until

INTERFACE_LAN = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: lan}
      spec: {ifname: eth1%s}
"""
HOME = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4StaticAddress
      metadata: {name: home}
      spec:
        interface: lan
        address: 192.168.1.1/24
        %s
"""
LAB = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4Route
      metadata: {name: lab}
      spec:
        destination: 10.20.0.0/16
        gatewayFrom: {resource: DHCPv4Client/wan, field: gateway, optional: true}
        deviceFrom: {resource: DHCPv4Client/wan, field: device, optional: true}
        dependsOn:
          - {resource: DHCPv4Client/wan, phase: Bound}
"""
WAN_UP = "when: {state: {Interface/wan.phase: {equals: Up%s}}}"
AT_HOME = "192.168.1.1/24"
LAB_ROUTE = "10.20.0.0/16 via 203.0.113.1"
LINKS = ("eth0", "eth1")


def removed(events: Sequence[StoredEvent]) -> list[str]:
    """What was withdrawn from the host, in order."""
    said = [stored.event for stored in events]
    return [e.attributes.get("destination") or e.attributes["address"] for e in said if e.topic.endswith(".removed")]


def phases(events: Sequence[StoredEvent], resource: str) -> list[str]:
    """The phases that a resource has been in."""
    changes = [e.event for e in events if e.event.topic == "routerd.resource.status.changed"]
    told = [e.attributes["phase"] for e in changes if str(e.resource) == resource]
    return [phase for place, phase in enumerate(told) if place == 0 or told[place - 1] != phase]


async def changes(rig: Rig) -> int:
    """How often the status of the client has changed so far."""
    changed = [e.event for e in await rig.events() if e.event.topic == "routerd.resource.status.changed"]
    return [event.resource for event in changed].count(CLIENT)


async def test_a_route_that_depends_on_a_lease_comes_and_goes_with_it(rig: Rig, autojump_clock: MockClock) -> None:
    rig.config = document(WAN % "", LAB)
    async with rig.surroundings(lease_time=600):
        rig.server.settings = provider(600, silent=True)
        async with rig.live():
            await trio.sleep(10)
            held = await rig.status_of("IPv4Route/lab")
            assert (held["phase"], held["reason"]) == ("Pending", "DependsOnFalse")
            assert held["message"] == 'DHCPv4Client/wan.phase is "Acquiring", not "Bound"'
            assert "destination" not in held
            rig.server.settings = provider(600)
            await until(lambda: LAB_ROUTE in rig.routes())
            assert (await rig.status_of("IPv4Route/lab"))["phase"] == "Installed"
            rig.server.settings = provider(600, silent=True)
            at = trio.current_time()
            await trio.sleep(560)
            assert LAB_ROUTE in rig.routes(), "renewing and rebinding it still has its lease"
            await until(lambda: LAB_ROUTE not in rig.routes(), within=60)
            assert 580 < trio.current_time() - at < 610
            assert (await rig.status_of("IPv4Route/lab"))["reason"] == "DependsOnFalse"


async def test_an_address_waits_until_its_condition_has_held_long_enough(rig: Rig, autojump_clock: MockClock) -> None:
    rig.config = document(WAN % "", INTERFACE_LAN % "", HOME % (WAN_UP % ", for: 10s"))
    async with rig.surroundings(links=LINKS):
        rig.world.pull_cable("eth0")
        async with rig.live():
            await trio.sleep(1)
            held = await rig.status_of("IPv4StaticAddress/home")
            assert (held["phase"], held["reason"]) == ("Pending", "WhenFalse")
            assert held["message"] == 'Interface/wan.phase is "Down", not "Up"'
            [admitted] = held["conditions"]
            assert (admitted["type"], admitted["status"], admitted["observedGeneration"]) == ("Admitted", "False", 1)
            for _ in range(5):  # it flaps, and never for ten seconds
                rig.world.plug("eth0")
                await trio.sleep(9)
                assert rig.addresses("eth1") == []
                rig.world.pull_cable("eth0")
                await trio.sleep(2)
            rig.world.plug("eth0")
            await trio.sleep(0.1)
            held = await rig.status_of("IPv4StaticAddress/home")
            assert held["message"] == 'Interface/wan.phase is "Up", but not yet for 10s'
            assert held["nextLookAt"].endswith("Z")
            at = trio.current_time()
            await until(lambda: rig.addresses("eth1") == [AT_HOME])
            assert 9.8 < trio.current_time() - at < 10.1
            rig.world.pull_cable("eth0")
            await until(lambda: rig.addresses("eth1") == [], within=1)
    events = await rig.events()
    assert phases(events, "IPv4StaticAddress/home")[-3:] == ["Pending", "Applied", "Pending"]


async def root_of(rig: Rig, target: str) -> tuple[str, str]:
    """Reason and topic of the event at the root of its present phase."""
    link = (await rig.ask("/why", target=target)).json["chain"]
    while link["causes"]:
        [link] = link["causes"]
    assert link["root"]
    return link["event"]["reason"], link["event"]["topic"]


async def test_why_something_is_held_goes_back_to_the_root(rig: Rig, autojump_clock: MockClock) -> None:
    rig.config = document(WAN % "", INTERFACE_LAN % "", HOME % (WAN_UP % ""))
    async with rig.surroundings(links=LINKS), rig.live() as reload:
        await until(lambda: rig.addresses("eth1") == [AT_HOME])
        rig.world.pull_cable("eth0")
        await until(lambda: rig.addresses("eth1") == [])
        await trio.sleep(1)
        assert await root_of(rig, "IPv4StaticAddress/home") == ("CarrierLost", "routerd.interface.link.down")
        rig.world.plug("eth0")
        await until(lambda: rig.addresses("eth1") == [AT_HOME])
        rig.config_path.write_text(document(WAN % "", INTERFACE_LAN % "", HOME % WAN_UP.replace("Up%s", "Down")))
        await reload()
        await until(lambda: rig.addresses("eth1") == [])
        await trio.sleep(1)
        assert (await root_of(rig, "IPv4StaticAddress/home"))[0] == "ConfigurationApplied"


async def test_what_is_held_counts_as_healthy(rig: Rig, autojump_clock: MockClock) -> None:
    rig.config = document(WAN % "", INTERFACE_LAN % "", HOME % (WAN_UP.replace("Up%s", "Down")))
    async with rig.surroundings(links=LINKS), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        await trio.sleep(1)
        status = (await rig.ask("/status")).json["status"]
        assert status["phase"] == "Healthy", status["resourcePhaseIssues"]
        assert (await rig.status_of("IPv4StaticAddress/home"))["reason"] == "WhenFalse"


async def test_a_reload_adds_and_removes_a_condition(rig: Rig, autojump_clock: MockClock) -> None:
    free = document(WAN % "", INTERFACE_LAN % "", HOME % "")
    bound = document(WAN % "", INTERFACE_LAN % "", HOME % (WAN_UP.replace("Up%s", "Down")))
    rig.config = free
    async with rig.surroundings(links=LINKS), rig.live() as reload:
        await until(lambda: rig.addresses("eth1") == [AT_HOME])
        rig.config_path.write_text(bound)
        await reload()
        await until(lambda: rig.addresses("eth1") == [], within=5)
        rig.config_path.write_text(free)
        await reload()
        await until(lambda: rig.addresses("eth1") == [AT_HOME], within=5)


async def test_a_held_interface_holds_what_is_on_it(rig: Rig, autojump_clock: MockClock) -> None:
    lan = INTERFACE_LAN % (", " + WAN_UP % "")
    rig.config = document(WAN % "", lan, HOME % "")
    async with rig.surroundings(links=LINKS):
        rig.world.pull_cable("eth0")
        async with rig.live():
            await trio.sleep(1)
            held = await rig.status_of("IPv4StaticAddress/home")
            assert held["reason"] == "WhenFalse"
            assert held["message"] == 'Interface/lan waits: Interface/wan.phase is "Down", not "Up"'
            rig.world.plug("eth0")
            await until(lambda: rig.addresses("eth1") == [AT_HOME], within=1)


async def test_a_restart_withdraws_nothing_while_others_are_silent(rig: Rig, autojump_clock: MockClock) -> None:
    """Killed and started again, the router does not know at first what its conditions are worth."""
    rig.config = document(WAN % "", INTERFACE_LAN % "", HOME % (WAN_UP % ", for: 10s"), LAB)
    async with rig.surroundings(links=LINKS):
        async with rig.live():
            await until(lambda: rig.addresses("eth1") == [AT_HOME] and LAB_ROUTE in rig.routes())
            await trio.sleep(1)
        for _ in range(3):
            mortal = Mortal(rig, last=40)
            async with rig.live(mortal.hold):
                with trio.move_on_after(30):
                    await mortal.dead.wait()
            assert rig.addresses("eth1") == [AT_HOME]
            assert LAB_ROUTE in rig.routes()
        async with rig.live():
            for _ in range(300):
                await trio.sleep(0.1)
                assert rig.addresses("eth1") == [AT_HOME]
                assert LAB_ROUTE in rig.routes()
            assert (await rig.status_of("IPv4StaticAddress/home"))["phase"] == "Applied"
    assert removed(await rig.events()) == []


async def test_a_condition_that_is_false_after_a_restart_withdraws(rig: Rig, autojump_clock: MockClock) -> None:
    rig.config = document(WAN % "", INTERFACE_LAN % "", HOME % (WAN_UP % ", for: 10s"), LAB)
    async with rig.surroundings(links=LINKS):
        async with rig.live():
            await until(lambda: rig.addresses("eth1") == [AT_HOME] and LAB_ROUTE in rig.routes())
        rig.world.pull_cable("eth0")
        async with rig.live():
            await until(lambda: rig.addresses("eth1") == [], within=1)


async def test_a_held_client_says_goodbye_and_comes_back_with_its_lease(rig: Rig, autojump_clock: MockClock) -> None:
    condition = ", when: {state: {Interface/lan.phase: {equals: Up}}}, releaseOnStop: true"
    rig.config = document(WAN % condition, INTERFACE_LAN % "")
    async with rig.surroundings(links=LINKS), rig.live():
        await until(lambda: DEFAULT in rig.routes())
        rig.world.pull_cable("eth1")
        await until(lambda: rig.addresses() == [], within=5)
        assert rig.routes() == []
        await trio.sleep(1)
        held = await rig.status_of(str(CLIENT))
        assert (held["phase"], held["reason"]) == ("Pending", "WhenFalse")
        assert held["message"] == 'Interface/lan.phase is "Down", not "Up"'
        assert "currentAddress" not in held
        status = (await rig.ask("/status")).json["status"]
        assert [issue["kind"] for issue in status["resourcePhaseIssues"]] == ["Interface"]
        sent = len(rig.sent)
        await trio.sleep(60)
        assert len(rig.sent) == sent, "nobody speaks for it"
        rig.world.plug("eth1")
        await until(lambda: DEFAULT in rig.routes(), within=20)
        assert rig.addresses() == [LEASED]
    events = await rig.events()
    said = topics(events)
    assert said.count("discover.sent") == 1, "it is taken up again by INIT-REBOOT"
    assert "lease.released" not in said
    assert said.count("lease.resumed") == 1
    assert removed(events) == ["0.0.0.0/0", LEASED], "routes first"
    assert not rig.server.violations


async def test_a_held_client_stays_held_over_a_restart(rig: Rig, autojump_clock: MockClock) -> None:
    rig.config = document(WAN % ", when: {state: {Interface/lan.phase: {equals: Up}}}", INTERFACE_LAN % "")
    async with rig.surroundings(links=LINKS):
        rig.world.pull_cable("eth1")
        told: list[int] = []
        for _ in range(2):
            async with rig.live():
                await trio.sleep(30)
                assert (await rig.status_of(str(CLIENT)))["reason"] == "WhenFalse"
                assert not rig.sent
            told.append(await changes(rig))
        assert told[0] == told[1], "the second life has nothing to tell"
        rig.world.plug("eth1")
        async with rig.live():
            await until(lambda: DEFAULT in rig.routes())


async def test_a_clients_lease_outlives_a_restart_in_which_its_condition_is_slow(
    rig: Rig, autojump_clock: MockClock
) -> None:
    """The client is started once its condition is known; until then nothing of it is touched (X-4)."""
    condition = ", when: {state: {Interface/lan.phase: {equals: Up, for: 20s}}}"
    home = HOME % "when: {state: {DHCPv4Client/wan.gateway: {exists: true, for: 1s}}}"
    rig.config = document(WAN % condition, INTERFACE_LAN % "", home, LAB)
    async with rig.surroundings(links=LINKS):
        async with rig.live():
            await until(lambda: DEFAULT in rig.routes())
            await until(lambda: rig.addresses("eth1") == [AT_HOME])
        async with rig.live():
            await trio.sleep(10)
            waiting = await rig.status_of(str(CLIENT))
            assert (waiting["phase"], waiting["reason"]) == ("Pending", "Undecided")
            assert waiting["message"] == 'Interface/lan.phase is "Up", but not yet for 20s'
            assert rig.addresses() == [LEASED]
            assert sorted(rig.routes()) == [DEFAULT, LAB_ROUTE]
            await trio.sleep(30)
            assert (await rig.status_of(str(CLIENT)))["phase"] == "Bound"
    events = await rig.events()
    assert removed(events) == []
    assert topics(events).count("discover.sent") == 1


async def test_a_condition_that_is_added_and_true_disturbs_no_client(rig: Rig, autojump_clock: MockClock) -> None:
    condition = ", when: {state: {Interface/lan.phase: {equals: Up}}}"
    rig.config = document(WAN % "", INTERFACE_LAN % "")
    async with rig.surroundings(links=LINKS), rig.live() as reload:
        await until(lambda: DEFAULT in rig.routes())
        await trio.sleep(1)
        rig.config_path.write_text(document(WAN % condition, INTERFACE_LAN % ""))
        await reload()
        await trio.sleep(5)
        assert (await rig.status_of(str(CLIENT)))["observedGeneration"] == 2
        assert rig.routes() == [DEFAULT]
    said = topics(await rig.events(), "routerd.daemon.lifecycle.")
    assert said.count("ready") == 1, "it was not started anew"


async def test_the_example_of_a_standby_line(rig: Rig, autojump_clock: MockClock) -> None:
    """LTE is held while fibre has a lease, comes a minute after that has ended, and goes when it is back."""
    rig.config = (Path(__file__).parents[2] / "examples" / "standby.yaml").read_text()
    office = "10.30.0.0/16 via 10.20.0.254"
    async with rig.surroundings(lease_time=600, links=("eth0", "wwan0", "eth1")):
        rig.plug_in_another_provider("wwan0")
        async with rig.live():
            await until(lambda: office in rig.routes())
            await trio.sleep(120)
            assert rig.addresses("wwan0") == []
            assert rig.addresses("eth1") == ["10.20.0.1/24", "10.20.0.2/24"]
            rig.server.settings = provider(600, silent=True)
            await until(lambda: rig.addresses("eth0") == [], within=700)
            at = trio.current_time()
            assert rig.addresses("eth1") == ["10.20.0.1/24"]
            assert office not in rig.routes()
            await until(lambda: rig.addresses("wwan0") != [])
            assert 60 < trio.current_time() - at < 75
            await until(lambda: "10.20.0.2/24" in rig.addresses("eth1"))
            rig.server.settings = provider(600)
            await until(lambda: rig.addresses("eth0") != [])
            await until(lambda: rig.addresses("wwan0") == [], within=5)
            await until(lambda: office in rig.routes(), within=5)
            assert (await rig.ask("/status")).json["status"]["phase"] == "Healthy"
