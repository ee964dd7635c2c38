"""Who this router says it is: one DUID for the device, one IAID for each client name; neither changes by accident.

The DUID is made once, of the first client's MAC (DUID-LL) if nobody wants another form, and kept in `<state>/duid`. A
file that is lost, spoilt or another one than before makes nobody else of us, as long as the client's lease file says
as whom its lease was obtained; whatever is wrong with it is told (V6-30). IAIDs follow from the configured name, not
from the interface's index (RFC 4361 §6.1, RFC 9915 §11, RFC 7844 does not apply to routers).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from uuid import UUID

import attrs

from routerd.daemons import lease_file
from routerd.events.types import Event, Severity
from routerd.host import ETHERNET_ADDRESS
from routerd.protocols.dhcpv4 import identity
from routerd.protocols.dhcpv6.duid import Form, duid_en, duid_ll, duid_llt, duid_uuid, iaid, is_duid
from routerd.resources.net import DHCPv4Client

ENTERPRISE = 32473
"""Of a DUID-EN: the number that is nobody's (RFC 5612), as routerd has none; its identifier is random."""

MACHINE_IDS = (Path("/etc/machine-id"), Path("/etc/hostid"))
"""Where a system says which machine it is: machine-id(5) of Linux, a UUID in FreeBSD's hostid."""


class Tell(Protocol):
    """A client's teller of events."""

    def __call__(self, topic: str, reason: str, message: str, severity: Severity = "info") -> Event: ...


@attrs.frozen
class Device:
    """Who the router is. `trouble`: what is wrong with the file that should say so, if anything is. `known`: the leases
    say it all the same."""

    duid: bytes
    trouble: str | None = None
    known: bool = False

    def told(self, tell: Tell) -> list[Event]:
        """What there is to say of it."""
        if self.trouble is None:
            return []
        if self.known:
            return [tell("identity.kept", "DuidKept", f"{self.trouble}: we stay who we were", "warning")]
        return [tell("identity.changed", "DuidUnusable", self.trouble, "warning")]


def client_id(spec: DHCPv4Client, name: str, mac: bytes, duid: bytes) -> bytes:
    """Option 61 for this client: what the operator wrote, else the chosen form (V4-6)."""
    if spec.client_identifier is not None:
        return spec.client_identifier
    if spec.client_id_type == "mac":
        return identity.from_mac(mac)
    return identity.from_duid(iaid(name), duid)


def machine_duid() -> bytes | None:
    """A DUID-UUID of the machine's id (RFC 9915 §11.5). None: the system has none.

    The id itself is not for others to see, says machine-id(5): what is told is a digest of it.
    """
    for path in MACHINE_IDS:
        try:
            machine = UUID(path.read_text().strip())
        except (OSError, ValueError):
            continue
        return duid_uuid(UUID(bytes=hashlib.sha256(b"routerd DUID" + machine.bytes).digest()[:16], version=4))
    return None


def new_duid(form: Form, mac: bytes, made_at: int, octets: Callable[[int], bytes]) -> bytes:
    """A DUID of this form, made `made_at` (seconds since 1970) for a client on an interface with this MAC. Without an
    Ethernet address it is that of the machine, whatever the form. `octets` gives random ones."""
    match form if form == "en" or len(mac) == ETHERNET_ADDRESS else "uuid":
        case "llt":
            return duid_llt(mac, made_at)
        case "en":
            return duid_en(ENTERPRISE, octets(8))
        case "uuid":
            return machine_duid() or duid_uuid(UUID(bytes=octets(16), version=4))
    return duid_ll(mac)


_ONE_AT_A_TIME = threading.Lock()
"""Two clients that start side by side, each in a thread, must not each make a DUID."""


def device_duid(state_dir: Path, make: Callable[[], bytes], held: bytes | None = None) -> Device:
    """Who the device is. `held`: as whom the client's leases were obtained, if it has any: that counts most. `make`
    makes a DUID if there is none yet. Blocks on the disk."""
    with _ONE_AT_A_TIME:
        return _kept_or_made(state_dir / "duid", make, held)


def _kept_or_made(path: Path, make: Callable[[], bytes], held: bytes | None) -> Device:
    kept = trouble = None
    try:
        kept = _read(path)
    except ValueError:
        trouble = f"{path} holds no DUID"
    except OSError as error:  # it may be readable again some day: whatever it holds, it is not written over
        return Device(held or make(), f"{path} cannot be read: {error.strerror}", held is not None)
    if kept is not None:
        other = held not in (None, kept)
        return Device(held or kept, f"{path} has another DUID, {kept.hex(':')}" if other else None, other)
    if held is not None:
        trouble = trouble or f"{path} is gone"
    duid = held or make()
    try:
        lease_file.save(path, duid.hex(":").encode() + b"\n")
    except OSError as error:
        trouble = f"{path} cannot be written: {error.strerror}"
    return Device(duid, trouble, held is not None)


def _read(path: Path) -> bytes | None:
    """The DUID in the file; None: there is no file. Raises ValueError for a file that holds none, and OSError."""
    octets = lease_file.read(path)
    if octets is None:
        return None
    duid = bytes.fromhex(octets.decode("ascii").strip().replace(":", ""))
    if not is_duid(duid):
        raise ValueError("no DUID")
    return duid


def duid_of(client_id: bytes) -> bytes | None:
    """The DUID in a client identifier; None: it is not made of one (RFC 4361 §6.1)."""
    duid = client_id[5:]
    return duid if client_id[:1] == b"\xff" and is_duid(duid) else None
