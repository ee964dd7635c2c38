"""What must be true of one client at every moment, whatever the world does to it (docs/protocols.md D2)."""

from __future__ import annotations

from collections import defaultdict
from ipaddress import IPv4Address

from routerd.protocols.dhcpv4 import outputs
from routerd.protocols.dhcpv4.lease import Lease
from routerd.protocols.dhcpv4.message import ANY, Message, MessageType
from routerd.sim.dhcpv4_rules import LEASE_TIME, SERVER_ID

EPSILON = 1e-6
BURST = 10
"""C9: packets at once; and then one in a second."""
CONTENT = {"address", "routes", "gateway", "dns_servers", "ntp_servers", "domain", "search", "broadcast", "mtu"}
"""What may change in a lease without its address being lost (V4-14); the rest is times and whom it is from (C15)."""


class Bucket:
    """Counts packets against C9: at most `BURST` at once, refilled by one in a second."""

    def __init__(self) -> None:
        self._tokens = float(BURST)
        self._at = float("-inf")

    def take(self, now: float) -> None:
        if now > self._at:
            self._tokens, self._at = min(BURST, self._tokens + (now - self._at)), now
        self._tokens -= 1
        assert self._tokens > -EPSILON, "more packets than C9 allows"


class Conduct:
    """Follows the outputs of one client, over restarts too, and asserts.

    `lease` is what the host has installed by them; `sent` all DHCP messages with their times.
    """

    def __init__(self) -> None:
        self.lease: Lease | None = None
        self.sent: list[tuple[float, Message]] = []
        self._exchanges: dict[int, list[tuple[float, Message]]] = defaultdict(list)
        self._dhcp, self._arp = Bucket(), Bucket()
        self._transmissions: dict[tuple[object, ...], list[float]] = defaultdict(list)

    def restarted(self, remembered: Lease | None) -> None:
        """The client process is a new one. What it remembers is still installed, the rest its host has cleared away."""
        self._dhcp, self._arp = Bucket(), Bucket()
        if remembered is None or self.lease is None or remembered.address != self.lease.address:
            self.lease = None

    def saw(self, output: outputs.Output, now: float) -> None:
        """One output, in order."""
        self._nothing_stale(output, now)
        match output:
            case outputs.Send():
                self._send(output, now)
            case outputs.SendArp():
                self._arp.take(now)
            case outputs.Bound(lease):
                assert self.lease is None, "bound twice"
                self._fresh(lease, now)
                if output.confirmed_by == "request":
                    self._answered(lease)
                self.lease = lease
            case outputs.Resumed(lease):
                assert self.lease is None or self.lease.address == lease.address, "resumed another address"
                self._fresh(lease, now)
                self.lease = lease
            case outputs.Extended(lease) | outputs.Changed(lease):
                assert self.lease is not None, "extended what was not held"
                assert lease.address.ip == self.lease.address.ip, "an address moved without being lost"
                changed = {name for name in CONTENT if getattr(lease, name) != getattr(self.lease, name)}
                assert changed == (set(output.fields) & CONTENT if isinstance(output, outputs.Changed) else set())
                self._fresh(lease, now)
                if output.by in ("renew", "rebind"):
                    self._answered(lease)
                self.lease = lease
            case outputs.Lost(lease):
                assert self.lease is not None, "lost what was not held"
                assert lease.address == self.lease.address, "lost another address"
                self.lease = None

    def _nothing_stale(self, output: outputs.Output, now: float) -> None:
        """(i), C3: at the end of a lease, however late we wake up, its loss comes before everything else."""
        expires = self.lease.expires_at if self.lease else None
        if expires is not None and expires < now - EPSILON and not isinstance(output, outputs.Lost):
            raise AssertionError(f"{output} although the lease was over {now - expires} s ago")

    def _fresh(self, lease: Lease, now: float) -> None:
        assert lease.expires_at is None or lease.expires_at > now, "a lease that is over"
        assert lease.obtained_at <= now + EPSILON

    def _answered(self, lease: Lease) -> None:
        """(vi): the answer belongs to our last question, and counts from when that was first or again sent."""
        reply = lease.reply
        assert reply is not None
        _, question = self.sent[-1]
        rapid = question.type is MessageType.DISCOVER and 80 in question.options
        assert question.type is MessageType.REQUEST or rapid
        assert reply.xid == question.xid
        sent = (at for at, _ in self._exchanges[question.xid])
        assert any(abs(lease.obtained_at - at) < EPSILON for at in sent), "counted from when nothing was sent"
        if SERVER_ID in question.options:
            assert reply.options[SERVER_ID] == question.options[SERVER_ID]
        assert LEASE_TIME in reply.options

    def _send(self, output: outputs.Send, now: float) -> None:
        message = output.message
        self._dhcp.take(now)
        if message.ciaddr != ANY or output.source is not None:
            held = self.lease.address.ip if self.lease else None
            assert message.ciaddr == held, "ciaddr that is not ours"
            assert output.source in (held, None)
        if message.type is MessageType.REQUEST and SERVER_ID in message.options:
            self._as_discovered(message)
        self._spaced(message, output.to, now)
        self.sent.append((now, message))
        self._exchanges[message.xid].append((now, message))

    def _as_discovered(self, request: Message) -> None:
        """RFC 2131 §3.1(3): secs and flags of the REQUEST are those of its DISCOVER."""
        exchange = (message for _, message in self._exchanges[request.xid])
        discovers = [message for message in exchange if message.type is MessageType.DISCOVER]
        assert discovers, "a REQUEST that no DISCOVER came before"
        assert (request.secs, request.broadcast) in {(message.secs, message.broadcast) for message in discovers}

    def _spaced(self, message: Message, to: IPv4Address, now: float) -> None:
        """(v): no retransmission earlier than the RFC has it (§4.1: 4, 8 … 64 ± 1 s; §4.4.5: at least 60 s)."""
        if message.type not in (MessageType.DISCOVER, MessageType.REQUEST):
            return
        key = (message.type, message.xid, to, message.ciaddr, message.options.get(SERVER_ID))
        times = self._transmissions[key]
        if times:
            least = 60 if message.ciaddr != ANY else min(4 * 2 ** (len(times) - 1), 64) - 1
            assert now - times[-1] > least - EPSILON, f"{message.type.name} again after {now - times[-1]} s"
        times.append(now)
