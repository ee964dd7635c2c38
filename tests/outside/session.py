"""`requests` over a Unix socket, for tools that speak HTTP through it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

BASE_URL = "http://routerd"


class _Pool(HTTPConnectionPool):
    """Connections to one Unix socket."""

    def __init__(self, path: str) -> None:
        class Connection(HTTPConnection):
            def connect(self) -> None:
                self.sock = socket.socket(socket.AF_UNIX)
                self.sock.settimeout(30)
                self.sock.connect(path)

        self.ConnectionCls = Connection
        super().__init__("routerd")


class _Adapter(HTTPAdapter):
    def __init__(self, path: str) -> None:
        self._pool = _Pool(path)
        super().__init__()

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:
        return self._pool

    def close(self) -> None:
        self._pool.close()
        super().close()


@contextmanager
def session(path: Path) -> Iterator[requests.Session]:
    """Requests to `BASE_URL` go to the socket at `path`."""
    with requests.Session() as session:
        session.mount(BASE_URL, _Adapter(str(path)))
        yield session
