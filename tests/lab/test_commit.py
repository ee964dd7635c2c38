"""Changes on trial on real interfaces: an operator cuts off the branch that they sit on, and it grows again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lab.netns import Namespace, wire
from tests.lab.router import PREFIX, Router

pytestmark = pytest.mark.lab

HEAD = "apiVersion: routerd.net/v1alpha1\nkind: Router\nmetadata: {name: lab}\nspec:\n  resources:"
RESOURCE = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: {}
      metadata: {{name: {}}}
      spec: {}"""
LAN, OPERATOR = "192.168.1.1", "192.168.1.7"
INTERFACE = RESOURCE.format("Interface", "lan", "{ifname: lan0}")
SMALLER = RESOURCE.format("Interface", "lan", "{ifname: lan0, mtu: 1280}")
ADDRESS = RESOURCE.format("IPv4StaticAddress", "lan", f"{{interface: lan, address: {LAN}/24}}")
OTHER = RESOURCE.format("IPv4StaticAddress", "lan", "{interface: lan, address: 192.168.7.1/24}")
ACCESS = RESOURCE.format("ManagementAccess", "ssh", "{interfaces: [lan]}")

POST = """
import http.client, json, socket, sys
class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX); self.sock.connect(sys.argv[1])
connection = Unix("routerd"); connection.request("POST", sys.argv[2], sys.argv[3])
answer = connection.getresponse(); print(answer.status, answer.read().decode())
"""
"""A process of its own, as an operator's is: whoever asks is looked at."""


def post(router: Router, path: str, ssh: str = "", **body: Any) -> tuple[int, Any]:
    """As root, from a shell behind `ssh` (SSH_CONNECTION)."""
    socket = str(router.run_dir / "routerd.sock")
    environment = {name: value for name, value in os.environ.items() if name != "SSH_CONNECTION"}
    environment |= {"SSH_CONNECTION": ssh} if ssh else {}
    command = [sys.executable, "-c", POST, socket, PREFIX + path, json.dumps(body)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    status, _, text = done.stdout.partition(" ")
    return int(status), json.loads(text)


def apply(router: Router, *resources: str, within: str, ssh: str = "") -> dict[str, Any]:
    """A change on trial."""
    candidate = HEAD + "".join(resources) + "\n"
    status, body = post(router, "/apply", ssh, candidateYaml=candidate, replace=True, confirmWithin=within)
    assert status == 200, body
    result: dict[str, Any] = body["result"]
    return result


@pytest.fixture
def operator(namespaces: Callable[[str], Namespace]) -> Namespace:
    return namespaces("op")


@pytest.fixture
def router(namespaces: Callable[[str], Namespace], operator: Namespace, tmp_path: Path) -> Router:
    """Its LAN is wired to the operator's host; it does not run yet."""
    router = Router(namespaces("rtr"), tmp_path, HEAD + INTERFACE + ADDRESS + "\n")
    wire(operator, "eth0", router.namespace, "lan0")
    operator.ip("addr", "add", f"{OPERATOR}/24", "dev", "eth0")
    return router


def reaches(operator: Namespace) -> bool:
    return operator.spawn("ping", "-c1", "-W1", LAN, stdout=subprocess.DEVNULL).wait() == 0


def told(router: Router, word: str) -> list[str]:
    """The messages of the events of a topic."""
    page = router.get(f"/events?since=0&limit=1000&topic=routerd.configuration.{word}")
    return [event["message"] for event in page["events"]]


def config_of(router: Router) -> str:
    return (router.directory / "router.yaml").read_text()


@pytest.mark.parametrize("guard", ["interface", "caller"])
def test_the_management_address_is_removed_and_comes_back(router: Router, operator: Namespace, guard: str) -> None:
    kept = () if guard == "caller" else (ACCESS,)
    router.config = HEAD + INTERFACE + ADDRESS + "".join(kept) + "\n"
    router.start()
    router.until(lambda: reaches(operator))
    cut = (INTERFACE, OTHER) if guard == "caller" else (INTERFACE, ACCESS)
    ssh = f"{OPERATOR} 50022 {LAN} 22" if guard == "caller" else ""
    began = time.monotonic()
    pending = apply(router, *cut, within="10m", ssh=ssh)["pending"]
    router.until(lambda: f"{LAN}/24" not in router.addresses("lan0"), 30)
    assert router.get("/status")["status"]["pendingCommit"]["generation"] == pending["generation"]
    router.until(lambda: router.addresses("lan0") == [f"{LAN}/24"], 40)
    assert time.monotonic() - began >= 9, "it was borne for a while"
    router.until(lambda: reaches(operator))
    assert config_of(router) == router.config
    router.until(lambda: told(router, "reverted"), 20)
    assert ("connected" in told(router, "reverted")[0]) is (guard == "caller")
    router.until(lambda: "pendingCommit" not in router.get("/status")["status"])
    log = (router.directory / "routerd.log").read_text()
    assert "ERROR routerd.events: Router/lab: generation 2 was taken back" in log


def test_it_goes_back_in_time_although_routerd_was_killed(router: Router) -> None:
    """The host has not been started anew: the rest of the time is granted, and no more."""
    router.start()
    router.until(lambda: router.addresses("lan0"))
    token = apply(router, SMALLER, ADDRESS, within="9s")["pending"]["token"]
    began = time.monotonic()
    router.kill()
    original, router.config = router.config, config_of(router)
    assert "1280" in router.config
    router.start()
    status = router.get("/status")["status"]
    assert status["pendingCommit"]["generation"] == 2 and time.monotonic() - began < 9
    router.until(lambda: config_of(router) == original, 20)
    assert time.monotonic() - began > 7, "not at the start"
    assert post(router, "/confirm", token=token)[0] == 409
    router.until(lambda: told(router, "reverted"), 20)
    assert "nobody confirmed it in time" in told(router, "reverted")[0]


def test_it_is_confirmed_over_a_kill(router: Router) -> None:
    router.start()
    router.until(lambda: router.addresses("lan0"))
    token = apply(router, SMALLER, ADDRESS, within="5m")["pending"]["token"]
    router.kill()
    router.config = config_of(router)
    router.start()
    assert post(router, "/confirm", token=token)[0] == 200
    router.kill()
    router.start()
    assert "1280" in config_of(router) and "pendingCommit" not in router.get("/status")["status"]
