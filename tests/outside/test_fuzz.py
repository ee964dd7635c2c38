"""Requests that no tool would make, on every path that there is: whole, cut off, half-closed, pipelined. None is
answered with 500, none is left hanging, and after all of them routerd is as well as before."""

from __future__ import annotations

import json
import random
import re
import socket
from collections.abc import Iterator

import pytest

from routerd.api.app import OPERATIONS
from tests.outside.conftest import SOCKETS
from tests.router.process import Process

ROUNDS = {"main": 700, "status": 700, "daemon": 300}
"""By kind of socket. All daemons are served by the same code."""
METHODS = ("GET", "POST", "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "get", "BREW", "GET\0")
WORDS = (
    *("0", "-1", "1", "99999999999999999999", "1.0", "%00", "%ff", "%F0%9F%92%A5", "'", '"', "<x>", "../../etc/passwd"),
    *("DHCPv4Client/wan", "Interface/", "/wan", "Router/lab", "routerd.**", "**.**.**", "10s", "1h", "true", "status"),
    *("resources", "generations", "a" * 3000, "$" * 50, "${Kind/name.status.f}", "error", "0-0", "ffffffff-1"),
)
QUERIES = (
    "subject",
    "limit",
    "since",
    "since-id",
    "topic",
    "target",
    "resource",
    "severity",
    "tail",
    "consumer",
    "verbose",
)
FIELDS = (
    *(
        "candidateYaml",
        "replace",
        "dryRun",
        "noReconcile",
        "target",
        "to",
        "token",
        "level",
        "for",
        "consumer",
        "cursor",
    ),
    *("ruleYaml", "since", "name", "action", "ip", "kind", "apiVersion", "force", "extend", "command", "attributes"),
)
VALUES = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1e308,
        10**30,
        "",
        "x",
        "10s",
        "\0",
        "\ud83d\ude00",
        [],
        {},
        [[]],
        {"a": {}},
        "&a [*a]",
    ),
    *("kind: Router", "{", "a: b: c", "- " * 400, "!!python/object:os.system {}", "spec: " + "[" * 200, "IPv4Route/x"),
)
HEADERS = (
    b"Content-Type: text/plain\r\n",
    b"Content-Type: application/json; charset=utf-16\r\n",
    b"If-Match: *\r\n",
    b'If-Match: "-1", W/"7"\r\n',
    b"Accept: text/event-stream;q=0.1, */*\r\n",
    b"Accept: \xff\xfe\r\n",
    b"Last-Event-ID: nonsense\r\n",
    b"Transfer-Encoding: gzip\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: -5\r\n",
    b"Expect: 100-continue\r\n",
    b"Upgrade: h2c\r\nConnection: upgrade\r\n",
    b"X-" + b"a" * 5000 + b": b\r\n",
    b"Host: \r\n",
    b" folded: header\r\n",
    b"no colon\r\n",
)
STATUS = re.compile(rb"^HTTP/1\.1 (\d{3}) ", re.MULTILINE)


def target(rng: random.Random, door: str) -> bytes:
    """A path that there is on this socket, mostly, with whatever in its places and behind it."""
    behind = [op for op in OPERATIONS if door in op.doors or rng.random() < 0.1]
    path = re.sub(r"\{\w+\}", lambda _: rng.choice(WORDS), rng.choice(behind).path)
    if rng.random() < 0.1:
        path += rng.choice(("/", "//", "%2f", "/..", ";x", "?", "#"))
    given = [f"{rng.choice(QUERIES)}={rng.choice(WORDS)}" for _ in range(rng.choice((0, 0, 1, 2, 3)))]
    return (path + ("?" + "&".join(given) if given else "")).encode()


def body(rng: random.Random) -> bytes:
    """JSON of the right names and the wrong values, or no JSON."""
    if rng.random() < 0.2:
        return rng.choice(
            (b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"{}" * 100, b'{"a":' * 500, rng.randbytes(99))
        )
    return json.dumps({rng.choice(FIELDS): rng.choice(VALUES) for _ in range(rng.randrange(5))}).encode()


def one_request(rng: random.Random, door: str) -> bytes:
    content = body(rng) if rng.random() < 0.6 else b""
    head = rng.choice(METHODS).encode() + b" " + target(rng, door) + b" HTTP/1.1\r\nHost: routerd\r\n"
    head += b"".join(rng.sample(HEADERS, rng.choice((0, 0, 1, 2))))
    return head + (b"Content-Length: %d\r\n" % len(content) if content else b"") + b"\r\n" + content


def conversations(rng: random.Random, door: str) -> Iterator[bytes]:
    """Octets for one connection each."""
    for _ in range(ROUNDS[door]):
        octets = b"".join(one_request(rng, door) for _ in range(rng.choice((1, 1, 2, 4))))
        if rng.random() < 0.15:
            octets = octets[: rng.randrange(len(octets))]
        yield octets


def converse(client: socket.socket, octets: bytes) -> bytes:
    """All that comes back until the other side closes."""
    client.settimeout(20)
    answer = b""
    try:
        client.sendall(octets)
        client.shutdown(socket.SHUT_WR)
        while (more := client.recv(1 << 16)) and len(answer) < 1 << 20:
            answer += more
    except (BrokenPipeError, ConnectionResetError):
        pass  # it has heard enough
    return answer


@pytest.mark.parametrize(("door", "name"), SOCKETS)
def test_nothing_is_answered_with_500_and_nothing_hangs(lasting: Process, door: str, name: str) -> None:
    before, seen = lasting.descriptors(), set()
    for octets in conversations(random.Random(name), door):
        with lasting.connect(name) as client:
            answer = converse(client, octets)
        statuses = STATUS.findall(answer)
        assert b"500" not in statuses, (octets, answer)
        seen |= set(statuses)
    assert {b"200", b"400", b"404", b"405"} <= seen
    assert "Traceback" not in lasting.log
    lasting.until(lambda: lasting.descriptors() <= before + 2)
    lasting.until(lasting.answers)
