"""Who this router says it is: one DUID for the device, one IAID for each client name; neither changes by accident.

The DUID is made once, of the first client's MAC (DUID-LL) if nobody wants another form, and kept in `<state>/duid`;
IAIDs follow from the configured name, not from the interface's index (RFC 4361 §6.1, RFC 9915 §11, RFC 7844 does not
apply to routers).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from routerd.daemons import lease_file
from routerd.protocols.dhcpv4 import identity
from routerd.protocols.dhcpv6.duid import duid_ll, iaid, is_duid
from routerd.resources.net import DHCPv4Client


def client_id(spec: DHCPv4Client, name: str, mac: bytes, duid: bytes) -> bytes:
    """Option 61 for this client: what the operator wrote, else the chosen form (V4-6)."""
    if spec.client_identifier is not None:
        return spec.client_identifier
    if spec.client_id_type == "mac":
        return identity.from_mac(mac)
    return identity.from_duid(iaid(name), duid)


_ONE_AT_A_TIME = threading.Lock()
"""Two clients that start side by side, each in a thread, must not each make a DUID."""


def device_duid(state_dir: Path, mac: bytes, make: Callable[[], bytes] | None = None) -> tuple[bytes, str | None]:
    """The device's DUID, and a sentence when one that was kept could not be used. `make` makes one of another form, if
    there is none yet. Blocks on the disk."""
    with _ONE_AT_A_TIME:
        return _kept_or_made(state_dir / "duid", make or partial(duid_ll, mac))


def _kept_or_made(path: Path, make: Callable[[], bytes]) -> tuple[bytes, str | None]:
    trouble = None
    try:
        kept = lease_file.read(path)
        if kept is not None:
            duid = bytes.fromhex(kept.decode("ascii").strip().replace(":", ""))
            if is_duid(duid):
                return duid, None
            trouble = f"{path} holds no DUID"
    except ValueError:
        trouble = f"{path} holds no DUID"
    except OSError as error:
        trouble = f"{path} cannot be read: {error.strerror}"
    duid = make()
    try:
        lease_file.save(path, duid.hex(":").encode() + b"\n")
    except OSError as error:
        trouble = f"{path} cannot be written: {error.strerror}"
    return duid, trouble
