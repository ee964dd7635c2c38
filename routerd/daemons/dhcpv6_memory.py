"""What a DHCPv6 client knows of earlier lives: who it was, and the leases that it had (C4, C5, V6-30, V6-40)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import attrs

from routerd.daemons import disk, lease_file
from routerd.daemons.dhcpv6_settings import ClientSpec
from routerd.daemons.disk import BUILD_DATE, FileAct
from routerd.daemons.identity import device_duid, new_duid
from routerd.daemons.teller import Teller
from routerd.events.types import Event
from routerd.events.writer import Runner
from routerd.host import Clock
from routerd.protocols.dhcpv6 import record
from routerd.protocols.dhcpv6.memory import Memory
from routerd.protocols.malformed import Malformed

FILE = "lease.json"


@attrs.frozen
class Recalled:
    """Who the client is, what it knew, and what there is to say about that. `moved`: it is in the file of another name,
    and is to be written under ours."""

    duid: bytes
    remembered: Memory | None
    said: tuple[Event, ...]
    moved: bool = False


class LeaseMemory:
    """The lease file of one client, and the identity with which its leases were obtained.

    It is in `directory`, under the client's name. That is the name of one of its resources: when that is another one
    than before, the file is still under the old name. An interface has one client, so whatever file there is of the
    same interface is this client's.
    """

    def __init__(
        self,
        spec: ClientSpec,
        state_dir: Path,
        directory: Path,
        clock: Clock,
        run_sync: Runner,
        tell: Teller,
        rng: random.Random,
    ) -> None:
        self._spec = spec
        self._state_dir = state_dir
        self._directory = directory
        self._path = directory / tell.resource.name / FILE
        self._clock = clock
        self._run_sync = run_sync
        self._tell = tell
        self._rng = rng
        self._strays: tuple[Path, ...] = ()
        self.duid = b""

    async def recall(self, mac: bytes) -> Recalled:
        """Look at what is kept. Nothing on the disk is so bad that there would be no client."""
        said: list[Event] = []
        own, found = self._declared_duid(), await disk.read(self._path, record.load, self._run_sync)
        if isinstance(found, Malformed):
            said.append(self._unreadable(self._path, found.reason))
        before = await self._under_other_names()
        kept = found if isinstance(found, record.ClientRecord) else before
        if own is None:
            form, made_at = self._spec.whole.duid_type, self._clock.wall() // 10**9
            make = partial(new_duid, form, mac, made_at, self._rng.randbytes)
            device = await self._run_sync(device_duid, self._state_dir, make, None if kept is None else kept.duid)
            said += device.told(self._tell)
            own = device.duid
        self.duid = own
        remembered = None
        if kept is not None:
            remembered, told = self._revive(kept, own)
            said += told
        return Recalled(own, remembered, tuple(said), bool(self._strays))

    async def _under_other_names(self) -> record.ClientRecord | None:
        """The newest of the files of our interface that have another name. They go when ours is written next: none of
        them must come back to life some day."""
        newest: record.ClientRecord | None = None
        self._strays = ()
        for path in await self._run_sync(_files, self._directory):
            found = None if path == self._path else await disk.read(path, record.load, self._run_sync)
            if isinstance(found, record.ClientRecord) and found.interface == self._spec.ifname:
                self._strays += (path,)
                newest = found if newest is None or found.wall > newest.wall else newest
        return newest

    def _declared_duid(self) -> bytes | None:
        text = self._spec.duid
        return None if text is None else bytes.fromhex(text.lower().removeprefix("0x").replace(":", ""))

    def _unreadable(self, path: Path, reason: str) -> Event:
        return self._tell(
            "lease.unreadable", "LeaseFileUnusable", f"{path} is not used: {reason}", "warning", cause=reason
        )

    def _revive(self, kept: record.ClientRecord, own: bytes) -> tuple[Memory, list[Event]]:
        """What was known, on the present clock. What was granted to another link, or to who we were then, is asked for,
        but not used before a server confirms it (C14)."""
        clock = self._clock
        memory = record.revive(
            kept, boot_id=clock.boot_id, now=clock.now(), wall=clock.wall() / 1e9, build_date=BUILD_DATE
        )
        if (kept.interface == self._spec.ifname and kept.duid == own) or not memory.bindings:
            return memory, []
        why = f"on {kept.interface}" if kept.interface != self._spec.ifname else "under another DUID"
        words = f"what is remembered was granted {why}: it is not used before it is confirmed"
        return attrs.evolve(memory, trusted=False), [self._tell("lease.doubted", "LeaseDoubted", words)]

    def keep(self, memory: Memory, state: str, last_error: str | None) -> FileAct:
        """What saves it as it is now, in the machine's state of this name."""
        clock = self._clock
        kept = record.ClientRecord(
            resource=self._tell.resource.name,
            interface=self._spec.ifname,
            state=state,
            memory=memory,
            duid=self.duid,
            boot_id=clock.boot_id,
            boottime=clock.now(),
            wall=clock.wall() / 1e9,
            last_error=last_error,
        )
        mode = lease_file.SECRET if kept.is_secret else lease_file.MODE
        return partial(_replace, self._path, record.dump(kept), mode, self._strays)

    def forget(self) -> FileAct:
        """What deletes it."""
        return partial(_remove, (self._path, *self._strays))


def _files(directory: Path) -> list[Path]:
    """Every lease file there is."""
    return sorted(directory.glob(f"*/{FILE}"))


def _replace(path: Path, data: bytes, mode: int, strays: Sequence[Path]) -> None:
    lease_file.save(path, data, mode)
    _remove(strays)


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        lease_file.remove(path)
