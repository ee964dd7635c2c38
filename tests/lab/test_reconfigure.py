"""A server that orders its clients about (RFC 9915 §18.2.11, §20.4). kea 2.2, ISC dhcpd and dnsmasq send no
Reconfigure. dibbler does, with a replay counter that never moves: its own orders are good but for that, and refused. So
the order that is obeyed here is ours, by the key that dibbler gave, and dibbler answers what comes of it."""

from __future__ import annotations

import json
import re
import socket
from ipaddress import IPv6Network
from pathlib import Path

import attrs
import pytest

from routerd.protocols.dhcpv6 import auth, wire
from routerd.protocols.dhcpv6.message import Message, MessageType, Option
from routerd.protocols.dhcpv6.options import OptionCode
from tests.lab.driven import Wan, wan
from tests.lab.servers6 import Terms6, dibbler
from tests.lab.street import Street, document, resource

pytestmark = pytest.mark.lab

TERMS = Terms6()
MOVED = attrs.evolve(TERMS, pool=IPv6Network("2001:db8:8000::/36"))
LAN = (
    resource("Interface", "wan", ifname="wan0"),
    resource("Interface", "lan", ifname="lan0"),
    resource("IPv6DelegatedAddress", "lan", prefixDelegation="wan-pd", interface="lan", addressSuffix="::1"),
)


def obedient(*, accept: bool) -> str:
    return document(
        *LAN, resource("DHCPv6PrefixDelegation", "wan-pd", interface="wan", prefixLength=56, reconfigureAccept=accept)
    )


def key_of(directory: Path) -> bytes:
    """The key that dibbler gave, by its log: it tells when it signs an order."""
    keys = re.findall(r"Setting reconfigure-key to ([0-9a-f:]+)", (directory / "dibbler.log").read_text())
    return bytes.fromhex(keys[-1].replace(":", ""))


def order(street: Street, client: Wan, key: bytes, counter: int) -> None:
    """A Reconfigure as dibbler would send it, to the client's own address."""
    status = street.router.status("DHCPv6PrefixDelegation/wan-pd")
    options = (
        Option(OptionCode.CLIENT_ID, bytes.fromhex(status["clientDUID"].replace(":", ""))),
        Option(OptionCode.SERVER_ID, bytes.fromhex(status["serverDUID"].replace(":", ""))),
        Option(OptionCode.RECONFIGURE_MESSAGE, bytes((MessageType.RENEW,))),
        Option(OptionCode.AUTHENTICATION, auth.option_value(counter, 2, bytes(16))),
    )
    octets = auth.sign(wire.encode(Message(MessageType.RECONFIGURE, 0, options)), key)
    with street.isp.call(lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)) as mouth:
        mouth.sendto(octets, (str(client.link_local), 546, 0, street.provider.index))


@pytest.mark.req("V6-33")
@pytest.mark.req("V6-33", "breaks")
async def test_renumbered_by_order(street: Street, tmp_path: Path) -> None:
    """The server has other pools now. An order is obeyed once, and only by the newest key."""
    street.router.config = obedient(accept=True)
    with dibbler(street.isp, "isp0", tmp_path, TERMS):
        street.router.start()
        old = street.settled(TERMS)
        street.router.until(street.bound)
    with dibbler(street.isp, "isp0", tmp_path, MOVED):
        street.router.until(lambda: dropped(street) == {"replayed": 1})
        assert street.preferred("lan0") == [old]
        client = await wan(street.router.namespace, "wan0")
        order(street, client, bytes(16), 9)
        street.router.until(lambda: dropped(street) == {"replayed": 1, "unauthenticated": 1})
        order(street, client, key_of(tmp_path), 7)
        street.router.until(lambda: "reconfigure.received" in street.topics())
        new = street.settled(MOVED)
        street.router.until(lambda: street.preferred("lan0") == [new])
        street.router.until(street.bound)
        order(street, client, key_of(tmp_path), 7)
        street.router.until(lambda: dropped(street) == {"replayed": 1, "unauthenticated": 2})


@pytest.mark.req("V6-33", "breaks")
async def test_an_order_that_nobody_has_agreed_to_obey(street: Street, tmp_path: Path) -> None:
    street.router.config = obedient(accept=False)
    with dibbler(street.isp, "isp0", tmp_path, TERMS):
        street.router.start()
        old = street.settled(TERMS)
        street.router.until(street.bound)
    with dibbler(street.isp, "isp0", tmp_path, MOVED):
        street.router.until(lambda: dropped(street))
    assert "reconfigure.received" not in street.topics()
    assert street.preferred("lan0") == [old]


def dropped(street: Street) -> dict[str, int]:
    """What the client has ignored, by reason."""
    shown = street.router.ask(street.router.run_dir / "dhcpv6-client" / "wan-pd.sock", "/v1/status")
    counted: dict[str, int] = json.loads(shown["resources"][0]["observed"].get("dropped", "{}"))
    return counted
