"""What the managed daemon of an IPv6RAAddress is for: it asks for routers, listens to them, and says what they tell.

Addresses are of RFC 7217 (`routerd.protocols.ndp.identifier`), with a secret of this router that is made once. Those
that an earlier life made are known by that again, and live as long as the host says.
"""

from __future__ import annotations

import random
import secrets
import threading
from collections.abc import Iterator, Sequence
from ipaddress import IPv6Interface, IPv6Network
from pathlib import Path
from typing import Any

from routerd.daemons import lease_file
from routerd.daemons.ndp_link import Facts
from routerd.daemons.ndp_part import Around, Teller
from routerd.daemons.ra_client_report import TOPIC, ClientSpec, news, status_of
from routerd.events.types import Event, Status
from routerd.events.writer import Runner
from routerd.protocols.ndp.discovery import Attached, Discovery, Heard, Silent
from routerd.protocols.ndp.identifier import RETRIES, SECRET_LENGTH, SLAAC_LENGTH, stable_address
from routerd.protocols.ndp.learned import Learned, LearnedPrefix
from routerd.protocols.ndp.message import NdpPacket, RouterSolicitation

IN_VAIN = 3
"""Solicitations without an answer after which there counts as no router (RFC 4861 §10: MAX_RTR_SOLICITATIONS)."""
MOMENT = 2.0
"""Seconds between two statuses that differ in instants alone: routers may repeat themselves as often as they like."""


class RAClient:
    """See the module, and `Part`."""

    topic = TOPIC
    directory = "ra-client"
    kind = "routerd-ra-client"
    resource_kind = "IPv6RAAddress"

    def __init__(self, spec: ClientSpec, state_dir: Path, run_sync: Runner, rng: random.Random) -> None:
        self._spec = spec
        self._path = state_dir / self.directory / "secret"
        self._run_sync = run_sync
        self._rng = rng
        self._secret = b""
        self._begin()

    def _begin(self) -> None:
        self._discovery = Discovery(self._rng)
        self._known, self._known_at = Learned(), 0.0
        self._conflicts: dict[IPv6Network, int] = {}
        self._made: dict[IPv6Network, IPv6Interface] = {}
        self._asked = 0
        self._heard = False
        self._error = ""
        self._told: Status | None = None
        self._told_at = float("-inf")

    async def open(self, tell: Teller, around: Around, stored: Status) -> tuple[Discovery, Sequence[Event]]:
        """See Part. Nothing on the disk is so bad that there would be no client."""
        self._begin()
        self._tell = tell
        self._secret, self._error = await self._run_sync(_secret_of, self._path)
        self._discovery.learned = self._known = Learned(prefixes=dict(self._adopted(around.facts, around.now)))
        self._known_at = around.now
        self._make(around)
        trouble = [tell("secret.unusable", "SecretUnusable", self._error, "warning")] if self._error else []
        return self._discovery, trouble

    def _adopted(self, facts: Facts, now: float) -> Iterator[tuple[IPv6Network, LearnedPrefix]]:
        """Prefixes of addresses that an earlier life has put there, and that are still valid."""
        for one in facts.addresses:
            prefix = IPv6Network((int(one.address.ip), SLAAC_LENGTH), strict=False)
            if one.ours and not prefix.is_link_local and self._is_made_of(prefix, one.address.ip):
                on_link = one.valid_until if one.address.network.prefixlen == SLAAC_LENGTH else now
                source = facts.source or one.address.ip
                assert source.version == 6
                yield prefix, LearnedPrefix(prefix, source, on_link, one.valid_until, one.preferred_until)

    def _is_made_of(self, prefix: IPv6Network, ip: object) -> bool:
        tries = range(RETRIES + 1)
        return any(stable_address(prefix, self._spec.ifname, self._secret, one).ip == ip for one in tries)

    def first(self) -> Sequence[Any]:
        """See Part."""
        return ()

    async def keep(self, output: Any) -> Sequence[Event]:
        """See Part: nothing of this outlives the lifetimes that the host knows."""
        return ()

    @property
    def quiet(self) -> bool:
        """See Part."""
        return isinstance(self._discovery.state, Silent)

    # Speaking

    def said(self, outputs: Sequence[Any], around: Around) -> Sequence[Event]:
        """See Part."""
        events: list[Event] = []
        for output in outputs:
            match output:
                case NdpPacket(RouterSolicitation(), source):
                    self._asked += 1
                    events.append(self._tell("solicit.sent", "SolicitSent", f"{source} asks for routers", "debug"))
                case Attached(same):
                    events.append(self._attached(same))
                case Heard():
                    self._heard = self._heard or bool(self._discovery.learned.routers)
        self._make(around)
        learned = self._discovery.learned
        events += news(self._known, self._known_at, learned, around.now, self._made, self._tell)
        self._known, self._known_at = learned, around.now
        return events

    def _attached(self, same: bool) -> Event:
        """After a flap."""
        if same:
            return self._tell("link.confirmed", "SameLink", "it is the link from before", same="true")
        return self._tell("link.changed", "OtherLink", "it is another link than before", "warning", same="false")

    def status(self, around: Around) -> Status | None:
        """See Part."""
        self._make(around)
        decided = self._heard or self._asked >= IN_VAIN or around.stopped
        state = type(self._discovery.state).__name__ if decided else None
        status = status_of(self._spec, self._discovery.learned, state, self._made, self._error, around)
        if self._told is not None and around.now - self._told_at < MOMENT and _bare(status) == _bare(self._told):
            return self._told
        self._told, self._told_at = status, around.now
        return status

    # Addresses

    def _make(self, around: Around) -> None:
        """One address of each prefix; after a conflict another one, and after too many none. With which length it was
        made it stays."""
        self._note_conflicts(around)
        made: dict[IPv6Network, IPv6Interface] = {}
        for prefix, one in self._discovery.learned.prefixes.items():
            valid = one.valid_until is None or one.valid_until > around.now
            conflicts = self._conflicts.get(prefix, 0)
            if valid and prefix.prefixlen == SLAAC_LENGTH and conflicts <= RETRIES and self._makes_any:
                address = stable_address(prefix, self._spec.ifname, self._secret, conflicts)
                on_link = one.on_link_until is None or one.on_link_until > around.now
                fresh = address if on_link else IPv6Interface((int(address.ip), 128))
                before = self._made.get(prefix)
                made[prefix] = before if before is not None and before.ip == fresh.ip else fresh
        self._made = made

    @property
    def _makes_any(self) -> bool:
        return self._spec.resource.addresses and self._spec.resource.mode == "routerd"

    def _note_conflicts(self, around: Around) -> None:
        """Duplicate address detection has found somebody else there (RFC 7217 §6)."""
        for prefix, address in self._made.items():
            if address.ip in around.facts.contested:
                self._conflicts[prefix] = self._conflicts.get(prefix, 0) + 1
                self._error = f"somebody else on the link has {address.ip}"


def _bare(value: Any) -> Any:
    """A status without instants."""
    match value:
        case dict():
            return {key: _bare(one) for key, one in value.items() if not key.endswith("Monotonic")}
        case list():
            return [_bare(one) for one in value]
    return value


_ONE_AT_A_TIME = threading.Lock()
"""Two clients that start side by side, each in a thread, must not each make a secret."""


def _secret_of(path: Path) -> tuple[bytes, str]:
    """The secret of this router's addresses, made once; and what is wrong with the file, if it is. Blocks."""
    with _ONE_AT_A_TIME:
        return _kept_or_made(path)


def _kept_or_made(path: Path) -> tuple[bytes, str]:
    trouble = ""
    try:
        kept = lease_file.read(path)
        if kept is not None:
            secret = bytes.fromhex(kept.decode("ascii").strip())
            if len(secret) == SECRET_LENGTH:
                return secret, ""
            trouble = f"{path} holds no secret: addresses become others"
    except ValueError:
        trouble = f"{path} holds no secret: addresses become others"
    except OSError as error:
        trouble = f"{path} cannot be read: {error.strerror}"
    secret = secrets.token_bytes(SECRET_LENGTH)
    try:
        lease_file.save(path, secret.hex().encode() + b"\n")
    except OSError as error:
        trouble = f"{path} cannot be written: {error.strerror}"
    return secret, trouble
