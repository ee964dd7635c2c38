"""The contract of machines, for the DHCPv4 client, with the invariants of docs/protocols.md D2."""

import random
from ipaddress import IPv4Address
from typing import Any

import attrs
import pytest
from hypothesis import strategies as st

from routerd.protocols.arp.packet import ArpOp, ArpPacket
from routerd.protocols.dhcpv4 import inputs, outputs, states
from routerd.protocols.dhcpv4.client import Client
from routerd.protocols.dhcpv4.lease import Lease
from routerd.protocols.dhcpv4.message import ANY, Message, MessageType, Op
from routerd.protocols.dhcpv4.options import Option
from routerd.protocols.dhcpv4.settings import Settings
from routerd.protocols.machine import Refused, Start, Stop
from tests.protocols.contract import EPSILON, THOROUGH, Contract
from tests.protocols.dhcpv4.scene import (
    ADDRESS,
    CLIENT_ID,
    GATEWAY_MAC,
    INFINITE,
    LINK,
    MAC,
    OTHER_ADDRESS,
    OTHER_SERVER,
    SERVER,
    THIEF,
    remembered,
    u32,
)

COMMANDS = (inputs.Renew, inputs.Rebind, inputs.Release)
LEASE_TIMES = [0, 1, 2, 20, 60, 600, 3600, 86400, 2**31 - 1, 2**31, INFINITE - 1, INFINITE]
XIDS = (1, 0, 2**32 - 1)

NUMBERS = st.sampled_from([0, 1, 30, 300, 1800, 3150, INFINITE]).map(u32)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        Option.SERVER_ID: st.sampled_from([SERVER, SERVER, SERVER, OTHER_SERVER, ANY]).map(
            lambda server: server.packed
        ),
        Option.LEASE_TIME: st.sampled_from(LEASE_TIMES).map(u32),
        Option.RENEWAL_TIME: NUMBERS,
        Option.REBINDING_TIME: NUMBERS,
        Option.SUBNET_MASK: st.sampled_from([b"\xff\xff\xff\0", b"\xff\xff\xff\xff", b"\xff\0\xff\0", b""]),
        Option.ROUTER: st.sampled_from([SERVER.packed, OTHER_SERVER.packed, b"\1"]),
        Option.CLIENT_ID: st.sampled_from([CLIENT_ID, CLIENT_ID, b"another"]),
        Option.RAPID_COMMIT: st.just(b""),
        Option.IPV6_ONLY_PREFERRED: NUMBERS,
        Option.MESSAGE: st.binary(max_size=9),
        Option.AUTHENTICATION: st.binary(max_size=40),
    },
)
GRANT = {Option.SERVER_ID: SERVER.packed, Option.LEASE_TIME: u32(3600), Option.ROUTER: SERVER.packed}
HOSTS = st.sampled_from([ADDRESS, ADDRESS, ADDRESS, OTHER_ADDRESS, SERVER, ANY])
MACS = st.sampled_from([MAC, THIEF, GATEWAY_MAC])
ARP = st.builds(inputs.ReceivedArp, st.builds(ArpPacket, st.sampled_from(ArpOp), MACS, HOSTS, MACS, HOSTS))
OTHERS = st.sampled_from(
    [
        Start(),
        Stop(),
        Stop(release=True),
        LINK,
        LINK,
        LINK,
        attrs.evolve(LINK, mtu=576),
        attrs.evolve(LINK, mac=THIEF),
        attrs.evolve(LINK, ifindex=3),
        attrs.evolve(LINK, arp=False),
        inputs.LinkDown(),
        inputs.LinkDown(),
        inputs.LinkGone(),
        inputs.SendFailed("No buffer space available"),
        *(command() for command in COMMANDS),
    ]
)


@st.composite
def messages(draw: st.DrawFn, awaited: int) -> inputs.Received:
    """What a server might say, mostly in the right exchange and mostly with all it needs."""
    sound = draw(st.booleans())
    return inputs.Received(
        Message(
            op=Op.BOOTREPLY if sound else draw(st.sampled_from(Op)),
            type=draw(st.sampled_from(MessageType)),
            xid=awaited if sound else draw(st.sampled_from((awaited, *XIDS))),
            chaddr=MAC if sound else draw(MACS),
            yiaddr=draw(st.sampled_from([ADDRESS, ADDRESS, ADDRESS, OTHER_ADDRESS, ANY, IPv4Address("224.0.0.1")])),
            options=(GRANT if sound else {}) | draw(OPTIONS),
        ),
        draw(st.sampled_from([SERVER, OTHER_SERVER])),
        unicast=draw(st.booleans()),
    )


class ClientContract(Contract):
    packets = (outputs.Send, outputs.SendArp)

    def make(self, seed: int) -> Client:
        rng = random.Random(seed)
        settings = Settings(
            CLIENT_ID,
            offer_window=rng.choice([0.0, 2.0]),
            rapid_commit=rng.random() < 0.3,
            conflict_detection=rng.choice(["probe", "parallel", "skip"]),
            defend=rng.choice(["defend", "release"]),
            v6_only_preferred=rng.random() < 0.2,
            forcerenew=rng.random() < 0.2,
        )
        kept = remembered(now=0, trusted=rng.random() < 0.5, lease_time=rng.choice([50, 3600, 2e6, None]))
        self.held: Lease | None = None
        self.asked = self.answered = 0
        self.times: dict[object, list[float]] = {}
        return Client(settings, random.Random(seed), kept if rng.random() < 0.4 else None)

    def rests(self) -> bool:
        state = self.machine.state
        endless = isinstance(state, states.Bound | states.Detached) and state.lease.expires_at is None
        return endless or isinstance(state, states.Stopped | states.NoLink)

    def draw_event(self, data: st.DataObject) -> object:
        exchange = getattr(self.machine.state, "exchange", None)
        awaited = exchange.xid if exchange is not None else getattr(self.machine.state, "xid", 1)
        return data.draw(st.one_of(messages(awaited), messages(awaited), ARP, OTHERS))

    def saw(self, event: object, said: list[Any]) -> None:
        self.asked += isinstance(event, COMMANDS)
        for output in said:
            self.follow(output)
        held = self.machine.lease
        assert (held is None) == (self.held is None or isinstance(self.machine.state, states.Stopped))
        if held is not None:  # (i): never past its end, and woken there at the latest
            assert held == self.held
            assert held.expires_at is None or (held.expires_at > self.now and self.machine.deadline <= held.expires_at)
        pending = 1 if self.machine._station.command is not None else 0
        assert self.asked == self.answered + pending

    def follow(self, output: object) -> None:
        match output:
            case outputs.Bound(lease):
                assert self.held is None  # (vii)
                self.held = lease
            case outputs.Resumed(lease):
                assert self.held in (None, lease)
                self.held = lease
            case outputs.Extended(lease) | outputs.Changed(lease):
                assert self.held is not None
                assert lease.address.ip == self.held.address.ip
                self.held = lease
            case outputs.Lost(lease):
                assert lease == self.held
                self.held = None
            case outputs.Finished() | Refused():
                self.answered += 1
            case outputs.Send(message):
                self.follow_send(message)

    def follow_send(self, message: Message) -> None:
        """(v): retransmissions of one exchange are never closer than the RFC has them."""
        key = (message.xid, message.type, message.options.get(Option.SERVER_ID))
        times = self.times.setdefault(key, [])
        if times and message.type in (MessageType.DISCOVER, MessageType.REQUEST):
            least = 60 if message.ciaddr != ANY else min(4 * 2 ** (len(times) - 1), 64) - 1
            assert self.now - times[-1] >= least - EPSILON
        times.append(self.now)
        assert message.options[Option.CLIENT_ID] == CLIENT_ID
        if message.ciaddr != ANY:
            assert self.held is not None
            assert message.ciaddr == self.held.address.ip


TestClient = pytest.mark.req("C1")(pytest.mark.req("C7")(pytest.mark.req("C8", "breaks")(ClientContract.TestCase)))
TestClient.settings = THOROUGH
