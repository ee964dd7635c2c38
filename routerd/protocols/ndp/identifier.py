"""The second half of an address that a host makes by itself: stable on one link, another one on each (RFC 7217).

Not made of the Ethernet address (RFC 8064): a new card keeps the address, and who sees it does not learn the card.
"""

from __future__ import annotations

import hashlib
from ipaddress import IPv6Interface, IPv6Network

SLAAC_LENGTH = 64
"""Of a prefix of which an address can be made (RFC 2464 §4)."""
RETRIES = 3
"""Further identifiers that are tried when somebody has the address (RFC 7217 §6: IDGEN_RETRIES)."""
SECRET_LENGTH = 16

_RESERVED = range(0xFDFFFFFFFFFFFF80, 0xFDFFFFFFFFFFFFFF + 1)
"""Of anycast within a subnet (RFC 2526); zero is the routers' (RFC 4291 §2.6.1)."""


def stable_address(prefix: IPv6Network, ifname: str, secret: bytes, conflicts: int = 0) -> IPv6Interface:
    """The address on a link in `prefix`, after so many `conflicts` there. Raises ValueError for another length of the
    prefix than SLAAC's."""
    if prefix.prefixlen != SLAAC_LENGTH:
        raise ValueError(f"no identifier fits into {prefix}")
    base = int(prefix.network_address)
    return IPv6Interface((base | _identifier(prefix, ifname, secret, conflicts), SLAAC_LENGTH))


def _identifier(prefix: IPv6Network, ifname: str, secret: bytes, conflicts: int) -> int:
    """F() of RFC 7217 §5, without a Network_ID: a cable has none."""
    attempt = 0
    while True:
        seed = (prefix.network_address.packed[:8], ifname.encode(), bytes([conflicts, attempt]))
        digest = hashlib.blake2b(b"\0".join(seed), key=secret, digest_size=8).digest()
        identifier = int.from_bytes(digest)
        if identifier and identifier not in _RESERVED:
            return identifier
        attempt += 1
