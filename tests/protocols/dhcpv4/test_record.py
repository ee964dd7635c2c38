"""What is kept over a restart: the file's shape, its way back to life, and any octets in its place."""

from __future__ import annotations

import base64
import json
import random
from ipaddress import IPv4Address
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.protocols.dhcpv4 import record, wire
from routerd.protocols.dhcpv4.grant import read_grant
from routerd.protocols.dhcpv4.lease import Lease, Remembered
from routerd.protocols.dhcpv4.message import Message
from routerd.protocols.dhcpv4.record import LeaseRecord, dump, load, revive
from routerd.protocols.malformed import Malformed
from routerd.protocols.sealed import MAX_SIZE, seal
from tests.protocols.dhcpv4.octets import SERVER, Octets, ack

NOON = 1700000000.0  # 2023-11-14T22:13:20Z
BUILT = NOON - 86400
OPTIONS = {
    6: SERVER.packed + b"\x09\x09\x09\x09",
    42: SERVER.packed,
    15: b"example.net",
    28: b"\xc0\0\2\xff",
    26: b"\5\xdc",
}


def granted(message: Message, sent_at: float = 100.5) -> Lease:
    received = wire.decode(wire.encode(message))
    assert isinstance(received, Message)
    lease = read_grant(received, sent_at=sent_at, rng=random.Random(1), link_mtu=1500)
    assert isinstance(lease, Lease)
    return lease


def written(message: Message | None = None, **other: Any) -> LeaseRecord:
    """A lease of an hour, written down half a second after it was asked for."""
    kept = LeaseRecord(
        resource="wan",
        interface="eth0",
        state="Bound",
        lease=granted(message or ack(OPTIONS)),
        client_id=b"\xff\0\0\0\1\0\3\0\1",
        boot_id="b0071d",
        boottime=101.0,
        wall=NOON,
        gateway_mac=bytes.fromhex("02000000000a"),
    )
    return attrs.evolve(kept, **other)


RECORD = written()
FILE = dump(RECORD)
INFINITE = written(ack({51: b"\xff" * 4}))


@pytest.mark.req("V4-37")
def test_the_contracts_fields_are_there_and_no_others_of_it() -> None:
    content = json.loads(FILE)
    assert content.pop("remainingSeconds") == 3599.5
    for name in ("version", "clientId", "gatewayMac", "bootId", "boottime", "wall", "times", "reply", "checksum"):
        del content[name]
    assert content == {
        "resource": "wan",
        "interface": "eth0",
        "state": "Bound",
        "currentAddress": "192.0.2.10",
        "prefixLength": 24,
        "defaultGateway": "192.0.2.1",
        "serverID": "192.0.2.1",
        "dnsServers": ["192.0.2.1", "9.9.9.9"],
        "ntpServers": ["192.0.2.1"],
        "domain": "example.net",
        "broadcastAddress": "192.0.2.255",
        "mtu": 1500,
        "leaseTimeSeconds": 3600,
        "acquiredAt": "2023-11-14T22:13:19Z",
        "renewAt": "2023-11-14T22:43:18Z",
        "rebindAt": "2023-11-14T23:05:50Z",
        "expiresAt": "2023-11-14T23:13:19Z",
        "updatedAt": "2023-11-14T22:13:20Z",
    }


@pytest.mark.req("V4-4")
def test_what_never_comes_is_left_out() -> None:
    content = json.loads(dump(INFINITE))
    assert not content.keys() & {"leaseTimeSeconds", "renewAt", "rebindAt", "expiresAt", "remainingSeconds", "mtu"}
    assert content["acquiredAt"] == "2023-11-14T22:13:19Z"


@pytest.mark.req("C4")
@pytest.mark.req("C5")
@pytest.mark.parametrize(
    "kept",
    [
        RECORD,
        INFINITE,
        written(gateway_mac=None, client_id=b""),
        written(ack(without=(1,))),
        written(attrs.evolve(ack(), xid=1)),
        written(lease=granted(ack({26: b"\x23\x28"}))),  # beyond the link's MTU of then: refused, and it stays refused
    ],
    ids=["an hour", "infinite", "bare", "no mask", "other xid", "MTU refused"],
)
def test_what_was_written_is_read(kept: LeaseRecord) -> None:
    read_back = load(dump(kept))
    assert read_back == kept
    assert isinstance(read_back, LeaseRecord)
    assert read_back.lease.reply == kept.lease.reply
    assert dump(read_back) == dump(kept)


@pytest.mark.req("C4")
def test_the_reply_is_kept_byte_for_byte() -> None:
    octets = bytes(
        Octets(sname=b"server.example", options=bytes.fromhex("3604c0000201 330400000e10 350105 0104ffffff00"))
    )
    message = wire.decode(octets)
    assert isinstance(message, Message)
    lease = read_grant(message, sent_at=100.5, rng=random.Random(1), link_mtu=1500)
    assert isinstance(lease, Lease)
    read_back = load(dump(written(lease=lease)))
    assert isinstance(read_back, LeaseRecord)
    assert read_back.lease.reply is not None
    assert read_back.lease.reply.opaque == octets


@pytest.mark.req("C4")
def test_a_reply_that_never_was_on_a_wire_is_kept_too() -> None:
    kept = written(lease=attrs.evolve(RECORD.lease, reply=ack(OPTIONS)))
    assert load(dump(kept)) == kept


@pytest.mark.req("V4-6")
def test_the_client_identifier_stays() -> None:
    read_back = load(FILE)
    assert isinstance(read_back, LeaseRecord)
    assert read_back.client_id == b"\xff\0\0\0\1\0\3\0\1"


def test_a_lease_that_no_reply_granted_cannot_be_kept() -> None:
    with pytest.raises(ValueError, match="without the server's reply"):
        dump(attrs.evolve(RECORD, lease=attrs.evolve(RECORD.lease, reply=None)))


# Secrets


SECRET = b"RKAP key 0123456"


@pytest.mark.req("C16")
def test_the_key_of_an_authentication_option_is_not_written() -> None:
    kept = written(ack(OPTIONS | {90: b"\3\1\0" + SECRET, 43: b"vendor"}))
    assert kept.lease.reply is not None
    assert SECRET in kept.lease.reply.opaque
    stored = dump(kept)
    assert SECRET not in base64.b64decode(json.loads(stored)["reply"])
    assert SECRET.decode() not in stored.decode()
    read_back = load(stored)
    assert read_back == kept
    assert isinstance(read_back, LeaseRecord)
    assert read_back.lease.reply is not None
    assert read_back.lease.reply.options == {c: v for c, v in kept.lease.reply.options.items() if c != 90}


@pytest.mark.req("C16", "breaks")
def test_a_server_cannot_hide_the_key_from_us() -> None:
    pieces = b"\x5a\4" + SECRET[:4] + b"\x5a\4" + SECRET[4:8]
    overload = bytes.fromhex("350105 3604c0000201 330400000e10 340103 ff")
    message = wire.decode(bytes(Octets(options=overload, file=pieces, sname=b"\x5a\x08" + SECRET[8:] + b"\xff")))
    assert isinstance(message, Message)
    assert message.options[90] == SECRET
    lease = read_grant(message, sent_at=100.5, rng=random.Random(1), link_mtu=None)
    assert isinstance(lease, Lease)
    reply = base64.b64decode(json.loads(dump(written(lease=lease)))["reply"])
    assert all(SECRET[at : at + 4] not in reply for at in range(0, 16, 4))


@pytest.mark.req("C16", "breaks")
def test_an_absurd_reply_costs_the_record_and_nothing_else() -> None:
    """Without its secret it must be written anew, with its overload undone: longer than any datagram."""
    sound = bytes.fromhex("350105 3604c0000201 330400000e10 340101 5a01aa")
    filler = (b"\x7d\xff" + bytes(255)) * 253 + b"\x7d\xfb" + bytes(251)
    octets = bytes(Octets(options=sound + filler, file=b"\x7e\x7e" + bytes(126)))
    assert len(octets) == wire.MAX_LENGTH
    message = wire.decode(octets)
    assert isinstance(message, Message)
    lease = read_grant(message, sent_at=100.5, rng=random.Random(1), link_mtu=None)
    assert isinstance(lease, Lease)
    assert load(dump(written(lease=lease))) == Malformed("bad-reply")


# Back to life


@pytest.mark.req("C4")
@pytest.mark.req("C2")
@pytest.mark.parametrize("wall", [0.0, NOON, NOON - 10 * 365 * 86400, NOON + 10 * 365 * 86400])
def test_in_the_same_boot_the_clock_tells_the_age_whatever_the_wall_clock_says(wall: float) -> None:
    remembered = revive(RECORD, boot_id="b0071d", now=1101.0, wall=wall, build_date=BUILT)
    assert remembered == Remembered(RECORD.lease, trusted=True, gateway_mac=RECORD.gateway_mac)


@pytest.mark.req("C4")
def test_at_the_moment_of_writing() -> None:
    remembered = revive(RECORD, boot_id="b0071d", now=101.0, wall=0.0, build_date=BUILT)
    assert remembered == Remembered(RECORD.lease, trusted=True, gateway_mac=RECORD.gateway_mac)


@pytest.mark.req("C4")
def test_after_another_boot_this_boots_clock_says_nothing_of_the_age() -> None:
    remembered = revive(RECORD, boot_id="another", now=3000.0, wall=NOON + 600, build_date=BUILT)
    assert isinstance(remembered, Remembered)
    assert remembered.lease.expires_at == pytest.approx(3000 - 600 + 3599.5)


@pytest.mark.req("C4")
def test_after_another_boot_the_wall_clock_tells_the_age() -> None:
    remembered = revive(RECORD, boot_id="another", now=20.0, wall=NOON + 600, build_date=BUILT)
    assert isinstance(remembered, Remembered)
    assert remembered.trusted
    lease = remembered.lease
    by = 20.0 - 600 - 101.0  # it was written at 101.0 of the old clock, which is 600 s before 20.0 of the new one
    old = RECORD.lease
    assert old.t1 is not None
    assert old.t2 is not None
    assert old.expires_at is not None
    assert lease == attrs.evolve(
        old, obtained_at=old.obtained_at + by, t1=old.t1 + by, t2=old.t2 + by, expires_at=old.expires_at + by
    )
    assert lease.duration == 3600
    assert lease.reply == old.reply


@pytest.mark.req("C4", "breaks")
@pytest.mark.parametrize(
    ("boot_id", "now", "wall", "build_date"),
    [
        ("another", 20.0, NOON - 1, BUILT),
        ("another", 20.0, 0.0, BUILT),
        ("another", 20.0, NOON + 60, NOON + 61),
        ("b0071d", 100.9, NOON, BUILT),
    ],
    ids=[
        "wall clock behind the record",
        "no clock at all",
        "wall clock behind the build",
        "the boot's own clock went back",
    ],
)
def test_an_unknown_age_is_not_trusted(boot_id: str, now: float, wall: float, build_date: float) -> None:
    remembered = revive(RECORD, boot_id=boot_id, now=now, wall=wall, build_date=build_date)
    assert isinstance(remembered, Remembered)
    assert not remembered.trusted
    assert remembered.lease.expires_at == pytest.approx(now + 3599.5)  # as much as was left at writing


@pytest.mark.req("C4")
@pytest.mark.parametrize("wall", [NOON, NOON + 3599])
def test_at_the_edge_of_trust(wall: float) -> None:
    remembered = revive(RECORD, boot_id="another", now=0.0, wall=wall, build_date=NOON)
    assert isinstance(remembered, Remembered)
    assert remembered.trusted


@pytest.mark.req("C4", "breaks")
@pytest.mark.parametrize(
    ("boot_id", "now", "wall"),
    [("b0071d", 3700.5, NOON), ("another", 20.0, NOON + 3599.5), ("another", 20.0, NOON + 10**9)],
)
def test_a_lease_that_ended_meanwhile_is_not_revived(boot_id: str, now: float, wall: float) -> None:
    assert revive(RECORD, boot_id=boot_id, now=now, wall=wall, build_date=BUILT) == Malformed("expired")


@pytest.mark.req("C4", "breaks")
def test_a_lease_that_had_ended_when_it_was_written_is_no_hint_either() -> None:
    late = attrs.evolve(RECORD, boottime=5000.0)
    assert revive(late, boot_id="another", now=20.0, wall=0.0, build_date=BUILT) == Malformed("expired")


@pytest.mark.req("V4-4")
def test_an_infinite_lease_outlives_everything() -> None:
    remembered = revive(INFINITE, boot_id="another", now=20.0, wall=NOON + 10**9, build_date=BUILT)
    assert isinstance(remembered, Remembered)
    assert (remembered.lease.t1, remembered.lease.t2, remembered.lease.expires_at) == (None, None, None)


# Any octets


@pytest.mark.req("C5", "breaks")
def test_every_torn_prefix() -> None:
    whole = FILE.rstrip()
    for length in range(1, len(whole)):
        assert load(whole[:length]) == Malformed("garbage")
    assert load(b"") == Malformed("empty")


@pytest.mark.req("C5", "breaks")
@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"\0" * 4096, "garbage"),  # what some file systems leave after a power failure
        (b"\n", "garbage"),
        (b"null", "garbage"),
        (b"[]", "garbage"),
        (b"{}", "garbage"),
        (b"[" * 100000, "garbage"),
        (b'{"x":' + b"[" * 100000, "garbage"),
        (b'{"version": 1, "resource": "\xff"}', "garbage"),
        (b'{"version": 1e999}', "garbage"),
        (b'{"version": 1}', "garbage"),
        (b'{"version": 0}', "other-version"),
        (b'{"version": 2, "anything": []}', "other-version"),
        (FILE.replace(b'"version": 1', b'"version": 2'), "other-version"),
        (FILE.replace(b'"version": 1', b'"version": "1"'), "garbage"),
        (FILE.replace(b"eth0", b"eth1"), "bad-checksum"),
        (FILE.replace(b'"trusted"', b"") + b"{}", "garbage"),
        (FILE.ljust(MAX_SIZE + 1), "long"),
    ],
)
def test_a_file_that_is_none(octets: bytes, reason: str) -> None:
    assert load(octets) == Malformed(reason)


@pytest.mark.req("C5")
def test_white_space_does_not_matter() -> None:
    assert load(FILE.ljust(MAX_SIZE)) == RECORD


def forged(original: bytes = FILE, **changes: Any) -> bytes:
    """A file with other content and the checksum that fits it."""
    file = msgspec.json.decode(original, type=record._File)
    for name, value in changes.items():
        setattr(file, name, value)
    return seal(file)


@pytest.mark.req("C5", "breaks")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"reply": b""}, "bad-reply"),
        ({"reply": bytes(300)}, "bad-reply"),
        ({"reply": bytes(Octets(yiaddr=bytes(4)))}, "bad-reply"),
        ({"reply": bytes(Octets()) + bytes(65536)}, "bad-reply"),
        ({"client_id": "xy"}, "garbage"),
        ({"client_id": "f"}, "garbage"),
        ({"gateway_mac": "02:0"}, "garbage"),
        ({"times": record._Times(100.5, 200.0, 150.0, 300.0)}, "bad-times"),
        ({"times": record._Times(100.5, 200.0, 300.0, 250.0)}, "bad-times"),
        ({"times": record._Times(250.0, 200.0, 300.0, 350.0)}, "bad-times"),
        ({"times": record._Times(100.5, 200.0, None, 350.0)}, "bad-times"),
        ({"times": record._Times(100.5, None, None, 350.0)}, "bad-times"),
        ({"times": record._Times(100.5, None, 200.0, 350.0)}, "bad-times"),
        ({"times": record._Times(100.5)}, "bad-times"),
    ],
)
def test_content_that_we_never_wrote(changes: dict[str, Any], reason: str) -> None:
    assert load(forged(**changes)) == Malformed(reason)


@pytest.mark.req("C5", "breaks")
@pytest.mark.parametrize(
    "later", [(200.0, None, None), (None, 200.0, None), (None, None, 300.0), (200.0, 250.0, 300.0)]
)
def test_an_infinite_lease_has_no_times(later: tuple[float | None, ...]) -> None:
    assert load(forged(dump(INFINITE), times=record._Times(100.5, *later))) == Malformed("bad-times")


@pytest.mark.req("C5", "breaks")
@given(st.integers(0, len(FILE) - 1), st.integers(0, 255))
def test_a_changed_octet_is_noticed_or_does_not_matter(at: int, octet: int) -> None:
    spoilt = bytearray(FILE)
    spoilt[at] = octet
    assert load(bytes(spoilt)) in [RECORD, *(Malformed(r) for r in ("garbage", "bad-checksum", "other-version"))]


@pytest.mark.req("C5", "breaks")
@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["version", "times", "reply", "x"]), inner),
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_octets_are_a_record_or_a_reason(octets: bytes) -> None:
    assert isinstance(load(octets), Malformed)


times = st.floats(0, 1e9)


@pytest.mark.req("C4")
@given(times, times, st.floats(0, 4e9), st.booleans())
def test_a_revived_lease_is_as_long_as_it_was_and_not_over(
    now: float, build: float, wall: float, same_boot: bool
) -> None:
    boot = RECORD.boot_id if same_boot else "another"
    remembered = revive(RECORD, boot_id=boot, now=now, wall=wall, build_date=build)
    if isinstance(remembered, Malformed):
        assert remembered.reason == "expired"
        return
    lease = remembered.lease
    assert lease.expires_at is not None
    assert now < lease.expires_at
    assert lease.duration == pytest.approx(3600)
    assert lease.address.ip == IPv4Address("192.0.2.10")
