"""A client that reads events until it is killed, and whose memory is one file: the standard library's alone.

    python tests/router/watcher.py SOCKET MODE FILE

Each line of the file is a cursor and the digest of that event, or `lost` and how many were declared lost. What it knows
when it starts again is the last whole line: half a line is of an event that it did not have."""

from __future__ import annotations

import http.client
import json
import os
import socket
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

PREFIX = "/api/control.routerd.net/v1alpha1"
NAME = "soak"


class Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("routerd", timeout=40)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def digest(event: Any) -> str:
    """Of an event as it was read."""
    return f"{zlib.crc32(json.dumps(event, sort_keys=True).encode()):08x}"


class Memory:
    """The file, and the last cursor in it."""

    def __init__(self, path: str, first: str) -> None:
        self.file = open(path, "ab+")  # noqa: SIM115, PTH123  (until we are killed)
        self.file.seek(0)
        whole = self.file.read()
        whole = whole[: whole.rfind(b"\n") + 1]
        self.file.truncate(len(whole))
        seen = [line.split() for line in whole.decode().splitlines() if not line.startswith("lost")]
        self.cursor = seen[-1][0] if seen else first

    def note(self, rows: list[tuple[str, Any]], lost: int = 0) -> None:
        """These came, in this order; so many before them did not."""
        lines = [f"lost {lost}\n"] if lost else []
        lines += [f"{cursor} {digest(event)}\n" for cursor, event in rows]
        self.file.write("".join(lines).encode())
        self.file.flush()
        if rows:
            self.cursor = rows[-1][0]


def ask(path: str, target: str, method: str = "GET", body: str = "", **headers: str) -> http.client.HTTPResponse:
    connection = Connection(path)
    connection.request(
        method, target, body or None, {"Content-Type": "application/json", **headers} if body else headers
    )
    return connection.getresponse()


def refused(answer: http.client.HTTPResponse) -> str | None:
    """The cursor to go on from, when ours is too old."""
    if answer.status == 410:
        oldest: str = json.loads(answer.read())["error"]["oldest"]
        return oldest
    if answer.status != 200:
        raise ConnectionError(answer.status)
    return None


def stream(path: str, target: str, memory: Memory) -> None:
    """One stream, until it ends."""
    answer = ask(path, target, Accept="text/event-stream", **{"Last-Event-ID": memory.cursor})
    oldest = refused(answer)
    if oldest is not None:
        memory.note([], lost=number(oldest) - number(memory.cursor))
        memory.cursor = oldest
        return
    for fields in blocks(answer):
        if "data" in fields:
            data = json.loads(fields["data"])
            if fields.get("event") == "lost":
                memory.note([], lost=data["lost"])
            else:
                memory.note([(fields["id"], data)])


def blocks(answer: http.client.HTTPResponse) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    for line in answer:
        text = line.decode().rstrip("\n")
        if text:
            name, _, value = text.partition(": ")
            fields[name] = value
        else:
            yield fields
            fields = {}


def poll(path: str, target: str, memory: Memory, of_daemon: bool) -> None:
    """One page, or one that waits."""
    answer = ask(path, f"{target}?since={memory.cursor}&wait=5s&limit=1000")
    oldest = refused(answer)
    if oldest is not None:
        memory.note([], lost=number(oldest) - number(memory.cursor))
        memory.cursor = oldest
        return
    page = json.loads(answer.read())
    memory.note(rows(page, of_daemon), lost=page["lost"])


def consume(path: str, memory: Memory) -> None:
    """One page of a durable consumer, which knows itself where it stands."""
    answer = ask(path, f"{PREFIX}/events?consumer={NAME}&wait=5s&limit=1000")
    refused(answer)
    page = json.loads(answer.read())
    memory.note(rows(page, False), lost=page["lost"])
    body = json.dumps({"consumer": NAME, "cursor": page["cursor"]})
    refused(ask(path, f"{PREFIX}/events/ack", "POST", body))


def rows(page: Any, of_daemon: bool) -> list[tuple[str, Any]]:
    if of_daemon:
        return [(event["cursor"], event) for event in page["events"]]
    return [(f"{page['epoch']}-{event['id']}", event) for event in page["events"]]


def number(cursor: str) -> int:
    return int(cursor.rpartition("-")[2])


def main(path: str, mode: str, file: str) -> None:
    memory = Memory(file, "0")
    step = {
        "stream": lambda: stream(path, f"{PREFIX}/events", memory),
        "poll": lambda: poll(path, f"{PREFIX}/events", memory, False),
        "daemon-stream": lambda: stream(path, "/v1/events", memory),
        "daemon-poll": lambda: poll(path, "/v1/events", memory, True),
        "consumer": lambda: consume(path, memory),
    }[mode]
    while os.getppid() != 1:
        with suppress(OSError, http.client.HTTPException, json.JSONDecodeError):
            step()
            continue
        time.sleep(0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])
