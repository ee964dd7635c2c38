"""The program as it is started: what it leaves in the file system, and who may read or write that."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from routerd.__main__ import main

ROOT = Path(__file__).parent.parent
CONFIGURATION = """
apiVersion: routerd.net/v1alpha1
kind: Router
metadata: {name: home}
spec:
  resources:
    - {apiVersion: net.routerd.net/v1alpha1, kind: Interface, metadata: {name: wan}, spec: {ifname: eth0}}
    - apiVersion: net.routerd.net/v1alpha1
      kind: DHCPv4Client
      metadata: {name: wan}
      spec:
        interface: wan
        conflictDetection: skip
        sendOptions: [{code: 90, secret: hunter2}]
"""
FOR_ALL = {"routerd-status.sock"}


@contextmanager
def running(directory: Path, umask: int) -> Iterator[Path]:
    """routerd with its folders below `directory`, once it has a lease; the path of its log."""
    config, log, notify = directory / "router.yaml", directory / "log", directory / "notify"
    config.write_text(CONFIGURATION)
    folders = ("--run-dir", directory / "a" / "run", "--state-dir", directory / "b" / "state")
    command = [sys.executable, "-m", "routerd", "serve", "--host", "simulated", "--config", config, *folders]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, log.open("wb") as output:
        told.bind(str(notify))
        told.settimeout(30)
        environment = {**os.environ, "NOTIFY_SOCKET": str(notify)}
        process = subprocess.Popen(command, stdout=output, stderr=output, umask=umask, env=environment, cwd=ROOT)
        try:
            assert told.recv(1000).startswith(b"READY=1")
            wait = ("wait", "DHCPv4Client/wan", "--for", "phase=Bound", "--run-dir", directory / "a" / "run")
            subprocess.run([sys.executable, "-m", "routerctl", *wait], check=True, capture_output=True, cwd=ROOT)
            yield log
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


@pytest.mark.req("C16")
@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_others_may_enter_and_ask_and_nothing_else_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    with running(tmp_path, umask) as log:
        found = {path: path.lstat().st_mode for top in ("a", "b") for path in [*(tmp_path / top).rglob("*")]}
        texts = [path for path in found if path.parent.name == "generations"]  # of configurations, for us alone
        data = b"".join(p.read_bytes() for p, mode in found.items() if stat.S_ISREG(mode) and p not in texts)
    names = {path.name for path in found}
    assert names >= {"lease.json", "events.jsonl", "routerd.db", "routerd.lock", "duid", "generation.key", "wan.sock"}
    for path, mode in found.items():
        others = mode & stat.S_IRWXO
        if stat.S_ISDIR(mode):
            assert not mode & (stat.S_IWGRP | stat.S_IWOTH), path
            assert path.name != "run" or others == stat.S_IROTH | stat.S_IXOTH
        else:
            assert not others or path.name in FOR_ALL, path
    assert [path.name for path in texts] == ["1.yaml"]
    assert b"hunter2" not in data + log.read_bytes()


@pytest.mark.parametrize("verb", ["serve", "demo"])
def test_help_explains_every_flag_and_what_it_is_by_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    _, _, options = capsys.readouterr().out.partition("options:")
    flags = [" ".join(text.split()) for text in options.split("\n  -")]
    assert len(flags) > 3
    for text in flags[2:]:
        flag, _, words = text.partition(" ")
        assert "(default: " in words or flag == "-check", text
