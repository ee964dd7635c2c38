"""The namespaces that the lab stands on."""

import socket
from collections.abc import Callable

import pytest

from tests.lab.netns import Namespace, namespaces, need, obstacle_to_namespaces, wire

__all__ = ["namespaces"]
pytestmark = pytest.mark.lab


def test_a_cable_joins_two_namespaces_and_sockets_stay_where_they_were_opened(
    namespaces: Callable[[str], Namespace],
) -> None:
    here, there = namespaces("here"), namespaces("there")
    wire(here, "eth0", there, "eth0")
    here.ip("addr", "add", "192.0.2.1/24", "dev", "eth0")
    there.ip("addr", "add", "192.0.2.2/24", "dev", "eth0")

    def listen() -> socket.socket:
        return socket.create_server(("192.0.2.2", 8000))

    with there.call(listen) as server, here.entered(), socket.create_connection(("192.0.2.2", 8000)) as client:
        accepted, peer = server.accept()
        accepted.close()
        assert peer == client.getsockname()
    assert "192.0.2.1" in here.run("ip", "addr")


def test_what_was_spawned_ends_with_the_namespace() -> None:
    need(obstacle_to_namespaces())
    namespace = Namespace("spawn")
    process = namespace.spawn("sleep", "600")
    namespace.close()
    assert process.poll() is not None
    assert not namespace.path.exists()


def test_a_call_in_a_namespace_raises_what_it_raised(namespaces: Callable[[str], Namespace]) -> None:
    with pytest.raises(OSError, match="Cannot assign requested address"):
        namespaces("empty").call(lambda: socket.create_server(("192.0.2.2", 8000)))
