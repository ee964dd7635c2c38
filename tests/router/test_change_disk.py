"""A real process whose disk is full, or gone read-only, when its configuration is to be changed."""

from __future__ import annotations

import json
from typing import Any

from tests.lab.router import PREFIX, Connection
from tests.router.changing import candidate, lan
from tests.router.process import PATIENCE, WAN, Process, small_disk


def post(routerd: Process, path: str, **fields: Any) -> tuple[int, Any]:
    connection = Connection(routerd.run_dir / "routerd.sock", PATIENCE)
    try:
        connection.request("POST", PREFIX + path, json.dumps(fields))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def assert_refused(routerd: Process, words: str) -> None:
    fields = {"candidateYaml": candidate(lan())}
    before = routerd.config.read_text()
    status, body = post(routerd, "/apply", **fields)
    assert status == 503, body
    assert words in body["error"]["message"]
    assert body["error"]["message"].endswith("nothing is changed")
    assert routerd.config.read_text() == before
    assert routerd.get("/generations")["current"] == 1
    assert post(routerd, "/plan", **fields)[0] == 200, "what needs no disk can be asked for"
    assert post(routerd, "/validate")[1]["valid"]


def test_there_is_no_room_for_the_file(routerd: Process) -> None:
    with small_disk(routerd.directory / "etc") as disk:
        (disk.path / "router.yaml").write_text(WAN)
        routerd.config.symlink_to("etc/router.yaml")
        routerd.start()
        disk.fill()
        assert_refused(routerd, "No space left on device")
        disk.drain()
        disk.remount("ro")
        assert_refused(routerd, "Read-only file system")
        disk.remount("rw")
        status, body = post(routerd, "/apply", candidateYaml=candidate(lan()))
        assert status == 200, body
        assert {path.name for path in disk.path.iterdir()} == {"router.yaml", ".router.yaml.lock"}
        assert body["result"]["generation"] == 2
        assert "eth1" in routerd.config.read_text()
        rejected = [e for e in routerd.events() if e["topic"] == "routerd.configuration.rejected"]
        assert {e["reason"] for e in rejected} == {"ConfigurationUnwritable"}
        routerd.kill()


def test_what_would_not_be_on_record_is_not_done(routerd: Process) -> None:
    """But what the network needs now is."""
    routerd.state_dir = routerd.directory / "disk"
    with small_disk(routerd.state_dir) as disk:
        routerd.start()
        routerd.until(routerd.bound)
        before = routerd.config.read_text()
        disk.fill()
        routerd.until(lambda: post(routerd, "/log-level", level="debug")[0] == 503)
        for path, fields in (
            ("/log-level", {"level": "debug"}),
            ("/apply", {"candidateYaml": candidate(lan())}),
            ("/delete", {"target": "DHCPv4Client/wan"}),
            ("/rollback", {"to": 1}),
        ):
            status, body = post(routerd, path, **fields)
            assert (status, body["error"]["code"]) == (503, "log.degraded"), body
            assert "full" in body["error"]["message"] and str(disk.path) in body["error"]["hint"]
        assert routerd.command("renew")
        assert routerd.config.read_text() == before and routerd.get("/generations")["current"] == 1
        disk.drain()
        routerd.until(lambda: not routerd.unready())
        assert post(routerd, "/log-level", level="info")[0] == 200
        ended = [e for e in routerd.events() if e["topic"] == "routerd.api.command.ended"]
        assert "log.degraded" in {e["attributes"]["outcome"] for e in ended}, "who tried is told in the end"
        routerd.kill()
