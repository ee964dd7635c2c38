"""What a simulated DHCPv4 service knows of its clients' addresses. Servers that are one service share it."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

import attrs


@attrs.frozen
class Binding:
    """An address that is a client's until a time (inf: for ever), or was: who comes back may have it again."""

    address: IPv4Address
    until: float
    released: bool = False

    def active(self, now: float) -> bool:
        """Whether nobody else may have the address."""
        return not self.released and now < self.until


class Leases:
    """Bindings by client (RFC 2131 §4.2), and the addresses that somebody declined."""

    def __init__(self) -> None:
        self._bindings: dict[bytes, Binding] = {}
        self._declined: dict[IPv4Address, float] = {}

    def of(self, client: bytes) -> Binding | None:
        """The client's binding, active or not; None: nobody knows it."""
        return self._bindings.get(client)

    def active(self, now: float) -> list[Binding]:
        """All leases that somebody has now."""
        return [binding for binding in self._bindings.values() if binding.active(now)]

    def grant(self, client: bytes, address: IPv4Address, until: float) -> None:
        """The address is the client's until then."""
        self._bindings[client] = Binding(address, until)

    def release(self, client: bytes) -> None:
        """The client has given its address back; that it had it is remembered (RFC 2131 §4.3.4)."""
        self._bindings[client] = attrs.evolve(self._bindings[client], released=True)

    def decline(self, client: bytes, address: IPv4Address, until: float) -> None:
        """The client found the address in use: it is nobody's until then (RFC 2131 §4.3.3)."""
        self._declined[address] = until
        self._bindings.pop(client, None)

    def forget(self) -> None:
        """The database is lost."""
        self._bindings.clear()
        self._declined.clear()

    def available(self, address: IPv4Address, client: bytes, now: float) -> bool:
        """Whether the client may have the address, as far as others and their declines are concerned."""
        if now < self._declined.get(address, now):
            return False
        own = self._bindings.get(client)
        if own is not None and own.address == address and own.active(now):
            return True  # nobody else can have it then
        others = (held for owner, held in self._bindings.items() if owner != client and held.address == address)
        return not any(held.active(now) for held in others)

    def unused_first(self, pool: Iterator[IPv4Address], now: float) -> Iterator[IPv4Address]:
        """Addresses of the pool that nobody ever had, and then those that have been idle for the longest."""
        used = {binding.address for binding in self._bindings.values()}
        yield from (address for address in pool if address not in used)
        idle = (binding for binding in self._bindings.values() if not binding.active(now))
        yield from (binding.address for binding in sorted(idle, key=lambda binding: binding.until))
