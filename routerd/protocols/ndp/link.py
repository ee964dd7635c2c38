"""What the machines of Neighbor Discovery are told of their link."""

from __future__ import annotations

from ipaddress import IPv6Address

import attrs


@attrs.frozen
class LinkUp:
    """The link works. `source` is our link-local address on it, past duplicate address detection."""

    source: IPv6Address
    link_address: bytes


@attrs.frozen
class LinkDown:
    """The link does not."""
