"""Wire classes of `get?subject=prefixes`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import attrs

from routerd.api.wire import CONTROL, ControlVersion, Metadata


@attrs.frozen(kw_only=True)
class Subnet:
    """A part of the prefix on a link: the resource that put it there, `Kind/name`, and how far it has come."""

    resource: str
    phase: str
    reason: str | None = None
    interface: str | None = None
    ifname: str | None = None
    prefix: str | None = None
    address: str | None = None


@attrs.frozen(kw_only=True)
class FormerPrefix:
    """A prefix that is ours no more, and until when hosts may still use it. `replaced_by`: the one in its place."""

    prefix: str
    expires_at: str | None = None
    replaced_by: str | None = None


@attrs.frozen(kw_only=True)
class DelegatedPrefix:
    """What a DHCPv6PrefixDelegation has. Lengths are those that were asked for, offered and bound; without an instant
    there is no end."""

    name: str
    phase: str
    reason: str | None = None
    interface: str | None = None
    device: str | None = None
    prefix: str | None = None
    excluded_prefix: str | None = None
    requested_length: int | None = None
    offered_length: int | None = None
    bound_length: int | None = None
    renew_at: str | None = None
    rebind_at: str | None = None
    preferred_until: str | None = None
    valid_until: str | None = None
    server_duid: str | None = attrs.field(default=None, metadata={"name": "serverDUID"})
    client_duid: str | None = attrs.field(default=None, metadata={"name": "clientDUID"})
    iaid: int | None = None
    subnets: Sequence[Subnet] = ()
    previous: Sequence[FormerPrefix] = ()


@attrs.frozen(kw_only=True)
class PrefixesAnswer:
    """All of them, by name."""

    api_version: ControlVersion = CONTROL
    kind: Literal["Prefixes"] = "Prefixes"
    metadata: Metadata = attrs.field(default=Metadata("prefixes"))
    items: Sequence[DelegatedPrefix]
