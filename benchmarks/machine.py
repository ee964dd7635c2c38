"""What the figures were measured on and with, so that they can be judged later. Not the host's name."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("trio", "h11", "hypercorn", "quart", "pyroute2", "scapy", "dpkt")
PROGRAMS = {
    "dhcpcd": "--version",
    "dhclient": "--version",
    "busybox": "--help",
    "networkctl": "--version",
    "kea-dhcp4": "-v",
    "kea-dhcp6": "-v",
    "dnsmasq": "--version",
}


def environment() -> dict[str, Any]:
    """Values for JSON."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _said(["git", "rev-parse", "--short", "HEAD"]),
        "processor": _first(r"model name\s*: (.+)", Path("/proc/cpuinfo")) or platform.machine(),
        "virtual": bool(_first(r"flags\s*:.*\s(hypervisor)\s", Path("/proc/cpuinfo"))),
        "cpus": os.cpu_count(),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load": os.getloadavg(),
        "packages": {name: _package(name) for name in PACKAGES},
        "programs": {name: _program(name, flag) for name, flag in PROGRAMS.items()},
    }


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _program(name: str, flag: str) -> str:
    path = shutil.which(name)
    return re.search(r"\d+(\.\d+)+[^\s)]*|$", _said([path, flag])).group() if path else ""  # type: ignore[union-attr]


def _said(command: list[str]) -> str:
    """All that a command says, on whichever stream; nothing if it is not there."""
    if shutil.which(command[0]) is None:
        return ""
    run = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return run.stdout.strip()


def _first(pattern: str, path: Path) -> str:
    found = re.search(pattern, path.read_text()) if path.exists() else None
    return found[1].strip() if found else ""
