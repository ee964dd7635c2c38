"""What a client knows of earlier lives: when it may be used, when it is a hint, and when it is nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from routerd.daemons.dhcpv4_memory import LeaseMemory, Recalled
from routerd.daemons.disk import BUILD_DATE
from routerd.events.log import inline
from routerd.protocols.dhcpv6.duid import duid_ll
from routerd.resources.net import DHCPv4Client
from tests.daemons.scene import NOON, OWN, TELL, HandClock, granted

MAC, CARD = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
GATEWAY_MAC = bytes.fromhex("02005e711301")


class Device:
    """One state directory and one clock; `life` is a client that starts there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "dhcpv4-client" / "wan" / "lease.json"
        self.clock = HandClock()

    def life(self, ifname: str = "eth0", **spec: Any) -> LeaseMemory:
        declared = DHCPv4Client("wan", **spec)
        return LeaseMemory(declared, ifname, self.directory, self.path, self.clock, inline, TELL)

    async def keep(self, **spec: Any) -> Recalled:
        """One life that gets a lease."""
        life = self.life(**spec)
        recalled = await life.recall(MAC)
        life.gateway_mac = GATEWAY_MAC
        life.keep(granted(self.clock.now()), "bound")()
        return recalled


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path)


def topics(recalled: Recalled) -> list[str]:
    return [event.topic.removeprefix("routerd.dhcpv4.client.") for event in recalled.said]


async def test_in_the_first_life_there_is_nothing_to_say(device: Device) -> None:
    recalled = await device.life().recall(MAC)
    assert recalled.remembered is None
    assert recalled.said == ()
    assert recalled.client_id[5:] == duid_ll(MAC)


@pytest.mark.req("C4")
async def test_a_lease_is_taken_up_where_it_was(device: Device) -> None:
    before = await device.keep()
    device.clock.pass_time(600)
    recalled = await device.life().recall(MAC)
    assert recalled.remembered is not None
    assert recalled.remembered.trusted
    assert recalled.remembered.lease == granted()
    assert recalled.remembered.gateway_mac == GATEWAY_MAC
    assert recalled.client_id == before.client_id
    assert recalled.said == ()


@pytest.mark.req("C4", "breaks")
async def test_a_lease_that_ran_out_meanwhile_is_told(device: Device) -> None:
    await device.keep()
    device.clock.pass_time(3601)
    recalled = await device.life().recall(MAC)
    assert recalled.remembered is None
    assert topics(recalled) == ["lease.expired"]


@pytest.mark.req("C4", "breaks")
@pytest.mark.parametrize("wall", [0.0, BUILD_DATE - 1, NOON - 1])
async def test_after_a_boot_without_a_clock_it_is_a_hint(device: Device, wall: float) -> None:
    await device.keep()
    device.clock.boot_id, device.clock.seconds, device.clock.since_1970 = "another", 5.0, wall
    recalled = await device.life().recall(MAC)
    assert recalled.remembered is not None
    assert not recalled.remembered.trusted


@pytest.mark.req("C4")
async def test_after_a_boot_the_wall_clock_tells_its_age(device: Device) -> None:
    await device.keep()
    device.clock.boot_id, device.clock.seconds = "another", 5.0
    device.clock.since_1970 += 600
    recalled = await device.life().recall(MAC)
    assert recalled.remembered is not None
    assert recalled.remembered.trusted
    assert recalled.remembered.lease.expires_at == pytest.approx(5 + 3000)


def test_no_clock_before_the_program_was_built_is_believed() -> None:
    assert 1_795_000_000 < BUILD_DATE < NOON


@pytest.mark.req("C14", "breaks")
async def test_a_lease_of_another_interface_is_a_hint(device: Device) -> None:
    await device.keep()
    recalled = await device.life(ifname="eth7").recall(CARD)
    assert recalled.remembered is not None
    assert not recalled.remembered.trusted
    assert recalled.remembered.lease.address.ip == OWN, "its address is asked for"
    assert recalled.remembered.gateway_mac is None, "whom to ask there is not known"
    assert topics(recalled) == ["lease.doubted"]
    assert "was granted on eth0" in recalled.said[0].message


@pytest.mark.req("V4-6", "breaks")
@pytest.mark.parametrize(
    "spec", [{"client_id": "0x0a0b"}, {"client_id_type": "mac"}, {"client_id": "me", "client_id_type": "mac"}]
)
async def test_a_lease_under_another_identifier_is_a_hint(device: Device, spec: dict[str, Any]) -> None:
    """The operator wants to be somebody else, whom the server has granted nothing."""
    before = await device.keep()
    recalled = await device.life(**spec).recall(MAC)
    assert recalled.client_id != before.client_id
    assert recalled.remembered is not None
    assert not recalled.remembered.trusted
    assert topics(recalled) == ["lease.doubted"]


@pytest.mark.req("V4-6")
@pytest.mark.parametrize("spec", [{}, {"client_id_type": "mac"}])
async def test_the_identifier_of_a_lease_outlives_duid_and_card(device: Device, spec: dict[str, Any]) -> None:
    before = await device.keep(**spec)
    (device.directory / "duid").unlink()
    recalled = await device.life(**spec).recall(CARD)
    assert recalled.client_id == before.client_id
    assert recalled.remembered is not None
    assert recalled.remembered.trusted


@pytest.mark.req("V4-6")
async def test_the_identifier_is_kept_with_the_next_lease_too(device: Device) -> None:
    before = await device.keep()
    (device.directory / "duid").unlink()
    life = device.life()
    await life.recall(CARD)
    life.keep(granted(), "bound")()
    (device.directory / "duid").unlink()
    assert (await device.life().recall(CARD)).client_id == before.client_id


@pytest.mark.req("C5", "breaks")
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda octets: b"", "empty"),
        (lambda octets: octets[:200], "garbage"),
        (lambda octets: b"\xff" * 100, "garbage"),
        (lambda octets: octets.replace(b"203.0.113.50", b"203.0.113.51"), "bad-checksum"),
        (lambda octets: octets.replace(b'"version": 1', b'"version": 2'), "other-version"),
    ],
)
async def test_a_spoilt_file_is_no_file_and_one_event(
    device: Device, spoil: Callable[[bytes], bytes], words: str
) -> None:
    await device.keep()
    device.path.write_bytes(spoil(device.path.read_bytes()))
    recalled = await device.life().recall(MAC)
    assert recalled.remembered is None
    assert topics(recalled) == ["lease.unreadable"]
    assert recalled.said[0].attributes["cause"] == words
    assert str(device.path) in recalled.said[0].message


@pytest.mark.req("C5", "breaks")
async def test_a_file_that_cannot_be_read_is_no_file_and_one_event(device: Device) -> None:
    device.path.mkdir(parents=True)
    recalled = await device.life().recall(MAC)
    assert recalled.remembered is None
    assert recalled.said[0].attributes["cause"] == "Is a directory"


@pytest.mark.req("V6-30")
async def test_the_duid_is_of_the_card_and_not_of_an_address_that_it_was_given(device: Device) -> None:
    recalled = await device.life().recall(MAC, CARD)
    assert recalled.client_id[5:] == duid_ll(CARD)


async def test_a_bad_duid_is_told_beside_the_rest(device: Device) -> None:
    await device.keep()
    (device.directory / "duid").write_bytes(b"garbage")
    recalled = await device.life().recall(MAC)
    assert topics(recalled) == ["identity.kept"]
    assert recalled.said[0].severity == "warning"
    assert (device.directory / "duid").read_text() == duid_ll(MAC).hex(":") + "\n"
    assert recalled.remembered is not None
    assert recalled.remembered.trusted, "the lease brings its own identifier"


@pytest.mark.req("C16")
async def test_the_lease_file_is_nobody_elses_and_holds_no_key(device: Device) -> None:
    await device.keep()
    assert device.path.stat().st_mode & 0o007 == 0
    assert device.path.parent.stat().st_mode & 0o007 == 0
    octets = device.path.read_bytes()
    assert b"secret" not in octets


async def test_what_is_forgotten_is_forgotten(device: Device) -> None:
    await device.keep()
    device.life().forget()()
    recalled = await device.life().recall(MAC)
    assert recalled.remembered is None
    assert recalled.said == ()
