"""The programs that bring a provider's prefix to a LAN, and how each is started so that nothing of its own holds it up.

Each gets an empty directory and the smallest configuration that has subnet 1 of the prefix on lan0. One that can
advertise it there does. None of them waits for advertisements of the provider's router, of which there is none.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.programs import IFNAME, Program

LAN, GUESTS = "lan0", "lan1"

ROUTER = """\
apiVersion: routerd.net/v1alpha1
kind: Router
metadata: {{name: household}}
spec:
  resources:
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {{name: wan}}
      spec: {{ifname: {wan}}}
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {{name: lan}}
      spec: {{ifname: {lan}}}
    - apiVersion: net.routerd.net/v1alpha1
      kind: DHCPv6PrefixDelegation
      metadata: {{name: wan}}
      spec: {{interface: wan, prefixLength: 56, rapidCommit: {rapid}}}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6DelegatedAddress
      metadata: {{name: lan}}
      spec: {{prefixDelegation: wan, interface: lan, subnetID: 1, addressSuffix: "::1"}}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6RouterAdvertisement
      metadata: {{name: lan}}
      spec: {{interface: lan}}
"""

SECOND_LAN = """\
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6RAAddress
      metadata: {{name: wan}}
      spec: {{interface: wan}}
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {{name: guests}}
      spec: {{ifname: {guests}}}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6DelegatedAddress
      metadata: {{name: guests}}
      spec: {{prefixDelegation: wan, interface: guests, subnetID: 2, addressSuffix: "::1"}}
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv6RouterAdvertisement
      metadata: {{name: guests}}
      spec: {{interface: guests}}
"""
"""And an ear for the provider's router."""

DHCPCD = """\
nodev
ipv6only
noipv6rs
script /bin/true
allowinterfaces {wan} {lan}
{rapid}
interface {wan}
 iaid 1
 ia_pd 1/::/56 {lan}/1/64
interface {lan}
 noipv6
"""

DHCP6C = """\
interface {wan} {{ send ia-pd 0{rapid}; }};
id-assoc pd 0 {{ prefix-interface {lan} {{ sla-id 1; sla-len 8; }}; }};
"""

NETWORKD = {
    "10-wan": """\
[Match]
Name={wan}
[Network]
DHCP=ipv6
IPv6AcceptRA=no
LinkLocalAddressing=ipv6
[DHCPv6]
WithoutRA=solicit
PrefixDelegationHint=::/56
UseAddress=no
UseHostname=no
RapidCommit={rapid}
""",
    "20-lan": """\
[Match]
Name={lan}
[Network]
DHCPPrefixDelegation=yes
IPv6SendRA=yes
IPv6AcceptRA=no
LinkLocalAddressing=ipv6
[DHCPPrefixDelegation]
UplinkInterface={wan}
SubnetId=1
""",
}

UNDER_NETWORKD = """\
mount -o remount,ro /sys
mkdir -p /run/systemd/network && cp "$1"/*.network /run/systemd/network
exec env SYSTEMD_LOG_TARGET=console SYSTEMD_LOG_LEVEL=info "$0"
"""
"""For networkd, whose files are in /run, and which waits for udev unless /sys is read-only, as in a container."""


def routerd6(rapid: bool, more: str = "") -> Program:
    """Ours; `more` are more resources."""

    def arguments(directory: Path) -> list[str]:
        config = directory / "router.yaml"
        text = (ROUTER + more).format(wan=IFNAME, lan=LAN, guests=GUESTS, rapid=str(rapid).lower())
        config.write_text(text)
        where = ["--config", str(config), "--run-dir", str(directory / "run"), "--state-dir", str(directory / "state")]
        return ["-m", "routerd", "serve", *where]

    return Program("routerd", sys.executable, arguments, waiting=f"listening on {IFNAME}")


def dhcpcd6(rapid: bool) -> Program:
    """dhcpcd in the foreground."""

    def arguments(directory: Path) -> list[str]:
        config = directory / "dhcpcd.conf"
        config.write_text(DHCPCD.format(wan=IFNAME, lan=LAN, rapid="option rapid_commit" if rapid else ""))
        return ["-B", "-f", str(config)]

    return Program("dhcpcd", "dhcpcd", arguments, waiting=f"{IFNAME}: waiting for carrier")


def dhcp6c(rapid: bool) -> Program:
    """wide-dhcpv6-client in the foreground. It cannot wait for a carrier."""

    def arguments(directory: Path) -> list[str]:
        config = directory / "dhcp6c.conf"
        config.write_text(DHCP6C.format(wan=IFNAME, lan=LAN, rapid=", rapid-commit" if rapid else ""))
        return ["-f", "-c", str(config), IFNAME]

    return Program("dhcp6c", "dhcp6c", arguments)


def networkd(rapid: bool) -> Program:
    """systemd-networkd alone: no systemd, no D-Bus, no udev."""
    binary = "/lib/systemd/systemd-networkd"

    def arguments(directory: Path) -> list[str]:
        for name, text in NETWORKD.items():
            whole = text.format(wan=IFNAME, lan=LAN, rapid="yes" if rapid else "no")
            (directory / f"{name}.network").write_text(whole)
        return [str(directory)]

    return Program("networkd", binary, arguments, waiting="Enumeration completed", under=("sh", "-c", UNDER_NETWORKD))
