"""The managed DHCPv6 client: its life, its link, its resources, its file, and what of all that is told."""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from ipaddress import IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from routerd.daemons import lease_file
from routerd.daemons.dhcpv6_settings import ClientSpec, Part
from routerd.daemons.dhcpv6_status import starting_status
from routerd.events.types import Event, Ref
from routerd.host import Address, RemoveAddress
from routerd.protocols.dhcpv6.association import Association, Kind
from routerd.protocols.dhcpv6.duid import duid_ll
from routerd.protocols.dhcpv6.message import MessageType, Option
from routerd.protocols.dhcpv6.options import OptionCode
from routerd.shapes.instant import parse_instant
from tests.daemons.rig6 import INFO, NA, PD, SERVER, Rig, info, na, pd, rigged
from tests.router.rig import until

PREFIX = "2001:db8:100::/56"
ADDRESS = "2001:db8:0:1::10"
RA = Ref("IPv6RAAddress", "wan")


def lease_path(rig: Rig, name: str = "wan") -> Path:
    return rig.directory / "dhcpv6-client" / name / "lease.json"


def heard(rig: Rig, *types: MessageType) -> list[int]:
    return [rig.server.heard[one] for one in types]


# A life


async def test_a_life_as_it_is_told(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig:
        async with rig.live():
            assert (rig.face.phase, rig.face.health) == ("Starting", "unknown")
            await rig.bound()
            assert (rig.face.phase, rig.face.health, rig.face.unhealthy_reason) == ("Running", "ok", None)
        assert rig.face.phase == "Stopped"
        told = ["solicit.sent", "advertise.received", "request.sent", "reply.received", "prefix.bound"]
        assert await rig.topics() == told
        assert await rig.topics("routerd.daemon.lifecycle.") == ["started", "ready", "stopped"]
        assert await rig.phases() == ["Acquiring", "Bound"]
        assert rig.status["currentPrefix"] == PREFIX, "it will go on with it: no word of an end"
        assert rig.server.violations == []
        mine = [e for e in await rig.events() if e.source == rig.daemon.source]
        assert mine[0].causes == ()
        assert all(e.causes for e in mine[1:-1]), "each but the end has what led to it as its cause"


async def test_the_status_of_a_prefix(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path, excluded=64) as rig, rig.live(pd(prefix_length=56)):
        await rig.bound()
        status, now = rig.status, rig.host.clock.now()
        assert status["requestedLength"] == status["offeredLength"] == status["boundLength"] == 56
        assert status["excludedPrefix"] == "2001:db8:100::/64"
        assert status["serverDUID"] == SERVER.hex(":")
        assert status["clientDUID"] == (tmp_path / "duid").read_text().strip()
        assert status["validUntilMonotonic"] == pytest.approx(now + 7200, abs=5)
        assert status["preferredUntilMonotonic"] == pytest.approx(now + 3600, abs=5)
        ends = [parse_instant(status[key]) for key in ("renewAt", "rebindAt", "preferredUntil", "validUntil")]
        assert ends == sorted(ends)
        [ready] = status["conditions"]
        assert (ready["type"], ready["status"], ready["observedGeneration"]) == ("LeaseReady", "True", 1)
        assert status["previousPrefixes"] == []
        assert rig.face.observed["currentPrefix"] == PREFIX
        assert rig.face.observed["interface"] == "eth0"


async def test_one_exchange_asks_for_all_resources_of_an_interface(tmp_path: Path, autojump_clock: MockClock) -> None:
    aftr = Option(OptionCode.AFTR_NAME, b"\4aftr\3isp\0")
    async with rigged(tmp_path, options=(aftr,)) as rig, rig.live(pd(), pd("second"), na(), info()):
        for ref in (PD, Ref("DHCPv6PrefixDelegation", "second"), NA, INFO):
            await rig.bound(ref)
        assert heard(rig, MessageType.SOLICIT, MessageType.REQUEST, MessageType.INFORMATION_REQUEST) == [1, 1, 0]
        assert rig.status_of(NA)["currentAddress"] == ADDRESS
        assert rig.status_of(INFO)["aftrName"] == "aftr.isp"
        assert rig.status_of(INFO)["source"] == "DHCPv6Information/wan"
        bound = [e for e in await rig.events() if e.topic.endswith(".bound")]
        assert {(e.topic.split(".")[3], str(e.resource)) for e in bound} == {
            ("prefix", "DHCPv6PrefixDelegation/wan"),
            ("prefix", "DHCPv6PrefixDelegation/second"),
            ("address", "DHCPv6Address/wan"),
        }
        [told] = [e for e in await rig.events() if e.topic.endswith("info.reply")]
        assert (told.resource, told.attributes["aftrName"]) == (INFO, "aftr.isp")
        assert [face.source.instance for face in rig.daemon.faces[1:]] == ["second"], "one socket for one name"
        assert rig.server.violations == []


async def test_information_alone(tmp_path: Path, autojump_clock: MockClock) -> None:
    dns = Option(OptionCode.DNS_SERVERS, bytes.fromhex("20010db8000000000000000000000053"))
    async with rigged(tmp_path, options=(dns,)) as rig, rig.live(info()):
        await rig.bound(INFO)
        assert rig.status_of(INFO)["dnsServers"] == ["2001:db8::53"]
        assert parse_instant(rig.status_of(INFO)["refreshAt"]) > rig.host.clock.wall()
        assert heard(rig, MessageType.SOLICIT) == [0]
        assert await rig.topics() == ["info-request.sent", "reply.received", "info.reply"]
        assert (await rig.command("info-request")).succeeded
        assert heard(rig, MessageType.INFORMATION_REQUEST) == [2]


async def test_whether_its_address_is_on_the_interface(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live(na()):
        await rig.bound(NA)

        def installed() -> str:
            [word] = [c["status"] for c in rig.status_of(NA)["conditions"] if c["type"] == "AddressInstalled"]
            return str(word)

        assert installed() == "False"
        await rig.put(f"{ADDRESS}/128")
        await until(lambda: installed() == "True")


@pytest.mark.req("V6-26")
async def test_an_address_that_somebody_else_has_is_declined(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live(na()):
        await rig.bound(NA)
        await rig.put(f"{ADDRESS}/128", standing="duplicate")
        await until(lambda: rig.server.heard[MessageType.DECLINE] == 1)
        await until(lambda: rig.status_of(NA).get("currentAddress") not in (None, ADDRESS))
        assert "address.lost" in await rig.topics()
        assert rig.server.violations == []


@pytest.mark.req("V6-26", "breaks")
async def test_an_address_that_somebody_else_took_while_we_were_away_is_declined(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with rigged(tmp_path) as rig:
        async with rig.live(na()):
            await rig.bound(NA)
        await rig.put(f"{ADDRESS}/128", standing="duplicate")
        async with rig.live(na()):
            await until(lambda: rig.server.heard[MessageType.DECLINE] == 1)
            await until(lambda: rig.status_of(NA).get("currentAddress") not in (None, ADDRESS))


# Time


async def test_leases_are_renewed_and_rebound(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        await trio.sleep(2000)
        assert (await rig.topics())[-3:] == ["renew.sent", "reply.received", "prefix.renewed"]
        rig.server.settings = attrs.evolve(rig.server.settings, duid=duid_ll(b"another"[:6]))
        await until(lambda: rig.server.heard[MessageType.REBIND] > 0, within=4000)
        await trio.sleep(5)
        assert (await rig.topics())[-2:] == ["reply.received", "prefix.rebound"]
        assert rig.status["serverDUID"] == rig.server.settings.duid.hex(":")
        sent = {event.reason: event.message for event in await rig.events() if event.topic.endswith(".sent")}
        told = [sent[reason] for reason in ("SolicitSent", "RequestSent", "RebindSent")]
        assert told == ["SOLICIT to all servers", f"REQUEST to {SERVER.hex(':')}", "REBIND to all servers"]
        assert rig.server.violations == []


async def test_what_nobody_extends_is_deprecated_and_then_gone(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        rig.server.settings = attrs.evolve(rig.server.settings, silent=True)
        await trio.sleep(3700)
        assert rig.status["deprecated"] is True
        assert rig.status["phase"] == "Rebinding"
        await trio.sleep(3600)
        assert "currentPrefix" not in rig.status
        assert rig.status["phase"] == "Acquiring"
        events = await rig.events()
        [expired] = [e for e in events if e.topic.endswith("prefix.expired")]
        assert expired.severity == "warning"
        page = await rig.log.read(0, limit=100_000)
        why = {stored.event.topic for stored in page.events if stored.id in expired.causes}
        assert why == {"routerd.dhcpv6.client.rebind.sent"}, "silence: the messages that nobody answered"


@pytest.mark.req("V6-22")
async def test_a_prefix_that_was_replaced_is_told_as_a_previous_one(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        other = IPv6Network("2001:db8:200::/40")
        rig.server.settings = attrs.evolve(rig.server.settings, prefixes=other)
        assert (await rig.command("rebind")).succeeded
        await until(lambda: rig.status["currentPrefix"] == "2001:db8:200::/56")
        [previous] = rig.status["previousPrefixes"]
        assert previous["prefix"] == PREFIX
        assert previous["expiresAtMonotonic"] <= rig.host.clock.now() + 7200
        kept = json.loads(lease_path(rig).read_text())
        assert [one["prefix"] for one in kept["previousPrefixes"]] == [PREFIX]


# Its link


@pytest.mark.req("V6-3")
async def test_nothing_is_said_before_there_is_a_link_local_address(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path, ipv6=False) as rig, rig.live():
        await rig.put("fe80::7/64", standing="tentative")
        await until(lambda: rig.status.get("reason") == "NoLinkLocal")
        assert rig.status["phase"] == "Pending"
        await trio.sleep(100)
        assert heard(rig, MessageType.SOLICIT) == [0]
        await rig.host.apply(RemoveAddress(Address(rig.world.link("eth0").index, IPv6Interface("fe80::7/64"))))
        await rig.put("fe80::7/64")
        await rig.bound()


async def test_an_interface_that_comes_later_is_waited_for(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path, links=()) as rig, rig.live():
        await until(lambda: rig.status.get("reason") == "LinkAbsent")
        assert "state" not in rig.status
        rig.world.add_link("eth0", "line", admin_up=True)
        await rig.bound()


@pytest.mark.req("V6-30")
async def test_a_line_without_ethernet_is_a_line(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path, links=()) as rig:
        rig.world.add_link("eth0", "line")
        rig.world.set_link("eth0", mac=b"", admin_up=True)
        async with rig.live():
            await until(lambda: "clientDUID" in rig.status)
            assert rig.status["clientDUID"].startswith("00:04:"), "the machine's, for want of a card"


async def test_a_carrier_that_goes_costs_no_lease(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        rig.world.pull_cable("eth0")
        await until(lambda: rig.status.get("reason") == "NoCarrier")
        assert (rig.status["phase"], rig.status["currentPrefix"]) == ("Bound", PREFIX)
        rig.world.plug("eth0")
        await until(lambda: rig.server.heard[MessageType.REBIND] == 1)
        await until(lambda: rig.status.get("reason") == "Bound")
        assert "prefix.lost" not in await rig.topics()


async def test_a_socket_that_we_may_not_have_is_a_crash_that_keeps_the_lease(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with rigged(tmp_path) as rig:
        async with rig.live():
            await rig.bound()

        def refuse() -> None:
            raise OSError(errno.EADDRINUSE, "Address already in use")

        rig.endpoints.before_open = refuse
        async with rig.live():
            await until(lambda: rig.status["phase"] == "Error")
            assert rig.status["currentPrefix"] == PREFIX
            assert (rig.face.phase, rig.face.health) == ("Blocked", "failed")
            rig.endpoints.before_open = lambda: None
            await rig.bound()


async def test_a_packet_that_does_not_leave_is_counted_and_repeated(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig:

        def refuse() -> None:
            rig.endpoints.before_send = lambda: None
            raise OSError(errno.ENETUNREACH, "Network is unreachable")

        rig.endpoints.before_send = refuse
        async with rig.live():
            await rig.bound()
            assert rig.face.packets.dropped == {"send-failed": 1}
            assert rig.face.packets.sent == rig.face.packets.received + 0 == 2


# What outlives it


@pytest.mark.req("V6-27")
async def test_a_life_that_ends_gives_nothing_back_and_the_next_goes_on(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with rigged(tmp_path) as rig:
        for _ in range(3):
            async with rig.live(pd(release_on_stop=True), na()):
                await rig.bound()
                await trio.sleep(10)
        assert heard(rig, MessageType.RELEASE, MessageType.SOLICIT, MessageType.REBIND) == [0, 1, 2]
        assert (await rig.topics()).count("prefix.resumed") == 2
        assert "Acquiring" not in (await rig.phases())[1:]
        assert rig.server.violations == []


@pytest.mark.req("V6-27")
@pytest.mark.parametrize("wish", [True, False])
async def test_a_client_that_leaves_for_good_releases_if_the_operator_wants_that(
    tmp_path: Path, autojump_clock: MockClock, wish: bool
) -> None:
    async with rigged(tmp_path) as rig:
        async with rig.live(pd(release_on_stop=wish)):
            await rig.bound()
            rig.daemon.part.give_back(ClientSpec("wan", "eth0", (pd(release_on_stop=wish),)).given_back())
        assert heard(rig, MessageType.RELEASE) == [1 if wish else 0]
        assert lease_path(rig).exists() is not wish


@pytest.mark.req("V6-27")
async def test_one_resource_is_given_back_alone(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig:
        async with rig.live(pd(), na()):
            await rig.bound()
            await rig.bound(NA)
            rig.daemon.part.give_back(frozenset({association_of(pd())}))
        assert heard(rig, MessageType.RELEASE) == [1]
        assert "currentPrefix" not in rig.status, "nobody must use it any more (§18.2.7)"
        assert rig.status_of(NA)["currentAddress"] == ADDRESS, "this stays in use until the next life begins"
        async with rig.live(na()):
            await until(lambda: rig.server.heard[MessageType.CONFIRM] == 1)
            await rig.bound(NA)
        said = await rig.topics()
        assert (said.count("prefix.released"), said.count("address.lost"), said.count("address.resumed")) == (1, 0, 1)
        assert rig.server.violations == []


@pytest.mark.req("V6-27", "breaks")
async def test_a_goodbye_that_nobody_hears_is_said_four_times_and_bounded(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with rigged(tmp_path) as rig:
        async with rig.live() as end:
            await rig.bound()
            rig.server.settings = attrs.evolve(rig.server.settings, silent=True)
            rig.daemon.part.give_back(frozenset({association_of(pd())}))
            began = trio.current_time()
            end()
        assert trio.current_time() - began < 15, "X-3"
        assert (await rig.topics()).count("release.sent") == 4


async def test_the_goodbye_is_bounded_though_the_line_hangs(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig:
        async with rig.live() as end:
            await rig.bound()
            rig.endpoints.sends_take = 1e9
            rig.daemon.part.give_back(frozenset({association_of(pd())}))
            began = trio.current_time()
            end()
        assert trio.current_time() - began < 15, "X-3"


def association_of(part: Part) -> Association:
    assert part.association is not None
    return part.association


async def test_a_client_that_gets_another_name_takes_its_leases_along(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """It has the name of the first of its resources: of another one, when a prefix is declared beside an address."""
    async with rigged(tmp_path) as rig:
        async with rig.live(na("old")):
            await rig.bound(Ref("DHCPv6Address", "old"))
        async with rig.live(pd(), na("old")):
            await until(lambda: rig.status.get("currentPrefix") is not None)
        assert rig.status_of(Ref("DHCPv6Address", "old"))["currentAddress"] == ADDRESS
        assert "address.resumed" in await rig.topics()
        assert lease_path(rig).exists()
        assert not lease_path(rig, "old").exists(), "it must not come back to life some day"


async def test_a_resource_that_is_not_wanted_any_more_is_given_up_alone(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with rigged(tmp_path) as rig:
        async with rig.live(pd(), na()):
            await rig.bound()
            await rig.bound(NA)
        async with rig.live(pd()):
            await until(lambda: rig.server.heard[MessageType.REBIND] == 1)
        lost = [e for e in await rig.events() if e.topic.endswith(".lost")]
        assert [(e.attributes["address"], e.attributes["cause"]) for e in lost] == [(ADDRESS, "unwanted")]
        assert "prefix.lost" not in await rig.topics()


async def test_the_lease_file_has_what_people_look_for(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live(pd(iaid=7)):
        await rig.bound()
        kept = json.loads(lease_path(rig).read_text())
        assert (kept["resource"], kept["interface"], kept["currentPrefix"]) == ("wan", "eth0", PREFIX)
        assert kept["state"] == rig.status["conditions"][0]["reason"] == "bound", "words of the contract"
        assert (kept["iaid"], kept["serverDUID"]) == (7, SERVER.hex(":"))
        assert kept["validSeconds"] == 7200


@pytest.mark.req("C5")
@pytest.mark.parametrize("content", [b"", b"{}", b"\xff" * 100, b"a directory"])
async def test_a_lease_file_that_is_no_use_is_told_and_survived(
    tmp_path: Path, autojump_clock: MockClock, content: bytes
) -> None:
    async with rigged(tmp_path) as rig:
        path = lease_path(rig)
        path.parent.mkdir(parents=True)
        if content == b"a directory":
            path.mkdir()
        else:
            path.write_bytes(content)
        async with rig.live():
            await rig.bound()
        assert (await rig.topics())[0] == "lease.unreadable"


@pytest.mark.req("V6-30", "breaks")
async def test_a_duid_file_that_is_lost_or_changed_is_told_and_the_leases_stay(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with rigged(tmp_path) as rig:
        async with rig.live():
            await rig.bound()
        first = (tmp_path / "duid").read_text()
        for n, change in enumerate(("", "00:03", "00:03:00:01:02:00:00:00:00:99")):
            (tmp_path / "duid").write_text(change)
            async with rig.live(pd(duid_type="uuid")):
                await until(lambda: rig.server.heard[MessageType.REBIND] == n + 1)  # noqa: B023  (called at once)
                await rig.bound()
            assert rig.status["clientDUID"] == first.strip()
        assert (await rig.topics()).count("identity.kept") == 3
        assert "prefix.lost" not in await rig.topics()
        assert rig.server.violations == []


@pytest.mark.req("V6-30", "breaks")
async def test_a_duid_that_cannot_be_kept_is_told(tmp_path: Path, autojump_clock: MockClock) -> None:
    (tmp_path / "duid").mkdir()
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        [event] = [e for e in await rig.events() if e.topic.endswith("identity.changed")]
        assert (event.severity, event.reason) == ("warning", "DuidUnusable")


@pytest.mark.req("V6-30")
async def test_the_duid_is_made_once_and_kept(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig:
        async with rig.live(pd(duid_type="uuid")):
            await rig.bound()
        first = rig.status["clientDUID"]
        assert first.startswith("00:04:")
        async with rig.live(pd(duid_type="ll")):
            await until(lambda: rig.server.heard[MessageType.REBIND] == 1)
        assert rig.status["clientDUID"] == first
        lease_file.remove(tmp_path / "duid")
        async with rig.live():
            await until(lambda: rig.server.heard[MessageType.REBIND] == 2)
        assert rig.status["clientDUID"] == first, "the lease was obtained with it"


@pytest.mark.req("C14")
async def test_what_was_granted_under_another_duid_is_confirmed_first(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with rigged(tmp_path) as rig:
        async with rig.live():
            await rig.bound()
        async with rig.live(pd(client_duid="00:03:00:01:02:00:00:00:00:99")):
            await until(lambda: rig.status.get("clientDUID", "").endswith(":99"))
            await rig.bound()
        assert "lease.doubted" in await rig.topics()
        assert "prefix.resumed" not in await rig.topics()


async def test_a_full_disk_costs_the_file_and_not_the_lease(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, data: bytes, mode: int = 0) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(lease_file, "save", refuse)
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        assert "lease.unsaved" in await rig.topics()


# Orders of the server


SHARED = b"a very secret ke"


async def bound_again_without_a_word(rig: Rig) -> None:
    """A life in which no server says anything: what is held is so until its end."""
    rig.server.settings = attrs.evolve(rig.server.settings, silent=True)
    await trio.sleep(30)
    assert (rig.status["phase"], rig.status["currentPrefix"]) == ("Bound", PREFIX)
    rig.server.settings = attrs.evolve(rig.server.settings, silent=False)


@pytest.mark.req("V6-33")
async def test_key_and_counter_of_a_reconfigure_outlive_a_restart(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path, key=SHARED) as rig:
        async with rig.live(pd(reconfigure_accept=True)):
            await rig.bound()
            order = rig.order(MessageType.RENEW)
            await until(lambda: rig.server.heard[MessageType.RENEW] == 1)
        async with rig.live(pd(reconfigure_accept=True)):
            await bound_again_without_a_word(rig)
            rig.send_order(order)
            await until(lambda: rig.face.packets.dropped.get("replayed") == 1)
            asked = rig.server.heard[MessageType.REBIND]
            rig.order(MessageType.REBIND)
            await until(lambda: rig.server.heard[MessageType.REBIND] == asked + 1)
        assert (await rig.topics()).count("reconfigure.received") == 2
        assert rig.server.violations == []


@pytest.mark.req("V6-33", "breaks")
@pytest.mark.req("C16")
async def test_the_key_of_a_reconfigure_is_in_a_file_of_our_own_and_nowhere_else(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with rigged(tmp_path, key=SHARED) as rig:
        async with rig.live(pd(reconfigure_accept=True)):
            await rig.bound()
            assert lease_path(rig).stat().st_mode & 0o777 == 0o600
            rig.order(MessageType.RENEW)
            await until(lambda: rig.server.heard[MessageType.RENEW] == 1)
            shown = f"{rig.face.observed}{rig.status}{rig.face.detail}{caplog.text}"
        told = "".join(f"{event!r}" for event in await rig.events())
    database = b"".join(path.read_bytes() for path in tmp_path.glob("routerd.db*"))  # noqa: ASYNC240
    for secret in (SHARED, SHARED.hex().encode(), SHARED.hex(":").encode()):
        assert secret not in database
        assert secret.decode() not in shown + told
    assert SHARED.hex() in lease_path(rig).read_text(), "that is where it is"


async def test_without_a_key_the_file_is_for_the_group(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live(pd(reconfigure_accept=True)):
        await rig.bound()
        assert lease_path(rig).stat().st_mode & 0o777 == 0o640


# What a firewall must know


def lets_in(rule: dict[str, Any], ifname: str, source: str, destination: str, port: int) -> bool:
    """What a packet filter would make of it."""
    fits = any(IPv6Address(source) in IPv6Network(network) for network in rule["sources"])
    mine = (rule["direction"], rule["family"], rule["protocol"], rule["interface"]) == ("input", "ipv6", "udp", ifname)
    there = IPv6Address(destination) in IPv6Network(rule["destination"]) and port == rule["destinationPort"]
    return fits and mine and there


@pytest.mark.req("V6-44")
async def test_the_rule_that_lets_its_servers_in_is_offered_all_the_time(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with rigged(tmp_path, links=()) as rig, rig.live(pd(), na()):
        await until(lambda: rig.status.get("reason") == "LinkAbsent")
        [early] = rig.status["firewall"]
        rig.world.add_link("eth0", "line", admin_up=True)
        await rig.bound()
        [rule] = rig.status["firewall"]
        assert rule == early == rig.status_of(NA)["firewall"][0], "it must be in place before the first answer"
        assert json.loads(rig.face.observed["firewall"]) == [rule]
        assert lets_in(rule, "eth0", "fe80::1", "fe80::7", 546)
        assert lets_in(rule, "eth0", "2001:db8::547", "fe80::7", 546), "a global one (V6-4)"
        assert "sourcePort" not in rule, "any port (V6-4)"
        assert rule["tracked"] is False


@pytest.mark.req("V6-44", "breaks")
async def test_what_is_no_answer_to_it_is_not_let_in(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        [rule] = rig.status["firewall"]
        assert not lets_in(rule, "eth1", "fe80::1", "fe80::7", 546), "another interface"
        assert not lets_in(rule, "eth0", "fe80::1", "fe80::7", 547), "another port"
        assert not lets_in(rule, "eth0", "fe80::1", "ff02::1:2", 546), "a multicast is no answer (V6-4)"
        assert not lets_in(rule, "eth0", "fe80::1", "2001:db8::1", 546), "it sends from its link-local address alone"
        assert not lets_in(rule, "eth0", "::1", "fe80::7", 546)


# Commands


@pytest.mark.parametrize(("command", "message"), [("renew", MessageType.RENEW), ("rebind", MessageType.REBIND)])
async def test_a_command_to_extend_answers_with_its_outcome(
    tmp_path: Path, autojump_clock: MockClock, command: str, message: MessageType
) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        await trio.sleep(60)
        end = await rig.command(command)
        assert (end.accepted, end.succeeded) == (True, True)
        assert rig.server.heard[message] == 1
        rig.server.settings = attrs.evolve(rig.server.settings, silent=True)
        end = await rig.command(command)
        assert (end.accepted, end.succeeded) == (True, False)
        assert "no answer" in end.message
        assert rig.status["currentPrefix"] == PREFIX


async def test_release_stop_start_and_flush(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        assert (await rig.command("release")).succeeded
        assert rig.status["phase"] == "Released"
        assert "currentPrefix" not in rig.status
        refused = await rig.command("renew")
        assert (refused.accepted, refused.hint) == (False, "routerctl start DHCPv6PrefixDelegation/wan")
        assert (await rig.command("start")).succeeded
        await rig.bound()
        assert (await rig.command("flush")).succeeded
        await until(lambda: (rig.server.heard[MessageType.SOLICIT]) == 3)
        await rig.bound()
        assert (await rig.command("stop")).succeeded
        assert rig.status["phase"] == "Idle"
        assert heard(rig, MessageType.RELEASE) == [1]
        assert (await rig.command("reload")).succeeded


async def test_what_is_not_granted_is_not_ready_for_that_although_the_client_is_bound(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with rigged(tmp_path, prefixes=None) as rig, rig.live(pd(), na()):
        await rig.bound(NA)
        [ready] = rig.status["conditions"]
        assert (rig.status["reason"], ready["status"], ready["reason"]) == ("NotGranted", "False", "not-granted")


async def test_who_is_stopped_without_a_lease_has_given_back_none(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        await rig.command("release")
        rig.server.settings = attrs.evolve(rig.server.settings, silent=True)
        await rig.command("start")
        for command in ("renew", "release", "info-request"):
            refused = await rig.command(command)
            assert (refused.accepted, refused.hint) == (False, "routerctl why DHCPv6PrefixDelegation/wan")
        await rig.command("stop")
        assert (rig.status["phase"], rig.status["reason"]) == ("Idle", "Stopped")
        assert (await rig.command("flush")).message == "the client is stopped"


@pytest.mark.parametrize(("command", "wish", "phase"), [("release", False, "Released"), ("stop", True, "Idle")])
async def test_what_is_being_given_back_is_not_being_acquired(
    tmp_path: Path, autojump_clock: MockClock, command: str, wish: bool, phase: str
) -> None:
    async with rigged(tmp_path) as rig, rig.live(pd(release_on_stop=wish)):
        await rig.bound()
        rig.server.settings = attrs.evolve(rig.server.settings, silent=True)
        await rig.command(command, wait=0.0)
        await until(lambda: rig.status["reason"] == "Releasing")
        assert rig.status["phase"] == phase
        await until(lambda: rig.status["state"] == "Stopped")
        assert await rig.phases() == ["Acquiring", "Bound", phase]


# Routers


@pytest.mark.req("V6-32")
@pytest.mark.parametrize("says", [None, {"managed": False, "other": False}])
async def test_a_client_asks_for_a_prefix_whatever_routers_say(
    tmp_path: Path, autojump_clock: MockClock, says: dict[str, bool] | None
) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        if says is not None:
            await routers(rig, "fe80::1", **says)
        await rig.bound()


@pytest.mark.req("V6-32", "breaks")
async def test_a_client_that_follows_routers_begins_when_one_says_so(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig:
        async with rig.live(pd(follow_ra=True)):
            await until(lambda: rig.status.get("reason") == "AwaitingRouter")
            await trio.sleep(100)
            await routers(rig, "fe80::1", interface="lan", managed=True)
            await routers(rig, "fe80::1", managed=False)
            assert heard(rig, MessageType.SOLICIT) == [0]
            await routers(rig, "fe80::1", other=True)
            await rig.bound()
        await rig.log.append(gone=[RA])
        async with rig.live(pd(follow_ra=True)):
            await until(lambda: rig.server.heard[MessageType.REBIND] == 1)


@pytest.mark.req("V6-42")
async def test_other_routers_may_mean_another_network(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        await routers(rig, "fe80::1", "fe80::2")
        await routers(rig, "fe80::2", "fe80::3")
        await trio.sleep(20)
        assert heard(rig, MessageType.REBIND) == [0]
        await routers(rig, "fe80::9")
        await until(lambda: rig.server.heard[MessageType.REBIND] == 1)


@pytest.mark.req("V6-42")
@pytest.mark.parametrize("now", [{"2001:db8:1::/64": True, "2001:db8:2::/64": True}, {"2001:db8:1::/64": False}])
async def test_a_router_that_tells_of_another_prefix_or_takes_one_back(
    tmp_path: Path, autojump_clock: MockClock, now: dict[str, bool]
) -> None:
    """RFC 9915 §18.2.12: it may be that what was delegated is another one, too."""
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        await routers(rig, "fe80::1", prefixes={"2001:db8:1::/64": True})
        await trio.sleep(20)
        assert heard(rig, MessageType.REBIND) == [0], "the first word is no news"
        await routers(rig, "fe80::1", prefixes=now)
        await until(lambda: rig.server.heard[MessageType.REBIND] == 1)


@pytest.mark.req("V6-42", "breaks")
async def test_what_routers_say_again_or_not_any_more_is_no_news(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        told = {"2001:db8:1::/64": True, "2001:db8:2::/64": False}
        for prefixes in (told, told, {"2001:db8:1::/64": True}, {}, {"2001:db8:2::/64": False}):
            await routers(rig, "fe80::1", prefixes=prefixes)
            await trio.sleep(20)
        assert heard(rig, MessageType.REBIND) == [0]


@pytest.mark.req("V6-29")
async def test_routers_that_begin_to_say_so_make_it_ask_for_information(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with rigged(tmp_path) as rig, rig.live(info()):
        await rig.bound(INFO)
        await routers(rig, "fe80::1")
        await routers(rig, "fe80::1", other=True)
        await until(lambda: rig.server.heard[MessageType.INFORMATION_REQUEST] == 2)
        await routers(rig, "fe80::1", "fe80::2", other=True)
        await trio.sleep(20)
        assert heard(rig, MessageType.INFORMATION_REQUEST) == [2], "that is no news"


async def routers(
    rig: Rig, *addresses: str, interface: str = "wan", prefixes: Mapping[str, bool] | None = None, **flags: Any
) -> None:
    """What an IPv6RAAddress says now; the fleet has its clients look at it. `prefixes`: whether each is preferred."""
    status: dict[str, Any] = {"phase": "Bound", "interface": interface, **flags}
    status["routers"] = [{"address": one} for one in addresses]
    status["prefixes"] = [{"prefix": one, "preferred": preferred} for one, preferred in (prefixes or {}).items()]
    await rig.log.append(status={RA: status})
    rig.daemon.refresh()


# Causes


async def test_a_refusal_is_why_there_is_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with rigged(tmp_path) as rig, rig.live():
        await rig.bound()
        rig.server.settings = attrs.evolve(rig.server.settings, prefixes=None)
        await rig.command("renew")
        await until(lambda: "currentPrefix" not in rig.status)
        page = await rig.log.read(0, limit=100_000)
        known = {stored.id: stored.event for stored in page.events}
        [lost] = [e for e in known.values() if e.topic.endswith("prefix.lost")]
        assert chain(known, lost) == ["prefix.lost", "reply.refused"], "whoever had it renewed"


def chain(known: dict[int, Event], event: Event) -> list[str]:
    """The topics from an event to its root, by the first cause of each."""
    found = [event.topic.rpartition("client.")[2]]
    while event.causes and event.causes[0] in known:
        event = known[event.causes[0]]
        found.append(event.topic.rpartition("client.")[2])
    return found


def test_before_it_has_looked_nothing_is_claimed() -> None:
    status = starting_status(pd(), "wan", "eth0", 3, "Starting")
    assert "state" not in status and "currentPrefix" not in status
    assert pd(iaid=5).association == Association(Kind.PD, 5)
