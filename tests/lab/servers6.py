"""Real DHCPv6 servers and routers in a namespace: kea, ISC dhcpd, dnsmasq and radvd. Ready when they say so.

Of the three dnsmasq delegates no prefixes; kea and dhcpd do not advertise. Their link needs an address of `Terms6.link`
and a link-local address past duplicate address detection before they start (kea opens its sockets once, and stays deaf
where that fails): namespaces of the lab have none.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from ipaddress import IPv6Network
from pathlib import Path
from typing import Any, Literal

import attrs

from tests.lab.netns import Namespace, need_program
from tests.lab.servers import await_line, running

SERVER = "2001:db8:ff::1"
LINK = IPv6Network("2001:db8:ff::/64")
POOL = IPv6Network("2001:db8:4000::/36")


@attrs.frozen
class Terms6:
    """What a server grants: addresses of `link`, prefixes of `length` out of `pool`. Seconds; dnsmasq cannot do leases
    under 120."""

    link: IPv6Network = LINK
    pool: IPv6Network = POOL
    length: int = 56
    preferred: int = 3000
    valid: int = 4000
    t1: int = 1000
    t2: int = 2000
    dns: str = "2001:db8:53::53"
    search: str = "home.example"
    rapid: bool = False
    excluded: IPv6Network | None = None
    """Of the first prefix of the pool, which must be its only one (RFC 6603); kea's alone."""
    server: int = 1
    """Who the server is; kea's alone. Others know theirs by their leases."""
    preference: int | None = None
    """What its Advertise says of it (RFC 9915 §21.8); kea's alone."""

    @property
    def addresses(self) -> tuple[str, str]:
        """The first and the last address that is granted."""
        return str(self.link[0x100]), str(self.link[0x1FF])


@contextmanager
def kea(isp: Namespace, ifname: str, directory: Path, terms: Terms6) -> Iterator[subprocess.Popen[Any]]:
    """kea-dhcp6. Its leases stay in `directory` for the next one."""
    path = _write_kea(ifname, directory, terms)
    # Kea 2.2 keeps locks and pid files where only its package's user may write, unless it is told otherwise.
    environment = ["env", f"KEA_PIDFILE_DIR={directory}", f"KEA_LOCKFILE_DIR={directory}"]
    command = [*environment, need_program("kea-dhcp6"), "-c", str(path)]
    with running(isp, command, directory / "kea6.log", "DHCP6_STARTED") as process:
        yield process


def reconfigured(server: subprocess.Popen[Any], ifname: str, directory: Path, terms: Terms6) -> None:
    """Other terms for a kea that goes on, with its leases; returns once they are in force."""
    log = directory / "kea6.log"
    begin = log.stat().st_size
    _write_kea(ifname, directory, terms)
    server.send_signal(signal.SIGHUP)
    await_line(server, log, begin, "DHCP6_CONFIG_COMPLETE")


def _write_kea(ifname: str, directory: Path, terms: Terms6) -> Path:
    path = directory / "kea6.json"
    path.write_text(json.dumps({"Dhcp6": _kea_config(ifname, directory, terms)}))
    return path


def _kea_config(ifname: str, directory: Path, terms: Terms6) -> dict[str, Any]:
    pool = {"prefix": str(terms.pool[0]), "prefix-len": terms.pool.prefixlen, "delegated-len": terms.length}
    asked_or_not = {"name": "preference", "data": str(terms.preference), "always-send": True}
    preference = [] if terms.preference is None else [asked_or_not]
    if terms.excluded is not None:
        pool |= {"excluded-prefix": str(terms.excluded[0]), "excluded-prefix-len": terms.excluded.prefixlen}
    return {
        "interfaces-config": {"interfaces": [ifname]},
        "lease-database": {"type": "memfile", "persist": True, "name": str(directory / "kea6.leases")},
        "server-id": {"type": "EN", "enterprise-id": 32473, "identifier": f"{terms.server:08x}", "persist": False},
        "preferred-lifetime": terms.preferred,
        "valid-lifetime": terms.valid,
        "renew-timer": terms.t1,
        "rebind-timer": terms.t2,
        "calculate-tee-times": False,
        "option-data": [
            {"name": "dns-servers", "data": terms.dns},
            {"name": "domain-search", "data": terms.search},
            *preference,
        ],
        "subnet6": [
            {
                "subnet": str(terms.link),
                "id": 1,
                "interface": ifname,
                "rapid-commit": terms.rapid,
                "pools": [{"pool": " - ".join(terms.addresses)}],
                "pd-pools": [pool],
            }
        ],
        "loggers": [{"name": "kea-dhcp6", "output_options": [{"output": "stdout"}], "severity": "INFO"}],
    }


@contextmanager
def dhcpd(isp: Namespace, ifname: str, directory: Path, terms: Terms6) -> Iterator[subprocess.Popen[Any]]:
    """ISC dhcpd. Its leases, and who it is, stay in `directory` for the next one."""
    first, last = (terms.pool[0], terms.pool[-(1 << (128 - terms.length))])
    config = f"""
        authoritative; {"option dhcp6.rapid-commit;" if terms.rapid else ""}
        default-lease-time {terms.valid}; max-lease-time {terms.valid}; preferred-lifetime {terms.preferred};
        option dhcp-renewal-time {terms.t1}; option dhcp-rebinding-time {terms.t2};
        option dhcp6.name-servers {terms.dns}; option dhcp6.domain-search "{terms.search}";
        subnet6 {terms.link} {{
            range6 {" ".join(terms.addresses)};
            prefix6 {first} {last} /{terms.length};
        }}
    """
    path, leases = directory / "dhcpd6.conf", directory / "dhcpd6.leases"
    path.write_text(config)
    leases.touch()
    command = [
        *(need_program("dhcpd"), "-6", "-d", "-f", "-user", "root", "-group", "root"),
        *("-cf", str(path), "-lf", str(leases), "-pf", str(directory / "dhcpd6.pid"), ifname),
    ]
    with running(isp, command, directory / "dhcpd6.log", "Server starting service") as process:
        yield process


Mode = Literal["stateful", "stateless", "slaac"]


@contextmanager
def dnsmasq(
    isp: Namespace, ifname: str, directory: Path, terms: Terms6, mode: Mode = "stateful"
) -> Iterator[subprocess.Popen[Any]]:
    """dnsmasq, which advertises itself as a router as well. `stateful`: addresses by DHCPv6 (RA with M and O);
    `stateless`: SLAAC, and DHCPv6 for the rest (RA with O); `slaac`: advertisements alone."""
    ranges = {
        "stateful": f"{','.join(terms.addresses)},64,{terms.valid}",
        "stateless": f"{terms.link[0]},ra-stateless,64,{terms.valid}",
        "slaac": f"{terms.link[0]},ra-only,64,{terms.valid}",
    }
    command = [
        need_program("dnsmasq"),
        *("-k", "--conf-file=/dev/null", "--port=0", f"--interface={ifname}", "--bind-interfaces", "--no-ping"),
        *("--dhcp-authoritative", "--user=root", "--pid-file=", "--log-facility=-", "--log-dhcp", "--enable-ra"),
        f"--dhcp-leasefile={directory / 'dnsmasq6.leases'}",
        f"--dhcp-range={ranges[mode]}",
        f"--dhcp-option=option6:dns-server,[{terms.dns}]",
        f"--dhcp-option=option6:domain-search,{terms.search}",
    ]
    with running(isp, command, directory / "dnsmasq6.log", "router advertisement enabled") as process:
        yield process


@contextmanager
def radvd(isp: Namespace, ifname: str, directory: Path, advertised: str) -> Iterator[subprocess.Popen[Any]]:
    """radvd. `advertised`: what stands in the braces of its interface, in the words of radvd.conf(5). On its way out it
    says that it is no router any more."""
    path = _write_radvd(ifname, directory, advertised)
    # It wants to be told of forwarding: without it, it warns, and Linux ignores that it calls itself a router.
    isp.sysctl("net.ipv6.conf.all.forwarding", "1")
    command = [
        *(need_program("radvd"), "--nodaemon", "--logmethod", "stderr", "--debug", "1", "--username", "root"),
        *("--config", str(path), "--pidfile", str(directory / "radvd.pid")),
    ]
    with running(isp, command, directory / "radvd.log", "polling for") as process:
        yield process


def readvertised(server: subprocess.Popen[Any], ifname: str, directory: Path, advertised: str) -> None:
    """Other terms for a radvd that goes on; returns once they are in force."""
    log = directory / "radvd.log"
    begin = log.stat().st_size
    _write_radvd(ifname, directory, advertised)
    server.send_signal(signal.SIGHUP)
    await_line(server, log, begin, "resuming normal operation")


def _write_radvd(ifname: str, directory: Path, advertised: str) -> Path:
    path = directory / "radvd.conf"
    path.write_text(f"interface {ifname} {{ AdvSendAdvert on; {advertised} }};\n")
    path.chmod(0o644)  # radvd refuses a file that others may write
    return path


def forget(directory: Path) -> None:
    """The servers' leases are gone. Who dhcpd is stays: it stands among them."""
    for leases in directory.glob("kea6.leases*"):
        leases.unlink()
    path = directory / "dhcpd6.leases"
    if path.exists():
        kept = [line for line in path.read_text().splitlines() if line.startswith("server-duid")]
        path.write_text("\n".join((*kept, "")))


DELEGATING = {"kea": kea, "dhcpd": dhcpd}
"""Those that delegate prefixes."""


def any_address(isp: Namespace, ifname: str, directory: Path, name: str, terms: Terms6) -> AbstractContextManager[Any]:
    """One of the servers by name: all three grant addresses."""
    return (
        dnsmasq(isp, ifname, directory, terms) if name == "dnsmasq" else DELEGATING[name](isp, ifname, directory, terms)
    )


@contextmanager
def dibbler(isp: Namespace, ifname: str, directory: Path, terms: Terms6) -> Iterator[subprocess.Popen[Any]]:
    """dibbler, the one of Debian's servers that sends Reconfigure: at its start, to those whose prefixes are out of
    another pool than it has now, with the key (RKAP) that it gave them; but always with the same replay counter, which
    is that of its Reply. Its files have fixed places; what it sees there stays in `directory` for the next one."""
    own = directory / "dibbler"
    own.mkdir(exist_ok=True)
    pool = f"pd-class {{ pd-pool {terms.pool}\n pd-length {terms.length} }}"
    times = f"T1 {terms.t1}\n T2 {terms.t2}\n prefered-lifetime {terms.preferred}\n valid-lifetime {terms.valid}"
    (own / "server.conf").write_text(f"""
        reconfigure-enabled 1
        auth-protocol reconfigure-key
        auth-replay monotonic
        auth-realm lab
        iface "{ifname}" {{
            {times}
            option dns-server {terms.dns}
            {pool}
        }}
    """)
    places = [f'mount --bind "$0" {place}' for place in ("/etc/dibbler", "/var/lib/dibbler", "/var/log/dibbler")]
    command = ["sh", "-c", " && ".join((*places, 'exec "$@"')), str(own), need_program("dibbler-server"), "run"]
    with running(isp, command, directory / "dibbler.log", "Accepting connections") as process:
        yield process
