"""What a client knows that must outlive it: its bindings, what the LAN must still be told, and how it is paced."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from routerd.protocols.dhcpv6.association import Asset, Association
from routerd.protocols.dhcpv6.auth import Key
from routerd.protocols.dhcpv6.binding import Binding, Lease
from routerd.protocols.dhcpv6.information import Information

DEFAULT_MAX_RT = 3600.0
"""SOL_MAX_RT and INF_MAX_RT (RFC 9915 §7.6)."""


@attrs.frozen
class Former:
    """A prefix that is in no binding any more. `in_use`: replaced without notice, deprecated, and still valid until the
    end of `lease`; otherwise lost, and the LAN alone must go on hearing so until then (V6-22, V6-41)."""

    association: Association
    lease: Lease
    in_use: bool


@attrs.frozen
class Memory:
    """All of it, on the machine's clock. `trusted` False: its age is unknown (no RTC; C4): then it is what to ask for
    again, and not in use before a server confirms it.

    `last` is what was held last in each association, lost or not: what to ask for (V6-24). `key` is by what a
    Reconfigure is known, `replay` the last counter of one (V6-33).
    """

    bindings: tuple[Binding, ...] = ()
    former: tuple[Former, ...] = ()
    last: Mapping[Association, tuple[Asset, ...]] = attrs.field(factory=dict)
    information: Information | None = None
    sol_max_rt: float = DEFAULT_MAX_RT
    inf_max_rt: float = DEFAULT_MAX_RT
    replay: int = -1
    key: Key | None = None
    trusted: bool = True
