"""What the managed daemon of an IPv6RAAddress is for: it asks for routers, listens to them, and says what they tell.

Addresses that an earlier life made are known again (`ra_addresses.py`), and live as long as the host says.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from routerd.daemons.ndp_part import Around
from routerd.daemons.ndp_quota import Quota
from routerd.daemons.ra_addresses import Addresses, Conflict, secret_of
from routerd.daemons.ra_client_report import TOPIC, ClientSpec, Own, news, status_of
from routerd.daemons.teller import Teller
from routerd.events.types import Event, Status
from routerd.events.writer import Runner
from routerd.protocols.ndp.discovery import Attached, Discovery, Heard, Silent
from routerd.protocols.ndp.learned import Learned
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
        self._begin()

    def _begin(self) -> None:
        self._discovery = Discovery(self._rng)
        self._known, self._known_at = Learned(), 0.0
        self._addresses = Addresses(self._spec.ifname, b"")
        self._quota = Quota()
        self._asked = 0
        self._heard = False
        self._error = ""
        self._told: Status | None = None
        self._told_at = float("-inf")

    async def open(self, tell: Teller, around: Around, stored: Status) -> tuple[Discovery, Sequence[Event]]:
        """See Part. Nothing on the disk is so bad that there would be no client."""
        self._begin()
        self._tell = tell
        secret, self._error = await self._run_sync(secret_of, self._path)
        self._addresses = Addresses(self._spec.ifname, secret)
        adopted = dict(self._addresses.adopt(around.facts, around.now))
        self._discovery.learned = self._known = Learned(prefixes=adopted)
        self._known_at = around.now
        trouble = [tell("secret.unusable", "SecretUnusable", self._error, "warning")] if self._error else []
        return self._discovery, trouble

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
        events += map(self._conflict, self._make(around))
        learned = self._discovery.learned
        events += news(self._known, self._known_at, learned, around.now, self._addresses.made, self._tell)
        self._known, self._known_at = learned, around.now
        return list(self._quota.of(events, around.now, self._tell))

    def _make(self, around: Around) -> list[Conflict]:
        if not self._spec.resource.addresses or self._spec.resource.mode == "kernel":
            return []
        return self._addresses.make(self._discovery.learned.prefixes, around.facts, around.now)

    def _conflict(self, found: Conflict) -> Event:
        words = f"somebody else on the link has {found.address}"
        facts: dict[str, Any] = {"address": found.address, "prefix": found.prefix}
        if found.last:
            words += f": no other address is tried in {found.prefix} until the link was down"
            return self._tell("address.given_up", "DuplicateAddress", words, "error", **facts)
        return self._tell("address.duplicate", "DuplicateAddress", f"{words}: another one is made", "warning", **facts)

    def _attached(self, same: bool) -> Event:
        """After a flap."""
        if same:
            return self._tell("link.confirmed", "SameLink", "it is the link from before", same="true")
        return self._tell("link.changed", "OtherLink", "it is another link than before", "warning", same="false")

    def status(self, around: Around) -> Status | None:
        """See Part."""
        decided = self._heard or self._asked >= IN_VAIN or around.stopped
        state = type(self._discovery.state).__name__ if decided else None
        own = Own(self._addresses.made, self._addresses.given_up, self._error)
        status = status_of(self._spec, self._discovery.learned, state, own, around)
        if self._told is not None and around.now - self._told_at < MOMENT and _bare(status) == _bare(self._told):
            return self._told
        self._told, self._told_at = status, around.now
        return status


def _bare(value: Any) -> Any:
    """A status without instants."""
    match value:
        case dict():
            return {key: _bare(one) for key, one in value.items() if not key.endswith("Monotonic")}
        case list():
            return [_bare(one) for one in value]
    return value
