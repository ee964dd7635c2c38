"""Client machines and servers on one segment, in virtual time: no trio, a year in seconds.

A `Node` is a machine with a kernel's manners around it: it opens the taps that the machine listens to, sends and
receives frames, keeps the lease file in memory, answers ARP for the address that the machine has it install.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections import deque
from ipaddress import IPv4Address as A
from ipaddress import IPv4Network
from typing import Any

import attrs

from routerd.protocols.arp import wire as arp
from routerd.protocols.arp.packet import ArpOp, ArpPacket
from routerd.protocols.dhcpv4 import frame, inputs, outputs, record, wire
from routerd.protocols.dhcpv4.client import Client
from routerd.protocols.dhcpv4.lease import Lease, Remembered
from routerd.protocols.dhcpv4.message import ANY, BROADCAST, CLIENT_PORT, SERVER_PORT
from routerd.protocols.dhcpv4.settings import Settings
from routerd.protocols.machine import Start, Stop, Tick
from routerd.protocols.malformed import Malformed
from routerd.sim.arp_neighbour import Neighbour
from routerd.sim.dhcpv4_hostile import Hostile
from routerd.sim.dhcpv4_server import Server, addresses
from routerd.sim.dhcpv4_server import Settings as ServerSettings
from routerd.sim.dhcpv4_station import Dhcpv4Station
from routerd.sim.ethernet import BROADCAST_MAC, PERFECT, Faults, Segment
from routerd.sim.packets import is_arp, is_dhcpv4
from routerd.sim.timeline import Appointment, Timeline
from tests.sim.conduct import EPSILON, Conduct

SERVER = A("192.0.2.1")
SERVER_MAC = bytes.fromhex("02005e000201")
SERVICE = ServerSettings(
    server_id=SERVER,
    subnet=IPv4Network("192.0.2.0/24"),
    first=A("192.0.2.50"),
    last=A("192.0.2.99"),
    lease_time=600,
    options={3: SERVER.packed, 6: addresses("192.0.2.53"), 15: b"example.net"},
)
EPOCH = 1_800_000_000.0
"""What the wall clock shows when the timeline begins; the same in every run."""


class Crashed(BaseException):
    """The process is gone, in the middle of whatever it did."""


class Network:
    """One segment, whoever is on it, and virtual time. `now` moves in `run` only."""

    def __init__(self, seed: int = 0, faults: Faults = PERFECT) -> None:
        self.rng = random.Random(seed)
        self.timeline = Timeline()
        self.segment = Segment(self.timeline, random.Random(self.rng.random()), faults)
        self.now = 0.0
        self.servers: list[Server] = []
        self.nodes: list[Node] = []
        self._transcript = hashlib.sha256()
        self.segment.witness(self._saw)

    def run(self, seconds: float) -> None:
        """Let this much time pass."""
        self.now += seconds
        self.timeline.run_until(self.now)

    def run_until_bound(self, limit: float) -> float:
        """Let time pass until every node has a lease, and return how long it took; at most `limit` seconds."""
        began = self.now
        while not all(node.lease for node in self.nodes):
            assert self.now - began < limit, f"no lease after {limit} s: {[node.state for node in self.nodes]}"
            self.run(1)
        return self.now - began

    def serve(self, settings: ServerSettings = SERVICE, mac: bytes = SERVER_MAC, **shared: Any) -> Server:
        """An honest server; `leases` shares the database of another."""
        server = Server(settings, **shared)
        Dhcpv4Station(self.segment, mac, settings.server_id, server)
        self.servers.append(server)
        return server

    def serve_hostile(self, settings: ServerSettings = SERVICE) -> Hostile:
        """A server that may be made hostile by its `mode`; it is not among the honest `servers`."""
        hostile = Hostile(Server(settings), random.Random(self.rng.random()), None)
        Dhcpv4Station(self.segment, SERVER_MAC, settings.server_id, hostile)
        return hostile

    def gateway(self) -> Neighbour:
        """The router that the leases of `SERVICE` name: the machine on which the server runs."""
        return Neighbour(self.segment, SERVER_MAC, [SERVER])

    def client(self, *, isolated: bool = False, start: bool = True, **settings: Any) -> Node:
        """Another client with a MAC and an identity of its own."""
        node = Node(self, len(self.nodes) + 1, isolated, settings)
        self.nodes.append(node)
        if start:
            node.start()
        return node

    def check_end(self, lease: Lease, client_id: bytes) -> None:
        """No client may use an address for longer than an honest server has given it away for (V4-2)."""
        for server in self.servers:
            own = server.leases.of(client_id)
            if server.settings.server_id == lease.server_id and own and own.address == lease.address.ip:
                assert (lease.expires_at or math.inf) <= own.until + EPSILON, (
                    "the client's lease ends after the server's"
                )

    def note(self, *facts: object) -> None:
        """Write something into the transcript."""
        self._transcript.update(repr(facts).encode())

    def transcript(self) -> str:
        """A hash of all that was sent and said so far, and when."""
        return self._transcript.hexdigest()

    def violations(self) -> list[str]:
        """What the servers hold against the clients."""
        return [
            f"{found.at}: {found.type.name}: {found.rule}" for server in self.servers for found in server.violations
        ]

    def _saw(self, data: bytes, now: float) -> None:
        self._transcript.update(repr(now).encode())
        self._transcript.update(data)


class Node:
    """One client and its host. `said` are all outputs with their times, `disk` is its lease file."""

    def __init__(self, network: Network, number: int, isolated: bool, settings: dict[str, Any]) -> None:
        self.network = network
        self.mac = bytes.fromhex("02005e01") + number.to_bytes(2)
        self.ifindex = 1
        settings.setdefault("client_id", b"\xff\x00\x00\x00\x01\x00\x03\x00\x01" + self.mac)
        self.settings = Settings(**settings)
        self.conduct = Conduct()
        self.said: list[tuple[float, outputs.Output]] = []
        self.disk = b""
        self.boot_id = "first"
        self.wall_offset = 0.0
        self.keep = True
        """Whether what it says is kept, and part of the transcript: of a thousand clients that is much."""
        self.crash_after: int | None = None
        """How many outputs more are carried out before the process is gone."""
        self.machine: Client | None = None
        self._port = network.segment.attach(self.mac, self._hear, isolated=isolated)
        self._alarm: Appointment | None = None
        self.asleep = False
        self._missed: list[Any] = []
        self._gateway_mac: bytes | None = None
        self._identification = 0

    # What the test does to it

    def start(self, *, remembered: bool = True) -> None:
        """Start the process; `remembered`: with the lease file, if there is one that can be read."""
        known = self._recall() if remembered else None
        self.machine = Client(self.settings, random.Random(self.network.rng.random()), known)
        self.conduct.restarted(known.lease if known else None)
        self.tell(Start())
        if self._port.up:
            self._link_up()

    def stop(self, *, release: bool = False) -> None:
        """Stop the process in good order; the kernel keeps what it has, unless it was told otherwise."""
        self.tell(Stop(release))
        self._end()

    def kill(self) -> None:
        """The process is gone, the kernel keeps what it has."""
        self._end()

    def reboot(self) -> None:
        """Power failure: nothing is left but the disk, and the clock of the next boot begins anew."""
        self._end()
        self.conduct.lease = None
        self.boot_id += "'"

    def unplug(self, now: float | None = None) -> None:
        self._port.up = False
        self.tell(inputs.LinkDown(), now)

    def plug(self, now: float | None = None) -> None:
        self._port.up = True
        self._link_up(now)

    def replug(self, mac: bytes | None = None) -> None:
        """The interface is deleted and made anew, with another index; with another MAC if one is given."""
        self.tell(inputs.LinkGone())
        self.ifindex += 1
        self.mac = self._port.mac = mac or self.mac
        self.plug()

    def sleep(self, seconds: float) -> None:
        """The host is suspended: it hears nothing and does nothing; what it was told it finds out when it wakes."""
        self.asleep = True
        self._set_alarm()
        self.network.timeline.at(self.network.now + seconds, self._wake)

    def tell(self, event: Any, now: float | None = None) -> None:
        """Give the machine an input and do what it says."""
        if self.asleep:
            self._missed.append(event)
        if self.machine is None or self.asleep:
            return
        now = self.network.now if now is None else now
        events: deque[Any] = deque([event])
        try:
            while events:
                for output in self.machine.handle(events.popleft(), now):
                    if (failure := self._do(output, now)) is not None:
                        events.append(failure)
        except Crashed:
            self._end()
        self._set_alarm()

    # What the test asks

    @property
    def lease(self) -> Lease | None:
        """What is installed."""
        return self.conduct.lease

    @property
    def address(self) -> A | None:
        return self.lease.address.ip if self.lease else None

    @property
    def state(self) -> str:
        return "none" if self.machine is None else type(self.machine.state).__name__

    def all(self, kind: type[Any], since: float = 0.0) -> list[Any]:
        """What was said of one kind, since a time."""
        return [output for at, output in self.said if isinstance(output, kind) and at >= since]

    # The kernel

    def _link_up(self, now: float | None = None) -> None:
        self.tell(inputs.LinkUp(self.ifindex, self.mac, 1500), now)

    def _end(self) -> None:
        self.machine = None
        self._set_alarm()

    def _wake(self, now: float) -> None:
        self.asleep = False
        missed, self._missed = self._missed or [Tick()], []
        for event in missed:
            self.tell(event, now)

    def _set_alarm(self) -> None:
        due = None if self.machine is None or self.asleep else self.machine.deadline
        if due is None and self.machine is not None and not self.asleep:
            endless = self.lease is not None and self.lease.expires_at is None
            assert endless or self.state in ("Stopped", "NoLink"), f"only a packet can leave {self.state} (C7)"
        if self._alarm is not None:
            if self._alarm.when == due and self._alarm.call is not None:
                return
            self._alarm.cancel()
        self._alarm = None if due is None else self.network.timeline.at(due, self._ring)

    def _ring(self, due: float) -> None:
        self.tell(Tick(), due)
        if self.machine is not None:
            deadline = self.machine.deadline
            assert deadline is None or deadline > due, "a Tick that changed nothing is due again at once"

    def _hear(self, data: bytes, now: float) -> None:
        if self.asleep:
            return
        if is_arp(data):
            self._hear_arp(data, now)
        elif is_dhcpv4(data) and self.machine is not None:
            self._hear_dhcp(data, now)

    def _hear_dhcp(self, data: bytes, now: float) -> None:
        """By the raw tap if it is open, else by UDP, which hears what is for us or for all."""
        assert self.machine is not None
        outer = frame.unpack(data, checksum_known_good=False)
        if isinstance(outer, Malformed):
            return
        if "dhcpv4" not in self.machine.listens and outer.destination not in (self.address, BROADCAST):
            return
        message = wire.decode(outer.payload)
        if not isinstance(message, Malformed):
            unicast = outer.destination != BROADCAST
            self.tell(inputs.Received(message, outer.source, outer.source_port, unicast), now)

    def _hear_arp(self, data: bytes, now: float) -> None:
        packet = arp.unpack_frame(data)
        if isinstance(packet, Malformed):
            return
        if packet.op is ArpOp.REQUEST and packet.target_ip == self.address and packet.sender_ip != self.address:
            answer = ArpPacket(ArpOp.REPLY, self.mac, packet.target_ip, packet.sender_mac, packet.sender_ip)
            self._port.send(arp.pack_frame(answer, source_mac=self.mac, target_mac=packet.sender_mac), now)
        if self.machine is not None and "arp" in self.machine.listens:
            self.tell(inputs.ReceivedArp(packet), now)

    def _do(self, output: outputs.Output, now: float) -> inputs.SendFailed | None:
        """Carry out one output; a failure to send is the machine's next input."""
        if self.crash_after is not None:
            if self.crash_after == 0:
                self.crash_after = None
                raise Crashed
            self.crash_after -= 1
        if self.keep:
            self.network.note(now, self.mac, output)
            self.said.append((now, output))
        self.conduct.saw(output, now)
        match output:
            case outputs.Send():
                return self._send(output, now)
            case outputs.SendArp(packet, to):
                self._port.send(arp.pack_frame(packet, source_mac=self.mac, target_mac=to), now)
            case outputs.Bound(lease) | outputs.Resumed(lease) | outputs.Extended(lease) | outputs.Changed(lease):
                self._port.addresses = {lease.address.ip}
                self._remember(lease, now)
                self.network.check_end(lease, self.settings.client_id)
            case outputs.Lost():
                self._port.addresses = set()
            case outputs.GatewayKnown(_, mac):
                self._gateway_mac = mac
                if self.lease is not None:
                    self._remember(self.lease, now)
            case outputs.Forget():
                self.disk = b""
        return None

    def _send(self, output: outputs.Send, now: float) -> inputs.SendFailed | None:
        if output.source is not None and output.source != self.address:
            return inputs.SendFailed("EADDRNOTAVAIL")
        target = BROADCAST_MAC if output.to == BROADCAST else self.network.segment.resolve(output.to)
        if target is None:
            return inputs.SendFailed("EHOSTUNREACH")
        self._identification += 1
        data = frame.pack(
            wire.encode(output.message),
            source_mac=self.mac,
            target_mac=target,
            source=output.source or ANY,
            target=output.to,
            source_port=CLIENT_PORT,
            target_port=SERVER_PORT,
            identification=self._identification & 0xFFFF,
        )
        self._port.send(data, now)
        return None

    # The lease file

    def _remember(self, lease: Lease, now: float) -> None:
        self.disk = record.dump(
            record.LeaseRecord(
                resource="wan",
                interface="wan0",
                state="Bound",
                lease=lease,
                client_id=self.settings.client_id,
                boot_id=self.boot_id,
                boottime=now,
                wall=EPOCH + now,
                gateway_mac=self._gateway_mac,
            )
        )

    def _recall(self) -> Remembered | None:
        kept = record.load(self.disk)
        if isinstance(kept, Malformed):
            return None
        now = self.network.now
        known = record.revive(
            kept, boot_id=self.boot_id, now=now, wall=EPOCH + now + self.wall_offset, build_date=EPOCH - 1e6
        )
        return None if isinstance(known, Malformed) else known


def replaced(server: Server, **changes: Any) -> None:
    """Give a running server other settings."""
    server.settings = attrs.evolve(server.settings, **changes)
