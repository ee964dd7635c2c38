"""Real DHCPv4 servers in a namespace: dnsmasq, kea and ISC dhcpd behind one face. Ready when they say so."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from tests.lab.netns import Namespace, need_program

GATEWAY = "203.0.113.1"
READY_WITHIN = 10.0


@attrs.frozen
class Terms:
    """What the server grants. Seconds; dnsmasq cannot do leases under 120."""

    pool: tuple[str, str] = ("203.0.113.50", "203.0.113.99")
    subnet: str = "203.0.113.0"
    """A /24; its first address is the server's and the router's."""
    lease: int = 600
    t1: int = 300
    t2: int = 525
    dns: str = "203.0.113.53"
    netmask: str = "255.255.255.0"
    routes: str = ""
    """Classless routes as dnsmasq writes them: `10.1.0.0/16,203.0.113.9`."""

    @property
    def gateway(self) -> str:
        return self.subnet.removesuffix("0") + "1"


@contextmanager
def dnsmasq(isp: Namespace, ifname: str, directory: Path, terms: Terms) -> Iterator[subprocess.Popen[Any]]:
    """dnsmasq, authoritative. Its leases stay in `directory` for the next one."""
    options = [f"--dhcp-option=option:dns-server,{terms.dns}", f"--dhcp-option=option:T1,{terms.t1}"]
    options += [f"--dhcp-option=option:T2,{terms.t2}", f"--dhcp-option=option:netmask,{terms.netmask}"]
    options += [f"--dhcp-option=option:router,{terms.gateway}"]
    options += [f"--dhcp-option=121,{terms.routes}"] if terms.routes else []
    command = [
        need_program("dnsmasq"),
        *("-k", "--conf-file=/dev/null", "--port=0", f"--interface={ifname}", "--bind-interfaces", "--no-ping"),
        *("--dhcp-authoritative", "--user=root", "--pid-file=", "--log-facility=-", "--log-dhcp"),
        f"--dhcp-leasefile={directory / 'dnsmasq.leases'}",
        f"--dhcp-range={terms.pool[0]},{terms.pool[1]},{terms.lease}",
        *options,
    ]
    with running(isp, command, directory / "dnsmasq.log", "DHCP, sockets bound") as process:
        yield process


@contextmanager
def kea(isp: Namespace, ifname: str, directory: Path, terms: Terms) -> Iterator[subprocess.Popen[Any]]:
    """kea-dhcp4 on raw sockets, authoritative. Its leases stay in `directory` for the next one."""
    network = f"{terms.pool[0]} - {terms.pool[1]}"
    options = [
        {"name": "routers", "data": terms.gateway},
        {"name": "domain-name-servers", "data": terms.dns},
        {"name": "subnet-mask", "data": terms.netmask, "always-send": True},
    ]
    config = {
        "Dhcp4": {
            "interfaces-config": {"interfaces": [ifname], "dhcp-socket-type": "raw"},
            "lease-database": {"type": "memfile", "persist": True, "name": str(directory / "kea.leases")},
            "authoritative": True,
            "valid-lifetime": terms.lease,
            "renew-timer": terms.t1,
            "rebind-timer": terms.t2,
            "calculate-tee-times": False,
            "option-data": options,
            "subnet4": [{"subnet": f"{terms.subnet}/24", "id": 1, "pools": [{"pool": network}]}],
            "loggers": [
                {"name": "kea-dhcp4", "output_options": [{"output": "stdout"}], "severity": "INFO", "debuglevel": 0}
            ],
        }
    }
    path = directory / "kea.json"
    path.write_text(json.dumps(config))
    environment = ["env", f"KEA_PIDFILE_DIR={directory}", f"KEA_LOCKFILE_DIR={directory}"]
    command = [*environment, need_program("kea-dhcp4"), "-c", str(path)]
    with running(isp, command, directory / "kea.log", "DHCP4_STARTED") as process:
        yield process


@contextmanager
def dhcpd(isp: Namespace, ifname: str, directory: Path, terms: Terms) -> Iterator[subprocess.Popen[Any]]:
    """ISC dhcpd, authoritative, without its ping. Its leases stay in `directory` for the next one."""
    config = f"""
        authoritative; ping-check false; one-lease-per-client true;
        default-lease-time {terms.lease}; max-lease-time {terms.lease}; min-lease-time {terms.lease};
        option dhcp-renewal-time {terms.t1}; option dhcp-rebinding-time {terms.t2};
        subnet {terms.subnet} netmask 255.255.255.0 {{
            range {terms.pool[0]} {terms.pool[1]};
            option routers {terms.gateway}; option domain-name-servers {terms.dns};
            option subnet-mask {terms.netmask};
        }}
    """
    path, leases = directory / "dhcpd.conf", directory / "dhcpd.leases"
    path.write_text(config)
    leases.touch()
    command = [
        *(need_program("dhcpd"), "-4", "-d", "-f", "-user", "root", "-group", "root"),
        *("-cf", str(path), "-lf", str(leases), "-pf", str(directory / "dhcpd.pid"), ifname),
    ]
    with running(isp, command, directory / "dhcpd.log", "Server starting service") as process:
        yield process


SERVERS = {"dnsmasq": dnsmasq, "kea": kea, "dhcpd": dhcpd}


@contextmanager
def running(isp: Namespace, command: list[str], log: Path, ready: str) -> Iterator[subprocess.Popen[Any]]:
    """A server, from the line of its log that says that it is ready until it is told to end."""
    with log.open("ab") as output:
        begin = output.tell()
        process = isp.spawn(*command, stdout=output, stderr=subprocess.STDOUT)
        try:
            await_line(process, log, begin, ready)
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(10)


def await_line(process: subprocess.Popen[Any], log: Path, begin: int, ready: str) -> None:
    """Servers tell that they are ready in their log, and in no other way."""
    deadline = time.monotonic() + READY_WITHIN
    while ready.encode() not in log.read_bytes()[begin:]:
        assert process.poll() is None, f"the server ended: {log.read_text()}"
        assert time.monotonic() < deadline, f"no {ready!r} within {READY_WITHIN} s: {log.read_text()}"
        time.sleep(0.02)
