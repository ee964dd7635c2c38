"""DHCPv6 clients and servers on one link, in virtual time: no trio, a year in seconds.

Messages cross it as octets, late, or not at all. A `Node` is a machine with a host's manners around it: it keeps the
record in memory, and what it has installed is checked at every moment.
"""

from __future__ import annotations

import hashlib
import random
from ipaddress import IPv6Address
from typing import Any, Protocol, TypeVar

from routerd.protocols.dhcpv6 import inputs, outputs, record, wire
from routerd.protocols.dhcpv6.association import Asset, Association, Kind
from routerd.protocols.dhcpv6.binding import Lease
from routerd.protocols.dhcpv6.client import Client
from routerd.protocols.dhcpv6.duid import duid_ll
from routerd.protocols.dhcpv6.message import Message, MessageType, Option
from routerd.protocols.dhcpv6.settings import Settings, Wanted
from routerd.protocols.machine import Start, Stop, Tick
from routerd.sim.dhcpv6_hostile import Hostile
from routerd.sim.dhcpv6_server import Reply, Server
from routerd.sim.dhcpv6_server import Settings as ServerSettings
from routerd.sim.timeline import Appointment, Timeline
from tests.sim.conduct import Bucket

NA, PD, PD2 = Association(Kind.NA, 1), Association(Kind.PD, 1), Association(Kind.PD, 2)
DNS = IPv6Address("2001:db8::53")
SERVICE = ServerSettings(bytes.fromhex("0003000102005e000601"), options=(Option(23, DNS.packed),))
OTHER_DUID = bytes.fromhex("0003000102005e000602")
EPOCH = 1_800_000_000.0
EPSILON = 1e-6

T = TypeVar("T")


class Service(Protocol):
    """Whoever answers."""

    def receive(self, message: Message, now: float) -> list[Reply]: ...


class Network6:
    """One link, whoever is on it, and virtual time. `loss`: the part of all packets that gets lost."""

    def __init__(self, seed: int = 0, *, loss: float = 0.0, delay: float = 0.01, jitter: float = 0.0) -> None:
        self.rng = random.Random(seed)
        self.timeline = Timeline()
        self.loss, self.delay, self.jitter = loss, delay, jitter
        self.now = 0.0
        self.services: list[Service] = []
        self.nodes: list[Node] = []
        self._transcript = hashlib.sha256()

    def run(self, seconds: float) -> None:
        """Let this much time pass."""
        self.now += seconds
        self.timeline.run_until(self.now)

    def serve(self, settings: ServerSettings = SERVICE, **shared: Any) -> Server:
        """An honest server; `leases` shares the database of another."""
        server = Server(settings, **shared)
        self.services.append(server)
        return server

    def serve_hostile(self, settings: ServerSettings = SERVICE) -> Hostile:
        """A server that may be made hostile by its `mode`."""
        hostile = Hostile(Server(settings), random.Random(self.rng.random()), None)
        self.services.append(hostile)
        return hostile

    def client(self, *wanted: Association, hints: dict[Association, Asset] | None = None, **settings: Any) -> Node:
        """Another client, on a link that is up."""
        node = Node(self, len(self.nodes) + 1, tuple(Wanted(w, (hints or {}).get(w)) for w in wanted), settings)
        self.nodes.append(node)
        node.start()
        return node

    def upstream(self, node: Node, octets: bytes, now: float) -> None:
        """A packet of a client, to every server."""
        self._note(now, octets)
        for service in self.services:
            self._carry(lambda at, service=service: self._serve(service, node, octets, at), now)

    def downstream(self, node: Node, reply: Reply, now: float) -> None:
        """A packet of a server, to a client."""
        octets = reply.octets or wire.encode(reply.message)
        self._note(now, octets)
        self._carry(lambda at: node.hear(octets, reply, at), now)

    def transcript(self) -> str:
        """A hash of all that was sent so far, and when."""
        return self._transcript.hexdigest()

    def _serve(self, service: Service, node: Node, octets: bytes, now: float) -> None:
        message = wire.decode(octets)
        assert isinstance(message, Message), "a client sent what is no message"
        for reply in service.receive(message, now):
            self.downstream(node, reply, now)

    def _carry(self, call: Any, now: float) -> None:
        if self.rng.random() >= self.loss:
            self.timeline.at(now + self.delay + self.rng.random() * self.jitter, call)

    def _note(self, now: float, octets: bytes) -> None:
        self._transcript.update(repr(now).encode() + octets)


class Node:
    """One client and its host. `said` are all outputs with their times; `installed` is what they have it use."""

    def __init__(self, network: Network6, number: int, wanted: tuple[Wanted, ...], settings: dict[str, Any]) -> None:
        self.network = network
        self.mac = bytes.fromhex("02005e0600") + bytes((number,))
        self.settings = Settings(duid_ll(self.mac), wanted, **settings)
        self.link = inputs.LinkUp(1, self.mac, IPv6Address(f"fe80::{number}"))
        self.said: list[tuple[float, outputs.Output]] = []
        self.sent: list[tuple[float, Message]] = []
        self.installed: dict[Association, dict[Asset, Lease]] = {}
        self.disk = b""
        self.boot_id = "first"
        self.wall_offset = 0.0
        self.dies_after: int | None = None
        """The number of outputs after which the process is killed, once."""
        self._alarm: Appointment | None = None
        self._starts = 0
        self.machine = self._make(network.now)

    def _make(self, now: float) -> Client:
        self._bucket = Bucket()
        self._starts += 1
        rng = random.Random(int.from_bytes(self.mac) * 100 + self._starts)
        known = record.load(self.disk) if self.disk else None
        if not isinstance(known, record.ClientRecord):
            return Client(self.settings, rng)
        wall = EPOCH + now + self.wall_offset
        revived = record.revive(known, boot_id=self.boot_id, now=now, wall=wall, build_date=EPOCH - 1e6)
        return Client(self.settings, rng, revived)

    @property
    def state(self) -> str:
        return type(self.machine.state).__name__

    @property
    def held(self) -> dict[Association, list[Asset]]:
        return {which: [lease.asset for lease in b.leases] for which, b in self.machine.bindings.items()}

    def all(self, kind: type[T]) -> list[T]:
        return [output for _, output in self.said if isinstance(output, kind)]

    def sent_kinds(self) -> set[MessageType]:
        """Which messages it has sent so far."""
        return {message.type for _, message in self.sent}

    def start(self, now: float | None = None) -> None:
        """As a process does: begin, and be told of the link."""
        self.feed(Start(), now)
        self.feed(self.link, now)

    def restart(self, now: float | None = None) -> None:
        """Killed, and another process begins with what is on the disk. What the host has is cleared of all but what the
        new one takes up again."""
        now = self.network.now if now is None else now
        self.machine = self._make(now)
        self.installed.clear()
        self.start(now)

    def stop(self) -> None:
        self.feed(Stop())

    def feed(self, event: object, now: float | None = None) -> list[outputs.Output]:
        """One input, and everything that the host does with the answer."""
        now = self.network.now if now is None else now
        answers = self.machine.handle(event, now)
        for output in answers:
            self.said.append((now, output))
            self._carry_out(output, now)
            if len(self.said) == self.dies_after:  # what follows is never done, nor anything written down
                self.restart(now)
                return answers
        self._check(now)
        if any(not isinstance(output, outputs.Send | outputs.Entered) for output in answers):
            self._save(now)
        self._book()
        return answers

    def hear(self, octets: bytes, reply: Reply, now: float) -> None:
        """A packet has come."""
        message = wire.decode(octets)
        if isinstance(message, Message):
            unicast = not reply.multicast
            self.feed(inputs.Received(message, reply.source, reply.source_port, unicast), now)

    def _book(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        deadline = self.machine.deadline
        self._alarm = None if deadline is None else self.network.timeline.at(deadline, self._tick)

    def _tick(self, now: float) -> None:
        self._alarm = None
        self.feed(Tick(), now)
        assert self.machine.deadline is None or self.machine.deadline > now

    def _save(self, now: float) -> None:
        wall = EPOCH + now + self.wall_offset
        self.disk = record.dump(
            record.ClientRecord(
                "wan", "eth0", "bound", self.machine.memory, self.settings.duid, self.boot_id, now, wall
            )
        )

    def _carry_out(self, output: outputs.Output, now: float) -> None:
        match output:
            case outputs.Send(message):
                self._bucket.take(now)
                assert message.first(1) == self.settings.duid
                self.sent.append((now, message))
                self.network.upstream(self, wire.encode(message), now)
            case outputs.Bound(held) | outputs.Resumed(held) | outputs.Extended(held) | outputs.Changed(held):
                former = {f.lease.asset: f.lease for f in self.machine.former if f.in_use}
                keep = {a: former[a] for a in self.installed.get(held.association, {}) if a in former}
                self.installed[held.association] = keep | {lease.asset: lease for lease in held.leases}
                if isinstance(output, outputs.Bound | outputs.Extended) and output.by != "solicit":
                    assert self.sent, "granted to nobody"
            case outputs.Lost(which, lease):
                self.installed.get(which, {}).pop(lease.asset, None)
            case outputs.Deprecated(which, lease):
                self.installed.setdefault(which, {})[lease.asset] = lease

    def _check(self, now: float) -> None:
        """What is installed is what the machine holds, and nothing of it is over."""
        held = {lease.asset for b in self.machine.bindings.values() for lease in b.leases}
        held |= {former.lease.asset for former in self.machine.former if former.in_use}
        if self.state != "Stopped":
            installed = {asset for leases in self.installed.values() for asset in leases}
            assert held <= installed
        for leases in self.installed.values():
            for asset, lease in leases.items():
                if asset in held:
                    assert lease.valid_until is None or lease.valid_until > now - EPSILON, f"{asset} is over"


def exchanges(node: Node, kind: MessageType) -> list[list[float]]:
    """When each exchange of a kind was said, and said again."""
    times: dict[int, list[float]] = {}
    for at, message in node.sent:
        if message.type is kind:
            times.setdefault(message.xid, []).append(at)
    return list(times.values())


def check_ends(node: Node, server: Server, now: float) -> None:
    """No client may use a lease for longer than an honest server has given it away for."""
    for which, binding in node.machine.bindings.items():
        own = server.leases.of((node.settings.duid, which), now)
        for lease in binding.leases:
            if own is not None and own.asset == lease.asset and binding.server_id == server.settings.duid:
                assert (lease.valid_until or float("inf")) <= own.until + EPSILON
