"""What the families of daemons cost a router that has none of them."""

from __future__ import annotations

import subprocess
import sys


def test_no_daemon_is_loaded_before_there_is_one() -> None:
    asked = "import routerd.nurseries.root, sys; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.split()
    assert "routerd.nurseries.clients6" in said
    clients = ("routerd.daemons.dhcpv4_client", "routerd.daemons.dhcpv6_client")
    machines = ("routerd.protocols.dhcpv4.client", "routerd.protocols.dhcpv6.client")
    assert not set(said) & {*clients, *machines}
