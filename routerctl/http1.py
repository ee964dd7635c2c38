"""One HTTP/1.1 request over one Unix socket, and its answer. Nothing else of HTTP: no keep-alive, no redirects.

Own code, by measurement: `http.client` pulls in `email` and `ssl` and alone takes longer (17 ms) than all the rest
of a `routerctl status` (see docs/routerctl.md). What is here reads a length, chunks, or up to the end, and no more
than 16 MiB of either.
"""

from __future__ import annotations

import socket
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    Query = Sequence[tuple[str, str]]

BODY_LIMIT = 16 << 20
HEAD_LIMIT = 64 << 10
HEED = 0.5
"""Seconds after which a wait is begun anew: a Ctrl-C that comes just before the system call does not end it (Python's
own handler only leaves a note), and is heard then."""


class Garbled(Exception):
    """What came back is not an HTTP/1.1 answer, or not all of one."""


class Answer:
    """Status, header fields by lower-case name, body."""

    __slots__ = ("body", "fields", "status")

    def __init__(self, status: int, fields: dict[str, str], body: bytes) -> None:
        self.status = status
        self.fields = fields
        self.body = body


class Exchange:
    """A request under way. `fileno` is for `select`; `answer` reads it to the end, once.

    Raises OSError (TimeoutError after `timeout` seconds over all) or Garbled.
    """

    def __init__(
        self, path: str, method: str, target: str, body: bytes = b"", *, timeout: float, fields: Query = ()
    ) -> None:
        """`fields`: header fields besides those that every request has."""
        self._deadline = time.monotonic() + timeout
        self._buffer = bytearray()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(path)
            self._socket.sendall(_request(method, target, body, fields))
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """The descriptor that becomes readable when the answer begins."""
        return self._socket.fileno()

    @property
    def expired(self) -> bool:
        """Whether the time for the answer is over."""
        return time.monotonic() >= self._deadline

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def __enter__(self) -> Exchange:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def answer(self) -> Answer:
        """Wait for the whole answer; interim answers (1xx) are passed over."""
        status = 100
        while status < 200:
            status, fields = _head(self._until(b"\r\n\r\n", HEAD_LIMIT))
        return Answer(status, fields, self._body(status, fields))

    def _body(self, status: int, fields: dict[str, str]) -> bytes:
        if status in (204, 304):
            return b""
        if "chunked" in fields.get("transfer-encoding", "").lower():
            return self._chunks()
        if "content-length" in fields:
            return self._exactly(_size(fields["content-length"], 10))
        return self._rest()

    def _chunks(self) -> bytes:
        body = bytearray()
        while size := _size(self._until(b"\r\n", HEAD_LIMIT).partition(b";")[0].decode("latin-1"), 16):
            _limited(len(body) + size)
            body += self._exactly(size)
            self._until(b"\r\n", 2)
        while self._until(b"\r\n", HEAD_LIMIT) != b"\r\n":
            pass
        return bytes(body)

    def _exactly(self, size: int) -> bytes:
        _limited(size)
        while len(self._buffer) < size:
            self._more()
        return self._take(size)

    def _rest(self) -> bytes:
        while self._receive():
            _limited(len(self._buffer))
        return self._take(len(self._buffer))

    def _until(self, mark: bytes, limit: int) -> bytes:
        searched = 0
        while (found := self._buffer.find(mark, max(0, searched - len(mark)))) < 0 and len(self._buffer) <= limit:
            searched = len(self._buffer)
            self._more()
        if found < 0 or found + len(mark) > limit:
            raise Garbled("a head or line of it does not end")
        return self._take(found + len(mark))

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _more(self) -> None:
        if not self._receive():
            raise Garbled("it broke off" if self._buffer else "the connection was closed without an answer")

    def _receive(self) -> bool:
        while (left := self._deadline - time.monotonic()) > 0:
            self._socket.settimeout(min(left, HEED))
            try:
                data = self._socket.recv(1 << 18)
            except TimeoutError:
                continue
            self._buffer += data
            return bool(data)
        raise TimeoutError


def encode_query(query: Query) -> str:
    """`?a=b&c=d`, percent-encoded; nothing for no query."""
    return "?" + "&".join(f"{_escaped(key)}={_escaped(value)}" for key, value in query) if query else ""


_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/*")


def _escaped(text: str) -> str:
    return "".join(chr(octet) if octet in _PLAIN else f"%{octet:02X}" for octet in text.encode("utf-8", "replace"))


def _request(method: str, target: str, body: bytes, fields: Query) -> bytes:
    head = f"{method} {target} HTTP/1.1\r\nHost: routerd\r\nAccept: application/json\r\nConnection: close\r\n"
    if method != "GET":
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in fields)
    return head.encode("ascii") + b"\r\n" + body


def _head(raw: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    version, _, rest = first.partition(" ")
    if not version.startswith("HTTP/1.") or not (rest[:3].isascii() and rest[:3].isdigit()) or rest[3:4].strip():
        raise Garbled("it does not begin like an HTTP answer")
    pairs = (line.partition(":") for line in lines)
    return int(rest[:3]), {name.strip().lower(): value.strip() for name, _, value in pairs}


def _size(text: str, base: int) -> int:
    try:
        size = int(text.strip(), base)
    except ValueError:
        size = -1
    if size < 0:
        raise Garbled("its length is not a number")
    return size


def _limited(size: int) -> None:
    if size > BODY_LIMIT:
        raise Garbled("it is larger than 16 MiB")
