"""The verbs that change and explain, against a real routerd on a simulated host."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from subprocess import CompletedProcess

import pytest

from tests.router.process import WAN, Process, process
from tests.routerctl.run import on_terminal

CHANGED = WAN.replace("spec: {interface: wan", "spec: {routeMetric: 50, interface: wan")
FAULTY = WAN.replace("spec: {interface: wan", "spec: {offerWindow: 30x, interface: wam")
STEP = "~ DHCPv4Client/wan   routeMetric - -> 50"
IN_FORCE = (0, 10)
"""How a change ends; with 10 when the provider has not confirmed the lease to the client that was restarted within the
moment that is waited for, as it is on a busy machine."""


@pytest.fixture
def routerd() -> Iterator[Process]:
    """Up, with a lease."""
    with process() as routerd:
        for name, text in (("changed", CHANGED), ("faulty", FAULTY), ("same", WAN)):
            (routerd.directory / f"{name}.yaml").write_text(text)
        routerd.start()
        routerd.until(routerd.bound)
        yield routerd


def on(routerd: Process, verb: str, *words: str) -> CompletedProcess[str]:
    """Run a verb; `FILE.yaml` is one of the fixture's."""
    return routerd.ctl(verb, *(str(routerd.directory / one) if one.endswith(".yaml") else one for one in words))


def test_a_change_and_back(routerd: Process) -> None:
    planned = on(routerd, "plan", "-f", "changed.yaml", "--exit-code")
    assert planned.returncode == 20
    assert planned.stdout.startswith(f"{STEP}   restart dhcpv4-client/wan\n")
    assert planned.stdout.endswith("restarts dhcpv4-client/wan\n")
    assert on(routerd, "diff", "-f", "changed.yaml").stdout == f"{STEP}\n"
    assert on(routerd, "generations", "-o", "name").stdout == "Generation/1\n", "so far nothing has changed"

    applied = on(routerd, "apply", "-f", "changed.yaml")
    assert applied.returncode in IN_FORCE
    assert applied.stdout.startswith(f"{STEP}\nRESOURCE ")
    assert re.search(r"^DHCPv4Client/wan +changed +(Healthy|Drifted) +-$", applied.stdout, re.MULTILINE)
    assert re.search(r"^restarts dhcpv4-client/wan\ngeneration 2: (Healthy|Drifted)\n\Z", applied.stdout, re.MULTILINE)
    assert on(routerd, "apply", "-f", "changed.yaml").stdout == "no changes: generation 2 stays\n"
    assert on(routerd, "plan", "-f", "changed.yaml", "--exit-code").stdout == "no changes\n"

    assert "routeMetric: 50" in on(routerd, "generations", "2").stdout
    stale = on(routerd, "apply", "-f", "same.yaml", "--if-match", "1")
    assert (stale.returncode, stale.stderr.splitlines()[0]) == (4, "error[stale]: the latest generation is 2, not 1")

    back = on(routerd, "rollback")
    assert back.returncode in IN_FORCE
    assert back.stdout.splitlines()[0] == "~ DHCPv4Client/wan   routeMetric 50 -> -"
    assert routerd.config.read_text() == WAN
    assert on(routerd, "rollback", "--list", "-o", "name").stdout.split() == [f"Generation/{n}" for n in (3, 2, 1)]
    why = on(routerd, "why", "DHCPv4Client/wan").stdout
    assert re.search(r"root: CommandRequested .* rollback$", why, re.MULTILINE), "it is an operator's doing"


def test_at_a_terminal_it_is_asked(routerd: Process) -> None:
    words = ("apply", "-f", str(routerd.directory / "changed.yaml"), "--replace", "--color", "never")
    no = on_terminal(routerd.run_dir, *words, typed="n\n")
    assert (no.code, STEP.replace("->", "→") in no.out) == (1, True)
    assert routerd.config.read_text() == WAN
    yes = on_terminal(routerd.run_dir, *words, typed="y\n")
    assert yes.code in IN_FORCE
    assert yes.out.splitlines()[-1].startswith("generation 2: ")
    assert routerd.config.read_text() == CHANGED


def test_every_mistake_with_its_line_and_nothing_changed(routerd: Process) -> None:
    for verb in ("apply", "plan", "validate"):
        done = on(routerd, verb, "-f", "faulty.yaml")
        assert (done.returncode, done.stdout) == (1, "")
        assert f"--> {routerd.directory}/faulty.yaml:14:" in done.stderr
        assert "error[schema.duration]: DHCPv4Client/wan spec.offerWindow: " in done.stderr
        assert "error[reference.dangling]: DHCPv4Client/wan spec.interface: " in done.stderr
        assert done.stderr.endswith("2 errors, nothing changed\n")
    assert on(routerd, "validate").stdout == "valid\n"
    assert on(routerd, "generations", "-o", "name").stdout == "Generation/1\n"


def test_a_change_on_trial(routerd: Process) -> None:
    applied = on(routerd, "apply", "-f", "changed.yaml", "--confirm-within", "5m")
    assert applied.returncode in IN_FORCE
    [token] = re.findall(r"^  routerctl confirm (\S+)$", applied.stdout, re.MULTILINE)
    other = on(routerd, "apply", "-f", "same.yaml")
    assert other.returncode == 4
    banner = r"^pending: generation 2 is rolled back in \w+ unless confirmed: routerctl confirm$"
    assert re.search(banner, on(routerd, "get").stderr, re.MULTILINE)
    assert on(routerd, "confirm", "wrong").returncode == 4
    longer = on(routerd, "confirm", token, "--extend", "30m")
    assert re.fullmatch(r"generation 2 is not confirmed yet: until \S+ \(in \d+m\)\n", longer.stdout)
    confirmed = on(routerd, "confirm")
    assert (confirmed.stdout, confirmed.stderr) == ("generation 2 is confirmed\n", "")
    assert on(routerd, "get").stderr == ""
    assert on(routerd, "confirm").returncode == 4


def test_a_trial_that_went_back_is_over_when_one_goes_on(routerd: Process) -> None:
    assert on(routerd, "apply", "-f", "changed.yaml", "--confirm-within", "5m").returncode in IN_FORCE
    assert on(routerd, "rollback", "--yes").returncode in IN_FORCE
    late = on(routerd, "confirm")
    words = "error: generation 2 was rolled back before it was confirmed"
    assert (late.returncode, late.stderr.splitlines()[0]) == (9, words)
    assert on(routerd, "apply", "-f", "changed.yaml").returncode in IN_FORCE
    none = on(routerd, "confirm")
    assert (none.returncode, none.stderr.splitlines()[0]) == (4, "error: nothing waits to be confirmed")


def test_the_command_line_is_answered_in_its_own_words(routerd: Process) -> None:
    on_trial = on(routerd, "apply", "-f", "changed.yaml", "--confirm-within", "5m")
    assert on_trial.returncode in IN_FORCE
    refused = on(routerd, "apply", "-f", "same.yaml").stderr
    assert refused.count("confirm it or roll it back") == 1
    assert on(routerd, "rollback", "--yes").returncode in IN_FORCE
    gone = on(routerd, "rollback", "--to", "999", "--yes")
    assert (gone.returncode, "GET /" in gone.stderr) == (3, False)
    rule = on(routerd, "rules", "test", "-f", "changed.yaml", "--since", "1")
    assert (rule.returncode, "ruleYaml" in rule.stderr) == (1, False)
    assert on(routerd, "log-level").stdout.startswith("log level ")
    assert on(routerd, "log-level", "debug", "--for", "99999h").returncode == 2
    cursor = on(routerd, "events", "-o", "jsonpath=.cursor").stdout.strip()
    assert on(routerd, "events", "--since", cursor).returncode == 0


def test_a_resource_is_taken_out(routerd: Process) -> None:
    dry = on(routerd, "delete", "dhcp4/wan", "--dry-run")
    assert dry.stdout.startswith("would delete net.routerd.net/v1alpha1/DHCPv4Client/wan\n- DHCPv4Client/wan   ")
    assert on(routerd, "delete", "dhcp4/wam").returncode == 3
    done = on(routerd, "delete", "dhcp4/wan")
    assert done.returncode == 0
    assert re.search(r"^DHCPv4Client/wan +removed +-", done.stdout, re.MULTILINE)
    assert on(routerd, "get", "-o", "name").stdout == "Interface/wan\n"


def test_what_it_tells_of_itself(routerd: Process) -> None:
    doctor = on(routerd, "doctor")
    assert (doctor.returncode, doctor.stdout.split()[:2]) == (0, ["DOCTOR", "pass"])
    why = on(routerd, "why", "DHCPv4Client/wan").stdout.splitlines()
    assert why[0].startswith("DHCPv4Client/wan  Bound since ")
    assert " root: " in why[-1]
    assert "StatusChanged" not in why[1]
    assert on(routerd, "explain", "dhcp4.offerWindow").stdout.splitlines()[0].endswith("offerWindow  duration")
    assert "DHCPv4Client/wan  Bound" in on(routerd, "top").stdout
    frame = json.loads(on(routerd, "top", "-o", "json").stdout)
    assert frame["status"]["phase"] == "Healthy"
    assert re.match(r"log level debug until \S+ \(in ", on(routerd, "log-level", "debug").stdout)
    assert on(routerd, "log-level", "default").stdout == "log level default\n"


RULE = """
apiVersion: net.routerd.net/v1alpha1
kind: EventRule
metadata: {name: leases}
spec:
  pattern: {operator: any_of, topics: [routerd.dhcpv4.client.lease.bound]}
  emit: {topic: site.lease}
"""


def test_a_rule_is_tried_on_what_was(routerd: Process) -> None:
    (routerd.directory / "rule.yaml").write_text(RULE)
    tried = on(routerd, "rules", "test", "-f", "rule.yaml", "--since", "1h")
    assert tried.returncode == 0
    assert tried.stdout.startswith("EventRule/leases would have fired 1 time in ")
    assert tried.stdout.splitlines()[-1].split()[2] == "site.lease"
    (routerd.directory / "rule.yaml").write_text(RULE.replace("any_of", "anyof"))
    wrong = on(routerd, "rules", "test", "-f", "rule.yaml")
    assert wrong.returncode == 1
    assert f"--> {routerd.directory}/rule.yaml:6:" in wrong.stderr


def test_a_consumer_goes_on_where_it_was(routerd: Process) -> None:
    first = on(routerd, "events", "--consumer", "alarm", "-o", "name").stdout.splitlines()
    assert first[0] == "Event/1"
    routerd.command("renew")
    more = on(routerd, "events", "--consumer", "alarm", "-o", "name").stdout.splitlines()
    assert more and not {*first} & {*more}
    assert on(routerd, "get", "consumers", "-o", "jsonpath=.items[*].name").stdout == "alarm\n"
    assert on(routerd, "events", "--consumer", "no/name").returncode == 2
