"""The addresses that a client of router advertisements makes: one of each prefix (RFC 4862 §5.5.3), of RFC 7217, with a
secret of this router that is made once. After a duplicate there is another one, and after too many none."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Mapping
from ipaddress import IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path

import attrs

from routerd.daemons import lease_file
from routerd.daemons.ndp_link import Facts
from routerd.protocols.ndp.identifier import RETRIES, SECRET_LENGTH, SLAAC_LENGTH, stable_address
from routerd.protocols.ndp.learned import LearnedPrefix

_ONE_AT_A_TIME = threading.Lock()
"""Two clients that start side by side, each in a thread, must not each make a secret."""


@attrs.frozen
class Conflict:
    """Somebody else on the link has `address`. `last`: no other one is tried."""

    prefix: IPv6Network
    address: IPv6Address
    last: bool


class Addresses:
    """Those of one link. `made`: by prefix, the address that shall be there."""

    def __init__(self, ifname: str, secret: bytes) -> None:
        self.made: Mapping[IPv6Network, IPv6Interface] = {}
        self._ifname = ifname
        self._secret = secret
        self._conflicts: dict[IPv6Network, int] = {}

    def adopt(self, facts: Facts, now: float) -> Iterator[tuple[IPv6Network, LearnedPrefix]]:
        """Prefixes of addresses that an earlier life has put there, and that are still valid; as after as many
        conflicts as that had met (RFC 7217 §6)."""
        for one in facts.addresses:
            prefix = IPv6Network((int(one.address.ip), SLAAC_LENGTH), strict=False)
            conflicts = self._conflicts_before(prefix, one.address.ip) if one.ours else None
            if conflicts is not None and not prefix.is_link_local:
                self._conflicts[prefix] = conflicts
                on_link = one.valid_until if one.address.network.prefixlen == SLAAC_LENGTH else now
                source = facts.source or one.address.ip
                assert source.version == 6
                yield prefix, LearnedPrefix(prefix, source, on_link, one.valid_until, one.preferred_until)

    def _conflicts_before(self, prefix: IPv6Network, ip: object) -> int | None:
        tries = range(RETRIES + 1)
        return next((one for one in tries if stable_address(prefix, self._ifname, self._secret, one).ip == ip), None)

    def make(self, prefixes: Mapping[IPv6Network, LearnedPrefix], facts: Facts, now: float) -> list[Conflict]:
        """One of each prefix that lasts. With which length it was made it stays."""
        for prefix in [one for one in self.given_up if not any(ip in one for ip in facts.contested)]:
            del self._conflicts[prefix]  # the link was down, and who was there need not be there now
        conflicts = [self._conflict(prefix, one) for prefix, one in self.made.items() if one.ip in facts.contested]
        made: dict[IPv6Network, IPv6Interface] = {}
        for prefix, one in prefixes.items():
            tried = self._conflicts.get(prefix, 0)
            if prefix.prefixlen == SLAAC_LENGTH and tried <= RETRIES and _lasts(one.valid_until, now):
                address = stable_address(prefix, self._ifname, self._secret, tried)
                fresh = address if _lasts(one.on_link_until, now) else IPv6Interface((int(address.ip), 128))
                before = self.made.get(prefix)
                made[prefix] = before if before is not None and before.ip == fresh.ip else fresh
        self.made = made
        return conflicts

    def _conflict(self, prefix: IPv6Network, address: IPv6Interface) -> Conflict:
        self._conflicts[prefix] = self._conflicts.get(prefix, 0) + 1
        return Conflict(prefix, address.ip, last=self._conflicts[prefix] > RETRIES)

    @property
    def given_up(self) -> list[IPv6Network]:
        """Prefixes of which every address was somebody else's."""
        return [prefix for prefix, conflicts in self._conflicts.items() if conflicts > RETRIES]


def _lasts(until: float | None, now: float) -> bool:
    return until is None or until > now


def secret_of(path: Path) -> tuple[bytes, str]:
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
