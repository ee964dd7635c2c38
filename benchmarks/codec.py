"""DHCPv4 messages and ARP packets a second, from octets and back, by our codec and by those of dpkt, scapy and pyroute2
on the same packets. Ours is held against the fastest of them.

To decode is not the same for all: ours joins what RFC 3396 split and refuses what is malformed; dpkt splits options and
stops there; scapy and pyroute2 also read the values of options that they know. So there is one more figure, for the
DHCPACK decoded and read as a lease, against those two. Every codec has to get the packets right before it is timed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from ipaddress import IPv4Address
from time import process_time
from timeit import timeit
from typing import Any

from benchmarks.report import Row, missing, progress, versus
from routerd.protocols.arp import wire as arp_wire
from routerd.protocols.arp.packet import ZERO_MAC, ArpOp, ArpPacket
from routerd.protocols.dhcpv4 import wire
from routerd.protocols.dhcpv4.grant import read_grant
from routerd.protocols.dhcpv4.message import Message, MessageType, Op
from routerd.protocols.dhcpv4.options import Option
from routerd.protocols.malformed import Malformed

TURNS = 11
TURN = 0.03
"""Seconds that a codec has in one turn, about."""

Task = Callable[[], object]
Tasks = Iterator[tuple[str, Task]]
"""Names of tasks, and what does one of them, once."""

MAC = bytes.fromhex("02005e000001")
ADDRESS, SERVER = IPv4Address("203.0.113.60"), IPv4Address("203.0.113.1")
ASKED: Mapping[int, bytes] = {
    Option.HOST_NAME: b"router",
    Option.PARAMETER_REQUEST_LIST: bytes((1, 3, 6, 12, 15, 26, 28, 33, 42, 51, 54, 58, 59, 119, 121)),
    Option.MAX_MESSAGE_SIZE: (1472).to_bytes(2, "big"),
    Option.CLIENT_ID: bytes.fromhex("ff5e00000100030001") + MAC,
}
OFFERED: Mapping[int, bytes] = {
    Option.SUBNET_MASK: IPv4Address("255.255.255.0").packed,
    Option.ROUTER: SERVER.packed,
    Option.DOMAIN_NAME_SERVER: SERVER.packed + IPv4Address("203.0.113.53").packed,
    Option.DOMAIN_NAME: b"example.net",
    Option.LEASE_TIME: (600).to_bytes(4, "big"),
    Option.SERVER_ID: SERVER.packed,
    Option.RENEWAL_TIME: (300).to_bytes(4, "big"),
    Option.REBINDING_TIME: (525).to_bytes(4, "big"),
}
GRANTED: Mapping[int, bytes] = {
    **OFFERED,
    Option.DOMAIN_SEARCH: b"\x07example\x03net\0\x03lab\xc0\0",
    Option.CLASSLESS_ROUTE: bytes.fromhex("00 cb007101 18 c63364 cb007109"),
}
MESSAGES = {
    "DISCOVER": Message(Op.BOOTREQUEST, MessageType.DISCOVER, 0x5EED0001, MAC, options=ASKED),
    "OFFER": Message(Op.BOOTREPLY, MessageType.OFFER, 0x5EED0001, MAC, yiaddr=ADDRESS, options=OFFERED),
    "ACK": Message(Op.BOOTREPLY, MessageType.ACK, 0x5EED0001, MAC, yiaddr=ADDRESS, options=GRANTED),
}
PROBE = ArpPacket(ArpOp.REQUEST, MAC, IPv4Address(0), ZERO_MAC, ADDRESS)

LEASE = "decode ACK and read the lease"


def run() -> list[Row]:
    """Packets in a second of processor time, in the best of the turns: there the machine disturbed least."""
    peers, rows = {}, []
    for name, tasks in {"dpkt": _dpkt, "scapy": _scapy, "pyroute2": _pyroute2}.items():
        try:
            peers[name] = dict(tasks())
        except ImportError as error:
            rows.append(missing(name, str(error)))
    for task, ours in _ours():
        progress(f"codec: {task}")
        contest = {"routerd": ours, **{name: tasks[task] for name, tasks in peers.items() if task in tasks}}
        rows.append(_row(task, _rates(contest)))
    return rows


def _row(task: str, rates: dict[str, float]) -> Row:
    ours = rates.pop("routerd")
    row: Row = {"name": task, "value": round(ours), "unit": "packets/s"}
    row["detail"] = ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items())
    if rates:
        fastest = max(rates, key=rates.__getitem__)
        row |= versus(fastest, ours / rates[fastest])
    return row


def _rates(contest: Mapping[str, Task]) -> dict[str, float]:
    counts = {name: round(TURN / timeit(task, number=20) * 20) + 1 for name, task in contest.items()}
    rates = dict.fromkeys(contest, 0.0)
    for _ in range(TURNS):
        for name, task in contest.items():
            rates[name] = max(rates[name], counts[name] / timeit(task, timer=process_time, number=counts[name]))
    return rates


# The codecs. Each decodes what ours has encoded, and encodes the value that it got from that: what it can say of it.


def _ours() -> Tasks:
    for name, message in MESSAGES.items():
        octets = wire.encode(message)
        assert wire.decode(octets) == message
        yield f"decode {name}", partial(wire.decode, octets)
        yield f"encode {name}", partial(wire.encode, message)
    yield LEASE, partial(_lease, wire.encode(MESSAGES["ACK"]), random.Random(1))
    octets = arp_wire.encode(PROBE)
    assert arp_wire.decode(octets) == PROBE
    yield "decode ARP probe", partial(arp_wire.decode, octets)
    yield "encode ARP probe", partial(arp_wire.encode, PROBE)


def _lease(octets: bytes, rng: random.Random) -> object:
    message = wire.decode(octets)
    assert not isinstance(message, Malformed)
    return read_grant(message, sent_at=0.0, rng=rng, link_mtu=1500)


def _dpkt() -> Tasks:
    from dpkt.arp import ARP
    from dpkt.dhcp import DHCP

    for name, message in MESSAGES.items():
        octets = wire.encode(message)
        packet = DHCP(octets)
        assert wire.decode(bytes(packet)) == message
        yield f"decode {name}", partial(DHCP, octets)
        yield f"encode {name}", partial(bytes, packet)
    octets = arp_wire.encode(PROBE)
    yield "decode ARP probe", partial(ARP, octets)
    yield "encode ARP probe", partial(bytes, ARP(octets))


def _scapy() -> Tasks:
    from scapy.layers.dhcp import BOOTP
    from scapy.layers.l2 import ARP

    for name, message in MESSAGES.items():
        octets = wire.encode(message)
        packet = BOOTP(octets)
        packet.clear_cache()  # else it encodes by giving back what it was decoded from
        assert wire.decode(bytes(packet)) == message
        yield f"decode {name}", partial(BOOTP, octets)
        yield f"encode {name}", partial(bytes, packet)
    yield LEASE, partial(BOOTP, wire.encode(MESSAGES["ACK"]))
    octets = arp_wire.encode(PROBE)
    probe = ARP(octets)
    probe.clear_cache()
    yield "decode ARP probe", partial(ARP, octets)
    yield "encode ARP probe", partial(bytes, probe)


def _pyroute2() -> Tasks:
    """Has no ARP, and leaves out options 119 and 121 when it encodes."""
    from pyroute2.dhcp.dhcp4msg import dhcp4msg

    def decode(octets: bytes) -> Any:
        return dhcp4msg(buf=octets).decode()

    def encode(content: Any) -> bytes:
        return bytes(dhcp4msg(content).encode().buf)

    for name, message in MESSAGES.items():
        octets = wire.encode(message)
        content = {key: value for key, value in decode(octets).items() if key not in ("sname", "file", "cookie")}
        again = wire.decode(encode(content))
        assert isinstance(again, Message)
        assert {**message.options, **again.options} == message.options
        yield f"decode {name}", partial(decode, octets)
        yield f"encode {name}", partial(encode, content)
    yield LEASE, partial(decode, wire.encode(MESSAGES["ACK"]))
