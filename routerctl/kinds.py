"""Kinds as people type them: any case, with or without dashes, or by a short name. routerd decides what exists."""

from __future__ import annotations

import os

from routerctl.errors import Exit, Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_SHORT = {
    "BGPPeer": "bgppeers",
    "BGPRouter": "bgp",
    "Bridge": "br bridges",
    "ClusterNetworkRoute": "k8sroutes",
    "DHCPv4Client": "dhcp4 dhcpv4",
    "DHCPv4Relay": "dhcprelay",
    "DHCPv6Address": "",
    "DHCPv6Information": "",
    "DHCPv6PrefixDelegation": "pd dhcpv6pd prefixdelegation",
    "DNSResolver": "dns resolver",
    "DSLiteTunnel": "dslite",
    "DerivedEvent": "derived",
    "EgressRoutePolicy": "route ipv4policyrouteset",
    "EventRule": "rule rules",
    "FirewallEventLog": "firewalllog",
    "FirewallFlowPinhole": "flowpinhole",
    "FirewallPolicy": "firewall",
    "FirewallRule": "fw",
    "FirewallZone": "zone",
    "HealthCheck": "hc",
    "Hostname": "host",
    "IPAddressSet": "addressset ipset",
    "IPsecConnection": "ipsec",
    "IPv4Route": "",
    "IPv4StaticAddress": "ipv4static",
    "IPv6DelegatedAddress": "",
    "IPv6RAAddress": "",
    "IPv6RouterAdvertisement": "ra routeradvertisement",
    "IPv6StaticRoute": "ipv6route",
    "IngressService": "ingress",
    "Interface": "if iface interfaces",
    "LocalServiceRedirect": "serviceredirect",
    "LogRetention": "",
    "ManagementAccess": "mgmtaccess",
    "NAT44Rule": "nat nat44 snat",
    "ObservabilityPipeline": "obspipeline",
    "PPPoESession": "pppoe pppoeclient",
    "Package": "packages",
    "PortForward": "portforwards portnat",
    "RouterdCluster": "cluster",
    "SysctlProfile": "sysctlprofiles",
    "TailscaleNode": "tailscale ts",
    "Telemetry": "",
    "VXLANSegment": "vxlan vxlans",
    "WireGuardInterface": "wg wireguard",
    "WireGuardPeer": "wgpeer",
}
"""Kinds with short names, and those that people type most; a test holds it to what routerd knows."""

KNOWN = frozenset(_SHORT)
"""Kinds that people may mean, whether or not this routerd supports them."""

SHORT_NAMES = {short: kind for kind, shorts in _SHORT.items() for short in shorts.split()}

DAEMON_DIRECTORIES = {
    "DHCPv4Client": "dhcpv4-client",
    "DHCPv6PrefixDelegation": "dhcpv6-client",
    "DHCPv6Address": "dhcpv6-client",
    "DHCPv6Information": "dhcpv6-client",
    "IPv6RAAddress": "ra-client",
    "IPv6RouterAdvertisement": "ra-server",
    "PPPoESession": "pppoe-client",
    "HealthCheck": "healthcheck",
    "DNSResolver": "dns-resolver",
}
"""Kinds with a daemon of their own, and the folder of its sockets under the run directory. Where several kinds share
one, the first stands for a daemon of which only the folder and the name are known."""

MENTIONED = 20
"""Words that a hint lists, at most."""

_BY_WORD = {kind.lower(): kind for kind in _SHORT} | SHORT_NAMES


def canonical(kind: str) -> str:
    """`dhcpv4client`, `dhcp-v4-client`, `dhcp4` -> `DHCPv4Client`. One that is not known here is left as it is."""
    return _BY_WORD.get(kind.lower().replace("-", "").replace("_", ""), kind)


def split_reference(text: str) -> tuple[str, str]:
    """`KIND/NAME` -> kind, name. Raises Failure (usage)."""
    kind, slash, name = text.partition("/")
    if not (kind and slash and name) or "/" in name:
        raise Failure(Exit.USAGE, f'"{text}" is not KIND/NAME', "for example DHCPv4Client/wan")
    return canonical(kind), name


def reference(text: str) -> str:
    """`KIND/NAME` with the kind as routerd spells it. Raises Failure (usage)."""
    return "/".join(split_reference(text))


def daemon_directory(kind: str) -> str:
    """The folder of a kind's daemon sockets. Raises Failure (usage) for a kind that has no daemon."""
    if kind not in DAEMON_DIRECTORIES:
        raise Failure(Exit.USAGE, f"{kind} has no daemon to command", "for example DHCPv4Client/wan has one")
    return DAEMON_DIRECTORIES[kind]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean X?` for the likeliest of the known words, or what there is, unless that is a lot."""
    import difflib

    plain = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), plain, 1)
    if near:
        return f"did you mean {plain[near[0]]}?"
    return "one of " + ", ".join(plain.values()) if 0 < len(plain) <= MENTIONED else ""


def daemons_in(run_dir: str) -> list[str]:
    """`dhcpv4-client/wan` for each daemon socket under the run directory, sorted."""
    found = []
    for directory in dict.fromkeys(DAEMON_DIRECTORIES.values()):
        try:
            names = os.listdir(os.path.join(run_dir, directory))  # noqa: PTH118, PTH208 (pathlib alone costs 5 ms)
        except OSError:
            continue
        found += [f"{directory}/{name.removesuffix('.sock')}" for name in names if name.endswith(".sock")]
    return sorted(found)
