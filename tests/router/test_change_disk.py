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
