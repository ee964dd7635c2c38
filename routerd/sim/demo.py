"""The demo: a router that has a line, a LAN and a static route, in IPv4 and IPv6, on a simulated host between a lively
provider and a host of the household."""

from __future__ import annotations

CONFIGURATION = """\
# The configuration of the demo. Change it and `kill -HUP` the router: the pid is in state/routerd.lock.
# Mistakes are shown with their line; the configuration that runs stays in force.
apiVersion: routerd.net/v1alpha1
kind: Router
metadata:
  name: demo
spec:
  resources:
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: wan}
      spec:
        ifname: eth0

    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: lan}
      spec:
        ifname: eth1

    - apiVersion: net.routerd.net/v1alpha1
      kind: DHCPv4Client
      metadata: {name: wan}
      spec:
        interface: wan
        hostname: demo

    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4StaticAddress
      metadata: {name: lan}
      spec:
        interface: lan
        address: 192.168.1.1/24

    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4Route
      metadata: {name: lab}
      spec:
        destination: 10.20.0.0/16
        gatewayFrom: {resource: DHCPv4Client/wan, field: gateway}

    # IPv6: a default route from the provider's router, a delegated prefix, its first subnet for the LAN.
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6RAAddress
      metadata: {name: wan}
      spec:
        interface: wan

    - apiVersion: net.routerd.net/v1alpha1
      kind: DHCPv6PrefixDelegation
      metadata: {name: wan-pd}
      spec:
        interface: wan
        prefixLength: 56

    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6DelegatedAddress
      metadata: {name: lan}
      spec:
        prefixDelegation: wan-pd
        interface: lan
        addressSuffix: "::1"

    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6RouterAdvertisement
      metadata: {name: lan}
      spec:
        interface: lan
        rdnssFrom: {resource: DHCPv6PrefixDelegation/wan-pd, field: dnsServers}
"""


COMMANDS = {
    "status": "how the router is",
    "get": "every resource and its phase",
    "get prefixes": "the delegated prefix, its subnets, and what it replaced",
    "describe DHCPv4Client/wan": "everything about the line",
    "why IPv6DelegatedAddress/lan": "what made the LAN's subnet what it is",
    "events -f": "what happens, as it happens",
    "renew DHCPv6PrefixDelegation/wan-pd": "extend the prefix now; or DHCPv4Client/wan",
    "wait DHCPv4Client/wan --for phase=Rebinding --timeout 5m": "",
}
"""What there is to type, and why one would."""


def greeting(routerctl: str, config: str) -> str:
    """What to type in a second terminal."""
    lines = "\n".join(f"  {routerctl} {words:36} {meaning}".rstrip() for words, meaning in COMMANDS.items())
    return f"""\
routerd runs on a simulated host. In a second terminal:

{lines}

Its configuration is {config}. About once a minute the provider does something, and this window
tells what (isp:), and how a host on the LAN takes it (lan:). Ctrl-C ends the demo.
"""
