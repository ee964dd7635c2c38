"""What a simulated DHCPv6 service knows of its clients' leases. Servers that are one service share it."""

from __future__ import annotations

import attrs

from routerd.protocols.dhcpv6.association import Asset, Association

Client = tuple[bytes, Association]
"""A binding is a DUID's, and of one of its associations (RFC 9915 §4.2)."""


@attrs.frozen
class Held:
    """An address or prefix that is a client's until a time (inf: for ever), or was."""

    asset: Asset
    until: float


class Leases:
    """Bindings by client, and the addresses that somebody declined."""

    def __init__(self) -> None:
        self._held: dict[Client, Held] = {}
        self._declined: set[Asset] = set()

    def of(self, client: Client, now: float) -> Held | None:
        """What the client has now; None: nothing, or nobody knows it."""
        held = self._held.get(client)
        return held if held is not None and now < held.until else None

    def last(self, client: Client) -> Asset | None:
        """What it had, even if that has ended."""
        held = self._held.get(client)
        return held.asset if held is not None else None

    def grant(self, client: Client, asset: Asset, until: float) -> None:
        """The asset is the client's until then."""
        self._held[client] = Held(asset, until)

    def release(self, client: Client) -> None:
        """The client has given it back."""
        self._held.pop(client, None)

    def decline(self, client: Client, asset: Asset) -> None:
        """The client found the address in use: it is nobody's any more."""
        self._declined.add(asset)
        self._held.pop(client, None)

    def forget(self) -> None:
        """The database is lost."""
        self._held.clear()

    def free_for(self, client: Client, asset: Asset, now: float) -> bool:
        """Whether this client may have it."""
        others = (held for owner, held in self._held.items() if owner != client and held.asset == asset)
        return asset not in self._declined and not any(now < held.until for held in others)
