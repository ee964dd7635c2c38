"""Changes of a configuration of 500 resources (250 interfaces with an address each) on a simulated host, through the
API of a real process: until the answer, which comes when the file is on disk and the controllers have settled (50 ms of
quiet among it). Beside it, what reading that file once costs with ruamel.yaml: every change reads it at least once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from ruamel.yaml import YAML

from benchmarks.report import progress, versus
from tests.lab.router import PREFIX, Connection
from tests.router.process import Process, process

LINKS = 250
RUNS = 7
TIMEOUT = 120.0
PEER = "ruamel.yaml reads it"
NET = "net.routerd.net/v1alpha1"
HEAD = "apiVersion: routerd.net/v1alpha1\nkind: Router\nmetadata: {name: big}\nspec:\n  resources:\n"


def document(last: int) -> str:
    """The file; the last address ends in `last`."""
    return HEAD + "".join(_link(number, last if number == LINKS - 1 else 1) for number in range(LINKS))


def _link(number: int, host: int) -> str:
    return (
        f"  # line {number}\n  - apiVersion: {NET}\n    kind: Interface\n    metadata:\n      name: v{number}\n"
        f"    spec:\n      ifname: v{number}\n  - apiVersion: {NET}\n    kind: IPv4StaticAddress\n    metadata:\n"
        f"      name: v{number}\n    spec:\n      interface: v{number}\n      address: 10.{number}.0.{host}/24\n"
    )


def one(host: int) -> str:
    """A candidate with the last address alone."""
    spec = {"interface": f"v{LINKS - 1}", "address": f"10.{LINKS - 1}.0.{host}/24"}
    about = {"apiVersion": NET, "kind": "IPv4StaticAddress", "metadata": {"name": f"v{LINKS - 1}"}, "spec": spec}
    return json.dumps({"spec": {"resources": [about]}})


def run() -> list[dict[str, Any]]:
    """Medians of the answers' times, in turns."""
    with _routerd() as routerd:
        hosts = iter(range(2, 250))

        def ask(path: str, text: str, **more: bool) -> Callable[[], None]:
            return lambda: _post(routerd, path, {"candidateYaml": text, **more})

        def whole(path: str) -> Callable[[], None]:
            return lambda: _post(routerd, path, {"candidateYaml": document(next(hosts)), "replace": True})

        measured: dict[str, Callable[[], None]] = {
            "apply, the whole file with one address changed": whole("/apply"),
            "apply, one resource merged in": lambda: ask("/apply", one(next(hosts)))(),
            "plan, the whole file with one address changed": whole("/plan"),
            "plan, one resource": lambda: ask("/plan", one(next(hosts)))(),
            "apply, one resource that says the same": ask("/apply", document(1)[: len(HEAD)] + _link(0, 1)),
        }
        took: dict[str, list[float]] = {name: [] for name in (PEER, *measured)}
        for turn in range(RUNS):
            progress(f"changes: turn {turn + 1} of {RUNS}")
            took[PEER].append(_timed(lambda: YAML(typ="safe", pure=True).load(document(1))))
            for name, act in measured.items():
                took[name].append(_timed(act))
    return [_row(name, took[name], median(took[PEER])) for name in measured]


def _row(name: str, took: list[float], peer: float) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(median(took), 3),
        "unit": "s",
        "detail": f"fastest {min(took):.3f}, slowest {max(took):.3f}; median of {RUNS}; {PEER} in {peer:.3f}",
        **versus(PEER, median(took) / peer),
    }


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


@contextmanager
def _routerd() -> Iterator[Process]:
    """One that has the file in force."""
    with process() as routerd:
        routerd.config.write_text(document(1))
        routerd.start()
        healthy = f"{PREFIX}/status"
        routerd.until(lambda: routerd.ask(healthy)[1]["status"]["phase"] == "Healthy", within=TIMEOUT)
        yield routerd


def _post(routerd: Process, path: str, body: dict[str, Any]) -> None:
    connection = Connection(routerd.run_dir / "routerd.sock", TIMEOUT)
    try:
        connection.request("POST", PREFIX + path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        told = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status}: {told[:500].decode()}")
    finally:
        connection.close()
