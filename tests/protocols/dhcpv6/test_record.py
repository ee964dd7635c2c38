"""What is kept over a restart: the file's shape, its way back to life, and any octets in its place."""

from __future__ import annotations

import json
from ipaddress import IPv6Network
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.protocols.dhcpv6 import outputs
from routerd.protocols.dhcpv6.association import Grant
from routerd.protocols.dhcpv6.auth import Key
from routerd.protocols.dhcpv6.information import Information
from routerd.protocols.dhcpv6.memory import Memory
from routerd.protocols.dhcpv6.message import MessageType, Option
from routerd.protocols.dhcpv6.record import ClientRecord, _File, dump, load, revive
from routerd.protocols.malformed import Malformed
from routerd.protocols.sealed import seal
from tests.protocols.dhcpv6.scene import (
    ADDRESS,
    DNS,
    DUID,
    INFINITE,
    NA,
    OTHER_PREFIX,
    PD,
    PREFIX,
    SERVER,
    Scene,
    binding,
    ia,
    memory,
)

NOON = 1_700_000_000.0  # 2023-11-14T22:13:20Z
BUILT = NOON - 86400
TOLD = Information((DNS,), ("example.net",), (DNS,), (DNS, "ntp.example.net"), "aftr.example.net", (Option(22, b"?"),))


def known() -> Memory:
    """Of a client that was renumbered without notice, an instant ago."""
    scene = Scene(NA, PD).renewing()
    scene.reply(ia(NA), ia(PD, Grant(OTHER_PREFIX, 3000, 5000, IPv6Network("2001:db8:200:ff::/64"))))
    scene.now = 1000.0
    return attrs.evolve(scene.machine.memory, information=TOLD, replay=7, sol_max_rt=120.0)


def written(what: Memory, **other: Any) -> ClientRecord:
    kept = ClientRecord("wan", "eth0", "bound", what, DUID, "b0071d", 1000.0, NOON)
    return attrs.evolve(kept, **other)


RECORD = written(known())
FILE = dump(RECORD)
HELD = written(memory(binding(PD), information=TOLD))


@pytest.mark.req("V6-31")
def test_the_contracts_fields_are_there_and_no_others_of_it() -> None:
    content = json.loads(dump(HELD))
    for name in ("version", "bootId", "boottime", "wall", "memory", "checksum"):
        del content[name]
    assert content == {
        "resource": "wan",
        "interface": "eth0",
        "state": "bound",
        "currentPrefix": "2001:db8:100::/56",
        "serverDUID": SERVER.hex(":"),
        "iaid": 1,
        "clientDuid": DUID.hex(":"),
        "t1Seconds": 1500,
        "t2Seconds": 2400,
        "preferredSeconds": 3000,
        "validSeconds": 5000,
        "acquiredAt": "2023-11-14T22:11:40Z",
        "renewAt": "2023-11-14T22:36:40Z",
        "rebindAt": "2023-11-14T22:51:40Z",
        "expiresAt": "2023-11-14T23:35:00Z",
        "aftrName": "aftr.example.net",
        "dnsServers": ["2001:db8::53"],
        "sntpServers": ["2001:db8::53"],
        "domainSearch": ["example.net"],
        "updatedAt": "2023-11-14T22:13:20Z",
    }


@pytest.mark.req("V6-22")
def test_prefixes_of_old_are_written_with_their_ends() -> None:
    (previous,) = json.loads(FILE)["previousPrefixes"]
    assert previous["prefix"] == str(PREFIX)


@pytest.mark.req("C4")
@pytest.mark.req("C5")
@pytest.mark.parametrize(
    "kept",
    [
        RECORD,
        HELD,
        written(Memory()),
        written(memory(binding(PD, valid=None), binding(NA)), last_error="no answer"),
        written(Memory(last={NA: (ADDRESS,), PD: ()}, trusted=False), state="idle"),
    ],
    ids=["renumbered", "held", "nothing", "without end", "hints"],
)
def test_what_was_written_is_read(kept: ClientRecord) -> None:
    read = load(dump(kept))
    assert read == kept
    assert isinstance(read, ClientRecord)
    assert dump(read) == dump(kept)


@pytest.mark.req("C5", "breaks")
@pytest.mark.parametrize("length", range(0, len(FILE) - 1, 7))
def test_every_torn_prefix(length: int) -> None:
    assert isinstance(load(FILE[:length]), Malformed)


@pytest.mark.req("C5", "breaks")
@pytest.mark.req("V6-30", "breaks")
@pytest.mark.parametrize("at", range(0, len(FILE), 11))
def test_a_changed_octet_is_noticed_or_does_not_matter(at: int) -> None:
    changed = FILE[:at] + bytes((FILE[at] ^ 1,)) + FILE[at + 1 :]
    assert isinstance(load(changed), Malformed) or load(changed) == RECORD


@pytest.mark.req("C5", "breaks")
@given(st.binary(max_size=200) | st.builds(json.dumps, st.dictionaries(st.text(), st.integers())).map(str.encode))
def test_any_octets_are_a_record_or_a_reason(data: bytes) -> None:
    assert isinstance(load(data), Malformed)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" " * (1 << 21), "long"),
        (b"{}", "garbage"),
        (b"[" * 100000, "garbage"),
        (b'{"version": 2}', "other-version"),
        (FILE.replace(b'"bound"', b'"idle"'), "bad-checksum"),
    ],
)
@pytest.mark.req("C5", "breaks")
def test_a_file_that_is_none(data: bytes, reason: str) -> None:
    assert load(data) == Malformed(reason)


@pytest.mark.req("C5", "breaks")
@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b'"kind": "PD"', b'"kind": "TA"', "garbage"),
        (b"2001:db8:200::/56", b"2001:db8:200::/129", "garbage"),
        (b"2001:db8::10", b"no address", "garbage"),
        (DUID.hex(":").encode(), b"zz", "garbage"),
        (DUID.hex(":").encode(), b"00:03:00:01", "bad-duid"),
    ],
)
def test_content_that_we_never_wrote(old: bytes, new: bytes, reason: str) -> None:
    assert old in FILE
    file = msgspec.json.decode(FILE.replace(old, new), type=_File)
    assert load(seal(file)) == Malformed(reason)


@pytest.mark.req("C4")
def test_in_the_same_boot_the_clock_tells_the_age() -> None:
    back = revive(RECORD, boot_id="b0071d", now=1600.0, wall=0.0, build_date=BUILT)
    assert back == RECORD.memory


@pytest.mark.req("C4")
@pytest.mark.req("C2")
def test_after_another_boot_the_wall_clock_tells_it() -> None:
    back = revive(HELD, boot_id="another", now=50.0, wall=NOON + 300, build_date=BUILT)
    assert back.trusted
    lease, was = back.bindings[0].leases[0], HELD.memory.bindings[0].leases[0]
    assert was.valid_until is not None
    assert lease.valid_until == pytest.approx(was.valid_until - 1000 - 300 + 50)
    assert back.bindings[0].t1 == pytest.approx(2400 - 1000 - 300 + 50)


@pytest.mark.req("C4", "breaks")
@pytest.mark.parametrize(
    "clock",
    [
        {"boot_id": "another", "wall": NOON - 1},
        {"boot_id": "another", "wall": NOON + 1, "build_date": NOON + 2},
        {"boot_id": "b0071d", "wall": NOON + 5, "now": 999.0},
    ],
)
def test_of_unknown_age_nothing_is_trusted(clock: dict[str, Any]) -> None:
    clock = {"now": 50.0, "build_date": BUILT} | clock
    back = revive(HELD, **clock)
    assert not back.trusted
    assert back.bindings[0].obtained_at == pytest.approx(clock["now"] - 100)


@pytest.mark.req("V6-41")
def test_what_has_ended_meanwhile_is_for_the_machine_to_say() -> None:
    back = revive(HELD, boot_id="another", now=50.0, wall=NOON + 10000, build_date=BUILT)
    scene = Scene(PD, remembered=back, now=50.0).started()
    assert [lost.reason for lost in scene.all(outputs.Lost)] == ["expired"]
    scene.until_sent(MessageType.SOLICIT)
    assert scene.asked.associations == (ia(PD, Grant(PREFIX)),)


@pytest.mark.req("V6-33")
@pytest.mark.req("C16")
def test_counter_and_key_are_kept_and_the_key_is_shown_to_nobody() -> None:
    scene = Scene(PD, reconfigure=True).bound(
        ia(PD, preferred=INFINITE, valid=INFINITE),
        options=(Option(11, b"\3\1\0" + bytes(7) + b"\5\1" + b"a very secret ke"),),
    )
    kept = written(scene.machine.memory)
    file = dump(kept)
    again = load(file)
    assert isinstance(again, ClientRecord)
    assert again.memory.key == Key(SERVER, b"a very secret ke")
    assert again.memory.replay == 5
    assert kept.is_secret and not HELD.is_secret, "then nobody else may read the file"
    shown = f"{kept!r} {kept.memory.key!r} {msgspec.json.decode(file, type=_File)!r}"
    assert "secret ke" not in shown and b"a very secret ke".hex() not in shown
    spoilt = file.replace(b"a very secret ke".hex().encode(), b"no hexadecimal")
    assert load(spoilt) == Malformed("bad-checksum")
