"""Which kinds there are: the ones this version has, with their names, short names, and what each provides to others
(contract §4.2, §5); and the names of those that the API knows but this version does not have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs

from routerd.resources.derived import DerivedEvent
from routerd.resources.management import ManagementAccess
from routerd.resources.net import DHCPv4Client, Interface, IPv4Route, IPv4StaticAddress
from routerd.resources.net6 import (
    DHCPv6Address,
    DHCPv6Information,
    DHCPv6PrefixDelegation,
    IPv6DelegatedAddress,
    IPv6RAAddress,
    IPv6RouterAdvertisement,
    IPv6StaticRoute,
)
from routerd.resources.observability import Telemetry
from routerd.resources.rules import EventRule
from routerd.resources.system import LogRetention


@attrs.frozen
class Kind:
    """A kind of resource. `provides` are the fields of its status that a `*From` may name; `later` are fields of its
    spec that the API knows and this version does not have."""

    spec: type[Any]
    aliases: tuple[str, ...]
    provides: tuple[str, ...]
    later: tuple[str, ...]
    group: str = "net"
    phases: tuple[str, ...] = ()
    """The phases in which it can be, as its `phase` tells them."""

    @property
    def name(self) -> str:
        """`DHCPv4Client`: a kind is called as its class."""
        return self.spec.__name__

    @property
    def api_version(self) -> str:
        """`net.routerd.net/v1alpha1`."""
        return f"{self.group}.routerd.net/v1alpha1"

    @property
    def family(self) -> Literal[4, 6] | None:
        """The version of IP that it is about, as its name says; None: both, or none."""
        return 4 if "v4" in self.name else 6 if "v6" in self.name else None


_KINDS = (
    Kind(
        Interface,
        ("if", "iface", "interfaces"),
        ("phase", "ifname", "addresses", "ipv4Addresses", "ipv6Addresses", "primaryIPv4", "primaryIPv6", "macAddress"),
        (),
        phases=("Up", "Down", "Applied", "Pending", "Error"),
    ),
    Kind(
        DHCPv4Client,
        ("dhcpv4",),
        (
            *(
                "phase",
                "interface",
                "device",
                "currentAddress",
                "gateway",
                "defaultGateway",
                "dnsServers",
                "ntpServers",
            ),
            *("domain", "leaseTime", "renewAt", "rebindAt", "expiresAt"),
        ),
        (),
        phases=("Pending", "Idle", "Acquiring", "Bound", "Refreshing", "Rebinding", "Released", "Error"),
    ),
    Kind(
        IPv4StaticAddress,
        ("ipv4static",),
        ("phase", "interface", "ifname", "address", "dryRun"),
        (),
        phases=("Applied", "Pending", "Error"),
    ),
    Kind(
        IPv4Route,
        (),
        ("phase", "type", "destination", "device", "gateway", "preferredSource", "metric", "dryRun"),
        (),
        phases=("Installed", "Pending", "Error"),
    ),
    Kind(
        DHCPv6PrefixDelegation,
        ("pd", "dhcpv6pd", "prefixdelegation"),
        (
            *("phase", "interface", "device", "currentPrefix", "dnsServers", "sntpServers", "domainSearch", "aftrName"),
            *("renewAt", "rebindAt", "preferredUntil", "validUntil"),
        ),
        (),
        phases=("Pending", "Idle", "Acquiring", "Bound", "Refreshing", "Rebinding", "Released", "Error"),
    ),
    Kind(
        DHCPv6Address,
        (),
        ("phase", "interface", "device", "currentAddress", "renewAt", "rebindAt", "preferredUntil", "validUntil"),
        (),
        phases=("Pending", "Idle", "Acquiring", "Bound", "Refreshing", "Rebinding", "Released", "Error"),
    ),
    Kind(
        DHCPv6Information,
        (),
        ("phase", "source", "aftrName", "dnsServers", "sntpServers", "domainSearch"),
        (),
        phases=("Pending", "Idle", "Acquiring", "Bound", "Refreshing", "Rebinding", "Released", "Error"),
    ),
    Kind(
        IPv6DelegatedAddress,
        (),
        ("phase", "address", "prefix", "interface", "ifname", "prefixSource", "dryRun"),
        (),
        phases=("Applied", "Pending", "Error"),
    ),
    Kind(
        IPv6RAAddress,
        (),
        ("phase", "interface", "device", "addresses", "defaultGateway", "mtu", "dnsServers", "domainSearch"),
        (),
        phases=("Bound", "Acquiring", "Pending", "Error"),
    ),
    Kind(
        IPv6RouterAdvertisement,
        ("ra", "routeradvertisement"),
        ("phase", "interface", "prefix", "rdnss", "dryRun"),
        ("configPath", "pidFile"),
        phases=("Applied", "Pending", "Error"),
    ),
    Kind(
        IPv6StaticRoute,
        ("ipv6route",),
        ("phase", "type", "destination", "device", "gateway", "preferredSource", "metric", "dryRun"),
        (),
        phases=("Installed", "Pending", "Error"),
    ),
    Kind(
        ManagementAccess,
        ("mgmtaccess",),
        ("phase", "interfaces"),
        (),
        phases=("Up", "Degraded", "Down"),
    ),
    Kind(
        LogRetention,
        (),
        ("phase", "targets", "updatedAt"),
        ("sinks",),
        "system",
        phases=("Applied",),
    ),
    Kind(
        Telemetry,
        (),
        ("phase", "endpoint"),
        (),
        "observability",
        phases=("Pending", "Healthy", "Degraded", "Error"),
    ),
    Kind(
        EventRule,
        ("rule", "rules"),
        ("phase", "topic", "fireCount", "lastFiredAt", "warningCount"),
        (),
        phases=("Active", "Error"),
    ),
    Kind(
        DerivedEvent,
        ("derived",),
        ("phase", "topic", "asserted", "pendingTransition", "lastAssertedAt", "lastRetractedAt"),
        (),
        phases=("Asserted", "Retracted", "Pending", "Inactive", "Error"),
    ),
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _KINDS}
"""The kinds of this version by name."""

_NOT_YET = (
    "AddressMobilityDomain BGPDynamicPeer BGPPeer BGPRouter BFD Bridge ClientPolicy CloudProviderProfile "
    "ClusterNetworkRoute ControlAPI DHCPv4Relay DHCPv4Reservation DHCPv4Server DHCPv4ServerLeaseSync "
    "DHCPv6PrefixDelegationLeaseSync DHCPv6Server "
    "DHCPv6ServerLeaseSync DNSForwarder DNSResolver DNSUpstream DNSZone DSLiteTunnel "
    "DynamicConfigSource DynamicOverridePolicy EgressRoutePolicy EventGroup EventPeer "
    "EventSubscription FederationSLO FirewallEventLog FirewallFlowPinhole FirewallPolicy FirewallRule "
    "FirewallZone HealthCheck Hostname HybridRoute IPAddressSet IPsecConnection IPv4StaticRoute "
    "IngressService KernelModule "
    "LocalServiceRedirect LogSink MobilityMemberSet MobilityPool NAT44Rule "
    "NAT44SessionSync NTPClient NTPServer NetworkAdoption ObservabilityPipeline OverlayPeer PPPoESession "
    "Package Plugin PortForward ProviderActionPolicy RemoteAddressClaim RogueRADetector RouterdCluster "
    "SAMEnrollmentClaim SAMEnrollmentClient SAMEnrollmentPolicy SAMNodeSet SAMPeerGroup SAMRRSet "
    "SAMSubnetPolicy SAMTransportProfile SelfAddressPolicy ServiceUnit Sysctl SysctlProfile TailscaleNode "
    "TrafficFlowLog TunnelInterface VRF VXLANSegment VXLANTunnel VirtualAddress WebConsole "
    "WireGuardInterface WireGuardPeer"
)
UNSUPPORTED: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(_NOT_YET.split(), ()),
    "BGPRouter": ("bgp",),
    "BGPPeer": ("bgppeers",),
    "Bridge": ("br", "bridges"),
    "ClusterNetworkRoute": ("k8sroutes",),
    "DHCPv4Relay": ("dhcprelay",),
    "DNSResolver": ("dns", "resolver"),
    "DSLiteTunnel": ("dslite",),
    "EgressRoutePolicy": ("route", "ipv4policyrouteset"),
    "FirewallEventLog": ("firewalllog",),
    "FirewallFlowPinhole": ("flowpinhole",),
    "FirewallPolicy": ("firewall",),
    "FirewallRule": ("fw",),
    "FirewallZone": ("zone",),
    "HealthCheck": ("hc",),
    "Hostname": ("host",),
    "IPAddressSet": ("addressset", "ipset"),
    "IPsecConnection": ("ipsec",),
    "IngressService": ("ingress",),
    "LocalServiceRedirect": ("serviceredirect",),
    "NAT44Rule": ("nat", "snat", "nat44"),
    "ObservabilityPipeline": ("obspipeline",),
    "PPPoESession": ("pppoe", "pppoeclient"),
    "Package": ("packages",),
    "PortForward": ("portforwards", "portnat"),
    "RouterdCluster": ("cluster",),
    "SysctlProfile": ("sysctlprofiles",),
    "TailscaleNode": ("ts", "tailscale"),
    "VXLANSegment": ("vxlan", "vxlans"),
    "WireGuardInterface": ("wg", "wireguard"),
    "WireGuardPeer": ("wgpeer",),
}
"""Kinds that the API knows and this version does not have, with their short names."""


def kind_named(word: str) -> str | None:
    """The kind that an operator means: its name or a short name, in any case, with or without `-` and `_`."""
    return _BY_WORD.get(_plain(word))


def _plain(word: str) -> str:
    return word.lower().replace("-", "").replace("_", "")


_BY_WORD = {_plain(name): name for name in (*UNSUPPORTED, *KINDS)} | {
    alias: name
    for name, aliases in (*UNSUPPORTED.items(), *((kind.name, kind.aliases) for kind in _KINDS))
    for alias in aliases
}
