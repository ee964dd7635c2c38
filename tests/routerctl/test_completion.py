"""Words for the shells: asked live, in time, and silent when there is nobody to ask."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from routerctl.__main__ import COMPLETE, VERBS
from tests.routerctl.run import COMMAND, ROOT, Inside, environment
from tests.routerctl.server import Routerd, raw_server

SHELLS = ("bash", "zsh", "fish")


def offered(ctl: Inside, *words: str) -> list[str]:
    done = ctl(COMPLETE, "--", *words)
    assert done.err == ""
    return [line.partition("\t")[0] for line in done.out.splitlines()]


def test_verbs(ctl: Inside) -> None:
    assert offered(ctl, "") == list(VERBS)
    assert offered(ctl, "re") == ["renew", "rebind", "release", "reload"]
    assert offered(ctl, "-q", "--color", "never", "ver") == ["version"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("describe ", "Interface/wan Interface/lan DHCPv4Client/wan IPv4StaticAddress/lan"),
        ("describe if", "Interface/wan Interface/lan"),
        ("describe dhcpv4client/W", "DHCPv4Client/wan"),
        ("describe Interface/wan ", ""),
        ("renew ", "DHCPv4Client/wan"),
        ("get re", "resources"),
        ("get In", "Interface/wan Interface/lan"),
        ("get --resource D", "DHCPv4Client/wan"),
        ("get --resource=D", "--resource=DHCPv4Client/wan"),
        ("get -o j", "json jsonl jsonpath="),
        ("get --output=y", "--output=yaml"),
        ("get --limit ", ""),
        ("get --ev", "--events-limit"),
        ("events --s", "--since --severity --socket"),
        ("events --severity w", "warning"),
        ("events --topic routerd.dhcpv4", "routerd.dhcpv4.client.lease.** routerd.dhcpv4.client.lease.bound"),
        ("wait r", "routerd"),
        ("wait routerd --for ", "ready"),
        ("wait dhcp4/wan --for con", "condition=LeaseReady condition=AddressInstalled"),
        ("wait --for del", "deleted"),
        ("wait dhcp4/wan --or-fail phase=E", "phase=Error"),
        ("completion ", "bash fish zsh"),
        ("why if", "Interface/wan Interface/lan"),
        ("delete D", "DHCPv4Client/wan"),
        ("rollback --to ", "3 2 1"),
        ("generations 2", "2"),
        ("apply -f ro", "router.yaml"),
        ("apply -f nowhere/", ""),
        ("apply --confirm-within ", ""),
        ("doctor w", "wan"),
        ("events --consumer ", "alarm"),
        ("log-level d", "default debug"),
        ("rules ", "test"),
        ("explain I", "Interface"),
        ("explain Interface.spec.m", "Interface.spec.mtu"),
        ("get co", "controllers consumers"),
        ("plan --ex", "--exit-code"),
        ("nonsense ", ""),
    ],
)
def test_candidates(words: str, found: str, routerd: Routerd, ctl: Inside) -> None:
    assert offered(ctl, *words.split(" ")) == found.split()


def test_another_run_dir_is_obeyed(routerd: Routerd, ctl: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTERD_RUN_DIR", "/nonexistent")
    assert offered(ctl, "describe", "D") == []
    assert offered(ctl, "--run-dir", str(routerd.run_dir), "describe", "D") == ["DHCPv4Client/wan"]


def test_silent_and_quick_without_routerd(run_dir: Path, ctl: Inside) -> None:
    assert offered(ctl, "describe", "") == []
    assert offered(ctl, "get", "r") == ["resources", "runtime"], "what needs no answer is there all the same"


def test_a_silent_routerd_costs_150_ms_and_no_word(run_dir: Path, ctl: Inside) -> None:
    with raw_server(run_dir / "routerd-status.sock", lambda connection: connection.recv(1)):
        began = time.monotonic()
        assert offered(ctl, "wait", "Interface/wan", "--for", "cond") == []
    assert time.monotonic() - began < 5


def test_names_from_the_network_are_harmless(routerd: Routerd, ctl: Inside) -> None:
    routerd.resource("Interface", "x\x1b[31m\n$(reboot)", {}, {})
    assert "Interface/x\\x1b[31m\\n$(reboot)" in offered(ctl, "describe", "Interface/x")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_parses(shell: str, ctl: Inside, tmp_path: Path) -> None:
    if not (program := shutil.which(shell)):
        pytest.skip(f"no {shell} here")
    script = tmp_path / "script"
    script.write_text(ctl("completion", shell).out)
    subprocess.run([program, "-n", str(script)], check=True)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_asks_routerctl(shell: str, ctl: Inside) -> None:
    assert f"routerctl {COMPLETE} -- " in ctl("completion", shell).out


@pytest.mark.parametrize(
    ("line", "replies"),
    [
        ("routerctl sta", ["status", "start"]),
        ("routerctl describe DHCPv4Client/", ["DHCPv4Client/wan"]),
        ("routerctl wait DHCPv4Client/wan --for condition=L", ["LeaseReady"]),
        ("routerctl get --output=j", ["json", "jsonl", "jsonpath="]),
        ("routerctl describe ", ["Interface/wan", "Interface/lan", "DHCPv4Client/wan", "IPv4StaticAddress/lan"]),
        ("routerctl version x", []),
    ],
)
def test_bash_completes(line: str, replies: list[str], routerd: Routerd, ctl: Inside, tmp_path: Path) -> None:
    """In a real bash, with its word breaks."""
    if not (bash := shutil.which("bash")):
        pytest.skip("no bash here")
    (tmp_path / "routerctl").write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    (tmp_path / "routerctl").chmod(0o755)
    script = ctl("completion", "bash").out
    script += f"COMP_LINE='{line}'\nCOMP_POINT=${{#COMP_LINE}}\n_routerctl\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
    path = f"{tmp_path}:/usr/bin:/bin"
    done = subprocess.run(
        [bash, "-c", script], env=environment(routerd.run_dir, PATH=path), capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == replies, done.stderr


def test_the_scripts_name_no_path_of_this_clone(ctl: Inside) -> None:
    assert all(str(ROOT) not in ctl("completion", shell).out for shell in SHELLS)
