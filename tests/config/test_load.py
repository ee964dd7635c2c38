"""What a good file becomes, and what a wrong one says beyond the goldens."""

from __future__ import annotations

from pathlib import Path

import pytest

from routerd.config import ConfigErrors, Router, load
from routerd.config.rules import MOST
from routerd.config.text import LARGEST
from routerd.resources.net import DHCPv4Client, Interface, IPv4StaticAddress
from routerd.resources.resource import OwnerRef
from routerd.shapes.secret import Secret
from tests.config.valid import EXAMPLES

HEAD = "apiVersion: routerd.net/v1alpha1\nkind: Router\nmetadata: {name: home}\nspec:\n  resources:"
WAN = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: wan, annotations: {rack: B4}, ownerRefs: [{kind: Bridge, name: br0}]}
      spec: {ifname: eth0}
      status: {phase: Up}
"""


def codes(text: str | bytes) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        load(text)
    return [error.code for error in caught.value.errors]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_loads(path: Path) -> None:
    router = load(path.read_bytes(), str(path))
    assert router.name == path.stem
    assert router.resources


def test_there_are_examples() -> None:
    assert [path.stem for path in EXAMPLES] == ["alarms", "home", "ipv6", "observed", "standby", "static", "two-wans"]


def test_a_resource_has_all_that_was_written() -> None:
    router = load(HEAD + WAN, "here.yaml")
    (wan,) = router.of(Interface)
    assert (wan.api_version, wan.kind, wan.name) == ("net.routerd.net/v1alpha1", "Interface", "wan")
    assert wan.spec == Interface("eth0")
    assert wan.owner_refs == (OwnerRef("Bridge", "br0"),)
    assert wan.annotations == {"rack": "B4"}
    assert str(wan.position) == "here.yaml:6:7"


def test_asking_a_router() -> None:
    router = load(EXAMPLES[-1].read_bytes())
    assert [client.name for client in router.of("DHCPv4Client")] == ["fibre", "lte"]
    assert router.of("DHCPv4Client") == router.of(DHCPv4Client)
    lte = router.get(DHCPv4Client, "lte")
    assert lte is not None
    assert lte.spec.offer_window == 0.5
    assert router.get("Interface", "lte") is not None
    assert router.get("Interface", "LTE") is None
    assert router.of("HealthCheck") == ()


def test_order_is_the_files() -> None:
    text = next(path for path in EXAMPLES if path.stem == "static").read_text()
    assert [one.name for one in load(text).of(IPv4StaticAddress)] == ["uplink", "servers", "anycast"]


def test_comments_and_layout_change_neither_digest_nor_equality() -> None:
    plain = load(HEAD + WAN, "a")
    other = load("# a comment\n\n" + HEAD + WAN.replace("{ifname: eth0}", '{"ifname": eth0}'), "b")
    changed = load(HEAD + WAN.replace("eth0", "eth1"), "a")
    assert plain == other
    assert plain.digest == other.digest
    assert plain.digest.startswith("sha256:")
    assert changed != plain
    assert changed.digest != plain.digest


@pytest.mark.req("C16")
def test_a_router_shows_no_secret() -> None:
    text = EXAMPLES[-1].read_text().replace("00:00:00:00:00:00", "hunter2")
    router = load(text)
    fibre = router.get(DHCPv4Client, "fibre")
    assert fibre is not None
    assert isinstance(fibre.spec.send_options[1].secret, Secret)
    assert "hunter2" in router.text
    assert "hunter2" not in repr(router)


def test_yaml_is_12() -> None:
    """Booleans are true and false; an octal is 0o17; a sexagesimal is text; JSON is YAML."""
    assert codes(HEAD + WAN.replace("eth0}", "eth0, managed: on}")) == ["schema.type"]
    assert load(HEAD + WAN.replace("eth0}", "eth0, managed: FALSE, mtu: 0o2734}")).of(Interface)[0].spec.mtu == 1500
    assert codes(HEAD + WAN.replace("eth0}", "eth0, mtu: 25:00}")) == ["schema.type"]
    assert codes(HEAD + WAN.replace("B4", "null")) == ["schema.type"]
    json = '{"apiVersion":"routerd.net/v1alpha1","kind":"Router","metadata":{"name":"a"},"spec":{"resources":[]}}'
    assert load(json) == Router("a", (), digest=load(json).digest)


def test_byte_order_mark_and_line_ends() -> None:
    assert load(b"\xef\xbb\xbf" + (HEAD + WAN).encode()).of(Interface)
    windows = (HEAD + WAN.replace("eth0", "eth/0")).replace("\n", "\r\n")
    with pytest.raises(ConfigErrors) as caught:
        load(windows)
    (error,) = caught.value.errors
    assert (error.line, error.column, error.text) == (9, 22, "      spec: {ifname: eth/0}")


def test_aliases_stand_for_their_values() -> None:
    text = (
        HEAD
        + WAN.replace("spec: {ifname: eth0}", "spec: &eth {ifname: eth0}")
        + WAN.replace("wan", "lan").replace("{ifname: eth0}", "*eth")
    )
    assert codes(text) == ["duplicate.ifname"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", "yaml.empty"),
        (b"~", "yaml.empty"),
        (b"---\n...\n", "yaml.empty"),
        (b"\xff\xfe\x00", "yaml.encoding"),
        ("kind: \udc80".encode("utf-8", "surrogatepass"), "yaml.encoding"),
        ("kind: \udc80", "yaml.character"),
        ("kind: \uffff", "yaml.character"),
        ('kind: "\\ud800"', "yaml.character"),
        ('kind: "\\U00110000"', "yaml.character"),
        ("x" * (LARGEST + 1), "yaml.size"),
        ("[" * 100_000, "yaml.too-deep"),
        ("- " * 100_000, "yaml.too-deep"),
        ("{a: " * 100, "yaml.too-deep"),
    ],
)
def test_what_cannot_be_read_at_all(text: str | bytes, code: str) -> None:
    assert code in codes(text)


def test_a_resource_with_errors_is_still_there_for_others() -> None:
    text = (
        HEAD
        + WAN.replace("eth0", "eth/0")
        + WAN.replace("wan", "lan")
        .replace("eth0", "eth1")
        .replace("kind: Interface", "kind: DHCPv4Client")
        .replace("ifname: eth1", "interface: wan")
    )
    assert codes(text) == ["schema.pattern"]


def test_every_error_is_told_once() -> None:
    text = HEAD + WAN.replace("eth0", "eth/0") + WAN.replace("eth0", "eth/0")
    assert sorted(codes(text)) == ["duplicate.resource", "schema.pattern", "schema.pattern"]


def test_an_empty_kind_is_not_passed_over() -> None:
    document = (
        "apiVersion: routerd.net/v1alpha1\nkind: Router\nmetadata: {name: r}\nspec:\n  resources:\n"
        "    - {apiVersion: net.routerd.net/v1alpha1, kind: '', metadata: {name: x}, spec: {}}\n"
    )
    with pytest.raises(ConfigErrors) as caught:
        load(document, "router.yaml")
    assert [error.code for error in caught.value.errors] == ["schema.kind"]


def test_a_configuration_has_so_many_rules() -> None:
    """Each of them reads every event; and whether they hear each other is asked for every two."""
    rule = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: EventRule
      metadata: {name: r%d}
      spec: {pattern: {operator: any_of, topic: a.**}, emit: {topic: b}}"""
    rules = "".join(rule % number for number in range(MOST))
    assert len(load(HEAD + rules).resources) == MOST
    assert codes(HEAD + rules + rule % MOST) == ["value.rules"]


def test_a_glob_of_topics_does_not_take_in_the_names_of_rules() -> None:
    """Only a status that is looked at makes a rule hear of another by its name."""
    rule = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: EventRule
      metadata: {name: r}
      spec: {pattern: {operator: any_of, topic: "*"}, emit: {topic: a.b}}"""
    assert len(load(HEAD + rule).resources) == 1
