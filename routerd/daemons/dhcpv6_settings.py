"""From the declared DHCPv6 resources of one interface to what their client is started with: the parts of it, settings
of the machine, marking of packets.

What is the client's as a whole (rapid commit, markings, …) is said by the first DHCPv6PrefixDelegation.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from ipaddress import IPv6Network

import attrs

from routerd.endpoints import Marking
from routerd.events.types import Ref
from routerd.protocols.dhcpv6.association import Association, Kind
from routerd.protocols.dhcpv6.duid import iaid
from routerd.protocols.dhcpv6.settings import Settings, Wanted
from routerd.resources.net6 import DHCPv6Address, DHCPv6Information, DHCPv6PrefixDelegation

Spec = DHCPv6PrefixDelegation | DHCPv6Address | DHCPv6Information

KIND, DIRECTORY = "routerd-dhcpv6-client", "dhcpv6-client"
"""Whose word its events are, and the folder of its state and of its sockets."""

NTT_LENGTH = 60
"""What the `ntt-…` profiles ask for."""

UNDECLARED = DHCPv6PrefixDelegation("undeclared")
"""What a client without a prefix does as a whole: the defaults."""


def _on_the_wire(spec: Spec) -> Spec:
    """Whether it runs is decided elsewhere, and some fields are only recorded: a client that runs does not care."""
    if isinstance(spec, DHCPv6Information):
        return attrs.evolve(spec, when=None, depends_on=())
    return attrs.evolve(spec, when=None, required=False, client=None)


@attrs.frozen
class Part:
    """One resource of a client."""

    ref: Ref
    spec: Spec = attrs.field(eq=_on_the_wire)

    @property
    def association(self) -> Association | None:
        """What it asks for; None: other configuration alone."""
        match self.spec:
            case DHCPv6PrefixDelegation(iaid=number):
                return Association(Kind.PD, iaid(self.ref.name) if number is None else number)
            case DHCPv6Address(iaid=number):
                return Association(Kind.NA, iaid(self.ref.name) if number is None else number)
        return None

    @property
    def length(self) -> int | None:
        """Of the prefix that it would like; None: whatever comes."""
        if not isinstance(self.spec, DHCPv6PrefixDelegation):
            return None
        return self.spec.prefix_length or (None if self.spec.profile == "default" else NTT_LENGTH)


@attrs.frozen
class ClientSpec:
    """What a client is started with; a client whose spec changes is ended and started anew, and goes on with its
    leases. `interface` is the resource's name, `ifname` the device's."""

    interface: str
    ifname: str
    parts: tuple[Part, ...]

    @property
    def whole(self) -> DHCPv6PrefixDelegation:
        """What is the client's as a whole."""
        return next(self._delegations, UNDECLARED)

    @property
    def duid(self) -> str | None:
        """The DUID that the operator wants, in hexadecimal: it may stand at any of the prefixes."""
        return next((spec.client_duid for spec in self._delegations if spec.client_duid is not None), None)

    def given_back(self, kept: Container[Association | None] = ()) -> frozenset[Association]:
        """What servers are told of when it is not wanted any more; `kept`: what still is. A prefix says so for itself,
        an address has it from the first prefix."""
        return frozenset(
            part.association
            for part in self.parts
            if part.association is not None and part.association not in kept and self._releases(part)
        )

    def _releases(self, part: Part) -> bool:
        return (part.spec if isinstance(part.spec, DHCPv6PrefixDelegation) else self.whole).release_on_stop

    @property
    def _delegations(self) -> Iterator[DHCPv6PrefixDelegation]:
        return (part.spec for part in self.parts if isinstance(part.spec, DHCPv6PrefixDelegation))


def settings_of(spec: ClientSpec, duid: bytes) -> Settings:
    """What the operator declared, as the machine takes it."""
    whole = spec.whole
    return Settings(
        duid=duid,
        wanted=tuple(
            Wanted(part.association, None if part.length is None else IPv6Network(("::", part.length)))
            for part in spec.parts
            if part.association is not None
        ),
        request=tuple(sorted({code for part in spec.parts for code in _codes(part.spec)})),
        rapid_commit=whole.rapid_commit,
        reconfigure=whole.reconfigure_accept,
    )


def _codes(spec: Spec) -> tuple[int, ...]:
    match spec:
        case DHCPv6PrefixDelegation(request_options=codes) | DHCPv6Information(request=codes):
            return codes
    return ()


def marking_of(spec: ClientSpec) -> Marking:
    """DSCP and VLAN priority of every control packet (C12)."""
    return Marking(dscp=spec.whole.dscp, pcp=spec.whole.vlan_priority)
