"""What answers is not routerd, or not well: routerctl ends in time, with one clear line and no traceback."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from routerctl.http1 import BODY_LIMIT, Exchange, Garbled
from tests.routerctl.run import Inside, piped
from tests.routerctl.server import PREFIX, Routerd, raw_server

OK = b"HTTP/1.1 200 OK\r\n"


def says(data: bytes) -> Callable[[Any], None]:
    return lambda connection: connection.sendall(data)


def asked(path: Path, data: bytes) -> tuple[int, bytes]:
    """Status and body that the reader makes of it."""
    with raw_server(path, says(data)), Exchange(str(path), "GET", "/", timeout=10) as exchange:
        answer = exchange.answer()
        return answer.status, answer.body


@pytest.mark.parametrize(
    ("data", "status", "body"),
    [
        (OK + b"Content-Length: 2\r\n\r\n{}", 200, b"{}"),
        (b"HTTP/1.1 404 \r\ncontent-length: 0\r\n\r\n", 404, b""),
        (b"HTTP/1.1 404\r\ncontent-length: 0\r\n\r\n", 404, b""),
        (OK + b"CONTENT-LENGTH:2 \r\n\r\n{}and more", 200, b"{}"),
        (OK + b"\r\n{}", 200, b"{}"),
        (b"HTTP/1.0 200 OK\r\n\r\n{}", 200, b"{}"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\nTrailer: z\r\n\r\n", 200, b"{}"),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\na: b\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\n{}",
            200,
            b"{}",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    ],
)
def test_proper_answers(data: bytes, status: int, body: bytes, run_dir: Path) -> None:
    assert asked(run_dir / "s", data) == (status, body)


GARBLED = [
    b"",
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    b"HTTP/2 200\r\n\r\n",
    b"HTTP/1.1 abc OK\r\n\r\n",
    b"HTTP/1.1 2000 OK\r\n\r\n",
    b"HTTP/1.1 \xb2\xb2\xb2 OK\r\n\r\n",
    b"\x00\xff" * 1000,
    OK,
    OK + b"X: " + b"y" * 70000 + b"\r\n\r\n",
    OK + b"Content-Length: 10\r\n\r\n{}",
    OK + b"Content-Length: -1\r\n\r\n{}",
    OK + b"Content-Length: ten\r\n\r\n{}",
    OK + b"Content-Length: 99999999999999999999\r\n\r\n{}",
    OK + b"Content-Length: " + b"9" * 6000 + b"\r\n\r\n{}",
    OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}",
    OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}xx0\r\n\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\nfffffff\r\n{}\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
]


@pytest.mark.parametrize("data", GARBLED, ids=lambda data: repr(data[:40]))
def test_garbage_is_named_so(data: bytes, run_dir: Path) -> None:
    with pytest.raises(Garbled):
        asked(run_dir / "s", data)


@pytest.mark.parametrize("data", [GARBLED[1], GARBLED[10]], ids=["not HTTP", "half an answer"])
def test_garbage_ends_with_6(data: bytes, run_dir: Path, ctl: Inside) -> None:
    with raw_server(run_dir / "routerd-status.sock", says(data)):
        done = ctl("status")
    assert (done.code, done.out) == (6, "")
    assert done.err.startswith(f"error: {run_dir}/routerd-status.sock did not give a proper answer: ")


@pytest.mark.parametrize("framing", ["length", "chunked", "until the end"])
def test_no_more_than_16_mib_are_read(framing: str, run_dir: Path) -> None:
    head = {"length": b"Content-Length: 20971520\r\n", "chunked": b"Transfer-Encoding: chunked\r\n"}.get(framing, b"")
    sent = 0

    def flood(connection: Any) -> None:
        nonlocal sent
        connection.sendall(OK + head + b"\r\n")
        part = b"100000\r\n" + b" " * (1 << 20) + b"\r\n" if framing == "chunked" else b" " * (1 << 20)
        for _ in range(20):
            connection.sendall(part)
            sent += 1 << 20

    with (
        raw_server(run_dir / "s", flood),
        Exchange(str(run_dir / "s"), "GET", "/", timeout=10) as exchange,
        pytest.raises(Garbled, match="larger than 16 MiB"),
    ):
        exchange.answer()
    assert sent <= BODY_LIMIT + (2 << 20)


def test_an_answer_of_just_16_mib_is_read(run_dir: Path) -> None:
    body = b'"' + b"x" * (BODY_LIMIT - 2) + b'"'
    data = OK + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    assert asked(run_dir / "s", data) == (200, body)


def test_silence_ends_in_time(run_dir: Path, ctl: Inside) -> None:
    with raw_server(run_dir / "routerd-status.sock", lambda connection: connection.recv(1)):
        began = time.monotonic()
        done = ctl("status", "--timeout", "200ms")
    assert done.code == 6
    assert done.err.startswith(f"error: no answer from {run_dir}/routerd-status.sock within 0.2s\n")
    assert time.monotonic() - began < 5, "the limit is for all of it"


def test_trickle_ends_in_time(run_dir: Path) -> None:
    """A byte now and then does not keep us: the limit is for the whole answer."""

    def trickle(connection: Any) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(b"x")
                time.sleep(0.02)

    with (
        raw_server(run_dir / "s", trickle),
        Exchange(str(run_dir / "s"), "GET", "/", timeout=0.3) as exchange,
        pytest.raises(TimeoutError),
    ):
        exchange.answer()


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[1]", b"{", b"[" * 200_000, b'{"a":\xff}', b"NaN"], ids=lambda body: repr(body[:9])
)
def test_an_answer_that_is_not_a_json_object(body: bytes, run_dir: Path, ctl: Inside) -> None:
    data = OK + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    with raw_server(run_dir / "routerd-status.sock", says(data)):
        done = ctl("get")
    assert (done.code, done.out) == (6, "")
    assert done.err.startswith("error: the answer is not a JSON object\n")


ODD = [
    {"id": "x", "createdAt": 7, "time": [], "kind": 7, "name": [], "spec": 7, "status": {"phase": [], "conditions": 7}},
    {"id": -1, "createdAt": "0001-01-01T00:00:00+23:59", "events": [7], "spec": {}, "status": [], "lastError": {}},
    {
        "currentError": True,
        "resourceKinds": "x",
        "status": {"phase": 7, "dnsServers": {}, "expiresAt": "9999-12-31T23:59:59-23:59"},
    },
    {"name": "daemon x", "kind": "DHCPv4Client", "status": {"currentAddress": 7, "renewAt": "", "expiresAt": 1e400}},
]


KEYS = """
status items events resource raw ledger error info checks cursor newest result errors chain suppressed target since next
generation changes yaml pending fired warnings level until confirmBy $defs deleted valid current
"""
ASKED = [
    "status",
    "get",
    "get controllers",
    "get events",
    "get ledger",
    "get prefixes",
    "describe Interface/wan",
    "events",
    "version",
]
CHANGED = [
    "get generations",
    "get consumers",
    "why Interface/wan",
    "generations",
    "generations 3",
    "apply -f router.yaml",
    "apply -f router.yaml --dry-run",
    "plan -f router.yaml",
    "diff -f router.yaml",
    "validate -f router.yaml",
    "delete Interface/wan",
    "rollback",
    "confirm TOKEN",
    "rules test -f rule.yaml",
    "log-level info",
    "explain",
    "doctor",
    "top",
]


@pytest.mark.parametrize("odd", [None, 7, "x", [], [7], {}, {"x": 7}, [{"x": None}], ODD])
@pytest.mark.parametrize(
    ("words", "status"), [*((words, 200) for words in (*ASKED, *CHANGED)), *((words, 500) for words in ASKED)]
)
def test_json_of_another_shape_is_no_traceback(
    words: str, odd: object, status: int, routerd: Routerd, ctl: Inside
) -> None:
    answer = (status, dict.fromkeys(KEYS.split(), odd))
    for path in ("/status", "/get", "/describe", "/events", "/why", "/generations", "/generations/3", "/consumers"):
        routerd.overrides[PREFIX + path] = answer
    for path in ("/openapi.json", "/readyz", "/schema.json"):
        routerd.overrides[path] = answer
    routerd.posts = dict.fromkeys(routerd.posts, lambda _: answer)
    assert ctl(*words.split()).code in (0, 1, 8), "no exception came through"


RESULTS: list[dict[str, Any]] = [
    {"changes": [{"fields": [{"path": 7, "before": {}, "after": []}, 7]}, 7], "resources": [{"id": 7, "plan": 7}]},
    {"changes": [{"resource": [], "change": {}, "fields": {}}], "warnings": [7, None], "restarts": 7, "phase": []},
    {"resources": [{"id": "x", "outcome": [], "observed": 7, "conditions": [7, {"message": 7}], "warnings": 7}]},
    {"orphans": [{"kind": 7}, 7], "pending": {"confirmBy": 7, "token": 7}, "generation": {}},
]


@pytest.mark.parametrize("odd", RESULTS)
@pytest.mark.parametrize("words", ["apply -f router.yaml", "plan -f router.yaml", "diff -f router.yaml", "rollback"])
def test_results_of_another_shape(words: str, odd: dict[str, Any], routerd: Routerd, ctl: Inside) -> None:
    routerd.posts = dict.fromkeys(routerd.posts, lambda _: (200, {"result": odd}))
    assert ctl(*words.split()).code in (0, 1, 10)


def test_causes_without_end_are_cut(routerd: Routerd, ctl: Inside) -> None:
    chain: dict[str, Any] = {"event": {"id": 1, "reason": "First"}, "root": True}
    for number in range(200):
        chain = {"event": {"id": number, "reason": "Next"}, "causes": [chain]}
    routerd.overrides[f"{PREFIX}/why"] = (200, {"target": "Interface/wan", "phase": "Down", "chain": chain})
    done = ctl("why", "Interface/wan")
    assert (done.code, done.out.splitlines()[-1].strip()) == (0, "...")


def test_a_schema_that_refers_to_itself(routerd: Routerd, ctl: Inside) -> None:
    loop = {"$ref": "#/$defs/Interface"}
    kind = {"properties": {"kind": {"const": "Interface"}, "spec": loop}}
    resources = {"properties": {"resources": {"items": {"oneOf": [kind, 7, {"properties": 7}]}}}}
    routerd.overrides["/schema.json"] = (200, {"$defs": {"Interface": loop, "RouterSpec": resources}})
    assert ctl("explain", "Interface").code == 0
    assert ctl("explain", "Interface.spec.x").code == 3


ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\u2066\r\nFAKE   LINE\tx\x7f\u200b\ud800"


@pytest.mark.parametrize(
    "words",
    [
        "events",
        "status",
        "get",
        "get -o name",
        "get -o jsonpath={.items[*].status}",
        "get -o custom-columns=X:.status.addresses[*]",
        "describe Interface/wan",
        "events -o name",
        "doctor",
        "top",
        "why Interface/wan",
        "plan -f router.yaml",
        "apply -f router.yaml",
        "generations 3",
        "explain Interface",
    ],
)
def test_nothing_that_a_terminal_obeys_is_shown(words: str, routerd: Routerd, ctl: Inside) -> None:
    routerd.event("routerd.test", ESCAPES, about="Interface/wan", reason=ESCAPES)
    routerd.resources["Interface/wan"]["status"]["addresses"] = [ESCAPES]
    routerd.resources["Interface/wan"]["spec"][ESCAPES] = ESCAPES
    routerd.resources["DHCPv4Client/wan"]["status"]["dnsServers"] = [ESCAPES, {"a": ESCAPES}]
    routerd.resource("Interface", ESCAPES, {}, {"phase": ESCAPES, "message": ESCAPES})
    routerd.controllers[0] |= {"currentError": True, "lastError": ESCAPES}
    event = {"reason": ESCAPES, "message": ESCAPES, "resourceKind": ESCAPES, "id": ESCAPES}
    told = {"target": ESCAPES, "phase": ESCAPES, "chain": {"event": event}, "suppressed": [ESCAPES], "next": ESCAPES}
    routerd.overrides[f"{PREFIX}/why"] = (200, told)
    changes = [{"resource": ESCAPES, "fields": [{"path": ESCAPES, "before": ESCAPES, "after": [ESCAPES]}]}]
    resources = [
        {"id": ESCAPES, "outcome": ESCAPES, "phase": ESCAPES, "plan": [ESCAPES], "observed": {ESCAPES: ESCAPES}}
    ]
    result = {"changes": changes, "resources": resources, "warnings": [ESCAPES], "restarts": [ESCAPES]}
    routerd.posts = dict.fromkeys(routerd.posts, lambda _: (200, {"result": {**result, "phase": ESCAPES}}))
    routerd.overrides[f"{PREFIX}/generations/3"] = (200, {"generation": {}, "changes": changes, "yaml": ESCAPES})
    spec = routerd.overrides["/schema.json"][1]["$defs"]["Interface"]  # type: ignore[index]
    spec["properties"][ESCAPES] = {"description": ESCAPES, "type": ESCAPES, "default": ESCAPES, "examples": [ESCAPES]}
    shown = ctl(*words.split())
    assert shown.code in (0, 8)
    assert all(line.isprintable() for line in shown.out.split("\n"))


@pytest.mark.parametrize("form", ["json", "jsonl", "yaml"])
def test_nor_in_json_and_yaml(form: str, routerd: Routerd, ctl: Inside) -> None:
    routerd.event("routerd.test", ESCAPES)
    shown = ctl("events", "--tail", "1", "-o", form)
    assert shown.code == 0
    assert all(line.isprintable() for line in shown.out.split("\n"))


def test_nor_in_errors(routerd: Routerd, ctl: Inside) -> None:
    details = {"message": ESCAPES, "hint": ESCAPES, "code": ESCAPES}
    routerd.overrides[f"{PREFIX}/status"] = 400, {"error": details, "requestId": ESCAPES}
    shown = ctl("status")
    assert shown.code == 1
    assert all(line.isprintable() for line in shown.err.split("\n"))
    assert len(shown.err.splitlines()) <= 10


def test_a_hostile_daemon_socket(run_dir: Path, ctl: Inside) -> None:
    with raw_server(run_dir / "dhcpv4-client" / "wan.sock", says(b"\x00" * 9)):
        assert ctl("renew", "dhcp4/wan").code == 6


def test_connection_reset_is_no_traceback(run_dir: Path) -> None:
    import socket
    import struct

    def reset(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with raw_server(run_dir / "routerd-status.sock", reset):
        done = piped(run_dir, "status")
    assert done.code == 6
    assert "Traceback" not in done.err
