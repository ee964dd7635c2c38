"""What a DHCPv4 client knows of earlier lives: who it was, and the lease that it had (C4, C5, V4-6)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import attrs

from routerd.daemons import disk, lease_file
from routerd.daemons.disk import BUILD_DATE, FileAct
from routerd.daemons.identity import client_id, device_duid, duid_of
from routerd.daemons.teller import Teller
from routerd.events.types import Event
from routerd.events.writer import Runner
from routerd.host import Clock
from routerd.protocols.dhcpv4 import record
from routerd.protocols.dhcpv4.lease import Lease, Remembered
from routerd.protocols.dhcpv6.duid import duid_ll
from routerd.protocols.malformed import Malformed
from routerd.resources.net import DHCPv4Client


@attrs.frozen
class Recalled:
    """Who the client is, what it had, and what there is to say about that."""

    client_id: bytes
    remembered: Remembered | None
    said: tuple[Event, ...]


class LeaseMemory:
    """The lease file of one client, and the identity with which its lease was obtained."""

    def __init__(
        self, spec: DHCPv4Client, ifname: str, state_dir: Path, path: Path, clock: Clock, run_sync: Runner, tell: Teller
    ) -> None:
        self._spec = spec
        self._ifname = ifname
        self._state_dir = state_dir
        self._path = path
        self._clock = clock
        self._run_sync = run_sync
        self._tell = tell
        self._client_id = b""
        self.gateway_mac: bytes | None = None
        """Of the lease's gateway, once it is known (DNAv4)."""

    async def recall(self, mac: bytes, card: bytes = b"") -> Recalled:
        """Look at what is kept. Nothing on the disk is so bad that there would be no client. `card` is the MAC of which
        a DUID is made, if it is another one than that of the link."""
        kept = await disk.read(self._path, record.load, self._run_sync)
        held = duid_of(kept.client_id) if isinstance(kept, record.LeaseRecord) else None
        device = await self._run_sync(device_duid, self._state_dir, partial(duid_ll, card or mac), held)
        said = device.told(self._tell)
        own = client_id(self._spec, self._tell.resource.name, mac, device.duid)
        if isinstance(kept, Malformed):
            said.append(self._unreadable(kept.reason))
        remembered = None
        if isinstance(kept, record.LeaseRecord):
            own = own if self._spec.client_identifier is not None else _continued(kept.client_id, own)
            remembered, told = self._revive(kept, own)
            said += told
        self._client_id = own
        self.gateway_mac = remembered.gateway_mac if remembered is not None else None
        return Recalled(own, remembered, tuple(said))

    def _unreadable(self, reason: str) -> Event:
        words = f"{self._path} is not used: {reason}"
        return self._tell("lease.unreadable", "LeaseFileUnusable", words, "warning", cause=reason)

    def _revive(self, kept: record.LeaseRecord, own: bytes) -> tuple[Remembered | None, list[Event]]:
        """The lease on the present clock. One that was granted to another link, or to who we were then, is asked for,
        but not used before a server confirms it (C14)."""
        clock, address = self._clock, kept.lease.address
        remembered = record.revive(
            kept, boot_id=clock.boot_id, now=clock.now(), wall=clock.wall() / 1e9, build_date=BUILD_DATE
        )
        if isinstance(remembered, Malformed):
            words = f"the lease of {address} from before ran out while routerd was down"
            return None, [self._tell("lease.expired", "LeaseExpired", words, "warning", address=address.ip)]
        if kept.interface == self._ifname and kept.client_id == own:
            return remembered, []
        why = f"on {kept.interface}" if kept.interface != self._ifname else "under another client identifier"
        words = f"the lease of {address} was granted {why}: it is not used before it is confirmed"
        doubted = self._tell("lease.doubted", "LeaseDoubted", words, address=address.ip)
        return attrs.evolve(remembered, trusted=False, gateway_mac=None), [doubted]

    def keep(self, lease: Lease, state: str) -> FileAct:
        """What saves the lease as it is now, in the machine's state of this name."""
        clock = self._clock
        kept = record.LeaseRecord(
            resource=self._tell.resource.name,
            interface=self._ifname,
            state=state,
            lease=lease,
            client_id=self._client_id,
            boot_id=clock.boot_id,
            boottime=clock.now(),
            wall=clock.wall() / 1e9,
            gateway_mac=self.gateway_mac,
        )
        return partial(lease_file.save, self._path, record.dump(kept))

    def forget(self) -> FileAct:
        """What deletes the lease."""
        return partial(lease_file.remove, self._path)


def _continued(before: bytes, now: bytes) -> bytes:
    """The identity with which a lease was obtained is kept, as long as the chosen form of it is the same: neither a
    lost DUID nor a new card makes us somebody else (V4-6)."""
    return before if before[:1] == now[:1] else now
