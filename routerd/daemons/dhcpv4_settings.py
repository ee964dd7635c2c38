"""From the declared DHCPv4Client to what its daemon is started with: settings of the machine, marking of packets."""

from __future__ import annotations

import attrs

from routerd.endpoints import Marking
from routerd.protocols.dhcpv4.settings import Settings
from routerd.resources.net import DHCPv4Client

KIND, DIRECTORY = "routerd-dhcpv4-client", "dhcpv4-client"
"""Whose word its events are, and the folder of its state and of its sockets."""


def _but_for_when(spec: DHCPv4Client) -> DHCPv4Client:
    """Whether it runs is decided elsewhere: a client that runs does not care why."""
    return attrs.evolve(spec, when=None)


@attrs.frozen
class ClientSpec:
    """What a client is started with; a client whose spec changes is ended and started anew."""

    resource: DHCPv4Client = attrs.field(eq=_but_for_when)
    ifname: str


def settings_of(spec: DHCPv4Client, client_id: bytes) -> Settings:
    """What the operator declared, as the machine takes it."""
    return Settings(
        client_id=client_id,
        hostname=spec.hostname,
        vendor_class=spec.class_id.encode() if spec.class_id else None,
        requested=spec.requested_address,
        request=tuple(spec.request_options),
        options={option.code: option.value for option in spec.send_options},
        offer_window=spec.offer_window,
        rapid_commit=spec.rapid_commit,
        conflict_detection=spec.conflict_detection,
        defend="release" if spec.defend == "release" else "defend",
        v6_only_preferred=spec.ipv6_only_preferred,
        forcerenew=spec.force_renew,
        min_mtu=spec.minimum_mtu,
    )


def marking_of(spec: DHCPv4Client) -> Marking:
    """DSCP and VLAN priority of every control packet (C12)."""
    return Marking(dscp=spec.dscp, pcp=spec.vlan_priority)
