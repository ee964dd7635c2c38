"""Tells systemd that we are ready, reloading or stopping (sd_notify(3)); silent where there is no systemd."""

from __future__ import annotations

import os
import socket


def notify(*states: str) -> None:
    """Send e.g. `READY=1` to the socket in NOTIFY_SOCKET, if there is one. Never fails: /readyz tells it too."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)  # who does not read does not hold us up
            sender.connect(address)
            sender.send("\n".join(states).encode())
    except OSError:
        return
