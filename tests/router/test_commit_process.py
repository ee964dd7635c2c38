"""A change on trial in the real process: killed (-9), and begun anew on a host that has been started anew."""

from __future__ import annotations

import http.client
import json
import subprocess
from pathlib import Path
from typing import Any

from tests.lab.router import PREFIX, Connection
from tests.router.process import PATIENCE, ROOT, WAN, Process

CANDIDATE = WAN.replace("{ifname: eth0}", "{ifname: eth0, mtu: 1400}")


def post(routerd: Process, path: str, **body: Any) -> tuple[int, Any]:
    """By the main socket."""
    connection: http.client.HTTPConnection = Connection(routerd.run_dir / "routerd.sock", PATIENCE)
    try:
        connection.request("POST", PREFIX + path, json.dumps(body))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def apply(routerd: Process) -> str:
    """Puts the candidate on trial; the token."""
    status, body = post(routerd, "/apply", candidateYaml=CANDIDATE, replace=True, confirmWithin="10m")
    assert status == 200, body
    token: str = body["result"]["pending"]["token"]
    return token


def kept(routerd: Process) -> Path:
    return routerd.state_dir / "pending-commit.json"


def test_killed_and_started_anew_it_goes_back_at_once(up: Process) -> None:
    """A simulated host begins with the process: each start is a reboot."""
    before = up.config.read_text()
    apply(up)
    assert up.config.read_text() == CANDIDATE != before
    assert kept(up).stat().st_mode & 0o777 == 0o600
    up.kill()
    up.start()
    assert up.config.read_text() == before
    up.until(lambda: "routerd.configuration.reverted" in up.topics())
    up.until(lambda: not kept(up).exists())
    assert "ERROR routerd.events: Router/lab: generation 2 was taken back: the host was started anew" in up.log
    assert "Traceback" not in up.log


def test_a_file_broken_by_hand_does_not_keep_it_from_going_back(up: Process) -> None:
    before, broken = up.config.read_text(), "spec: [ # by hand\n"
    apply(up)
    up.config.write_text(broken)
    assert "yaml" in second(up) and up.config.read_text() == broken, "while one runs another touches nothing"
    up.kill()
    up.start()
    assert up.config.read_text() == before
    up.until(lambda: "routerd.configuration.reverted" in up.topics())
    up.until(lambda: not kept(up).exists())
    aside = up.state_dir / "faulty-configuration.yaml"
    assert aside.read_text() == broken and aside.stat().st_mode & 0o777 == 0o600
    [reverted] = [e for e in up.events() if e["topic"] == "routerd.configuration.reverted"]
    assert (reverted["severity"], reverted["reason"]) == ("error", "FileFaulty")
    assert f"is kept as {aside}" in reverted["message"]
    assert f"error: generation 2 was on trial: {up.config} holds generation 1 again" in up.log
    up.until(lambda: up.get("/status")["status"]["phase"] == "Degraded")
    assert "Traceback" not in up.log


def second(up: Process) -> str:
    """What another routerd says that is started with the same files."""
    ended = subprocess.run(up.command_line, capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE, check=False)
    assert ended.returncode == 1, ended.stderr
    return ended.stderr


def test_confirmed_it_stays_over_kills(up: Process) -> None:
    token = apply(up)
    assert post(up, "/confirm", token="wrong")[0] == 409
    assert post(up, "/confirm", token=token)[0] == 200
    up.kill()
    up.start()
    assert up.config.read_text() == CANDIDATE and "pendingCommit" not in up.get("/status")["status"]
    assert "routerd.configuration.reverted" not in up.topics()
