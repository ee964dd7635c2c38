"""Who the router says it is: one DUID for the device, an identifier for each client; neither changes by accident."""

from __future__ import annotations

import errno
import random
import threading
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from routerd.daemons import identity, lease_file
from routerd.daemons.identity import Device, client_id, device_duid, duid_of, new_duid
from routerd.protocols.dhcpv6.duid import Form, duid_en, duid_ll, duid_llt, duid_uuid, form
from routerd.resources.net import DHCPv4Client
from tests.daemons.scene import TELL

MAC, OTHER = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
DUID = duid_ll(MAC)
GARBAGE = [b"", b"\n", b"zz:zz", b"\xff\xfe\x00", b"00:03", b"00:03:00:01:02:00", b"00" * 200]


def life(state_dir: Path, mac: bytes = MAC, held: bytes | None = None) -> Device:
    """Who a client finds out that it is."""
    return device_duid(state_dir, partial(duid_ll, mac), held)


def told(device: Device) -> list[tuple[str, str, str]]:
    events = device.told(TELL)
    return [(e.topic.removeprefix("routerd.dhcpv4.client."), e.reason, e.severity) for e in events]


@pytest.mark.req("V4-6")
def test_the_duid_is_made_once_and_kept(tmp_path: Path) -> None:
    assert life(tmp_path) == Device(DUID)
    assert life(tmp_path, OTHER) == Device(DUID), "another card does not make another device (C14)"
    assert (tmp_path / "duid").read_text() == "00:03:00:01:02:00:00:00:00:01\n"
    assert (tmp_path / "duid").stat().st_mode & 0o007 == 0


@pytest.mark.parametrize("text", ["00:03:00:01:02:00:00:00:00:07", " 0003000102000000 0007 \n"])
def test_one_that_the_operator_wrote_is_taken(tmp_path: Path, text: str) -> None:
    (tmp_path / "duid").write_text(text)
    assert life(tmp_path) == Device(bytes.fromhex("00030001020000000007"))


@pytest.mark.req("V4-6", "breaks")
@pytest.mark.req("V6-30", "breaks")
@pytest.mark.parametrize("octets", GARBAGE)
def test_garbage_is_replaced_and_told(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / "duid"
    path.write_bytes(octets)
    device = life(tmp_path)
    assert device == Device(DUID, f"{path} holds no DUID")
    assert told(device) == [("identity.changed", "DuidUnusable", "warning")]
    assert life(tmp_path, OTHER) == Device(DUID), "from now on it is kept"


@pytest.mark.req("V6-30", "breaks")
@pytest.mark.parametrize("octets", [None, *GARBAGE])
def test_who_leases_were_obtained_as_outlives_the_file(tmp_path: Path, octets: bytes | None) -> None:
    path = tmp_path / "duid"
    if octets is not None:
        path.write_bytes(octets)
    device = life(tmp_path, OTHER, held=DUID)
    assert device == Device(DUID, f"{path} is gone" if octets is None else f"{path} holds no DUID", known=True)
    assert told(device) == [("identity.kept", "DuidKept", "warning")]
    assert life(tmp_path, OTHER) == Device(DUID), "it is in the file again, for all clients of the device (§11)"


@pytest.mark.req("V6-30", "breaks")
def test_a_file_that_names_somebody_else_does_not_cost_the_leases(tmp_path: Path) -> None:
    another = duid_ll(OTHER)
    (tmp_path / "duid").write_text(another.hex(":"))
    device = life(tmp_path, held=DUID)
    assert (device.duid, told(device)) == (DUID, [("identity.kept", "DuidKept", "warning")])
    assert another.hex(":") in (device.trouble or "")
    assert life(tmp_path) == Device(another), "who has nothing believes the file"


def test_one_that_cannot_be_read_is_told_in_the_systems_words(tmp_path: Path) -> None:
    path = tmp_path / "duid"
    path.mkdir()
    assert life(tmp_path) == Device(DUID, f"{path} cannot be read: Is a directory")
    assert life(tmp_path, OTHER, held=DUID) == Device(DUID, f"{path} cannot be read: Is a directory", known=True)


@pytest.mark.req("V6-30", "breaks")
def test_what_cannot_be_read_is_not_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk with a bad day may have the old DUID again tomorrow."""
    path, another = tmp_path / "duid", duid_ll(OTHER)
    path.write_text(another.hex(":"))

    def refuse(path: Path) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as bad:
        bad.setattr(lease_file, "read", refuse)
        assert life(tmp_path) == Device(DUID, f"{path} cannot be read: Input/output error")
    assert life(tmp_path) == Device(another)


def test_without_a_disk_it_is_the_same_next_time_all_the_same(tmp_path: Path) -> None:
    nowhere = tmp_path / "file" / "state"
    (tmp_path / "file").touch()
    first = life(nowhere)
    assert first == life(nowhere) == Device(DUID, f"{nowhere / 'duid'} cannot be read: Not a directory")


def test_clients_that_start_side_by_side_agree(tmp_path: Path) -> None:
    for n in range(5):
        state, duids = tmp_path / str(n), []
        state.mkdir()
        barrier = threading.Barrier(4)

        def start(
            mac: bytes, state: Path = state, duids: list[bytes] = duids, barrier: threading.Barrier = barrier
        ) -> None:
            barrier.wait()
            duids.append(life(state, mac).duid)

        threads = [threading.Thread(target=start, args=(bytes((2, 0, 0, 0, 0, n)),)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(duids)) == 1


def test_the_forms_of_a_client_identifier() -> None:
    plain = DHCPv4Client("wan")
    own = client_id(plain, "wan", MAC, DUID)
    assert own[:1] == b"\xff"
    assert own[5:] == DUID
    assert client_id(plain, "wan", OTHER, DUID) == own, "it is about the client's name, not its card"
    assert client_id(plain, "lte", MAC, DUID) != own
    assert client_id(DHCPv4Client("wan", client_id_type="mac"), "wan", MAC, DUID) == b"\x01" + MAC
    assert client_id(DHCPv4Client("wan", client_id="0x0a0b"), "wan", MAC, DUID) == b"\x0a\x0b"
    assert client_id(DHCPv4Client("wan", client_id="me", client_id_type="mac"), "wan", MAC, DUID) == b"\0me"
    assert duid_of(own) == DUID
    assert duid_of(b"\x01" + MAC) is None
    assert duid_of(b"\xff\0\0\0\1\0\3") is None, "half of one"


# The forms of a DUID


@pytest.mark.req("V6-30")
def test_a_duid_is_of_the_form_that_the_operator_wants() -> None:
    octets = random.Random(1).randbytes
    assert new_duid("ll", MAC, 0, octets) == duid_ll(MAC)
    assert new_duid("llt", MAC, 946_684_801, octets) == duid_llt(MAC, 946_684_801)
    made = new_duid("en", MAC, 0, octets)
    assert made == duid_en(32473, made[6:])
    assert new_duid("en", MAC, 0, octets) != made, "nobody has the same"
    assert form(new_duid("uuid", MAC, 0, octets)) == "uuid"


@pytest.mark.req("V6-30")
@pytest.mark.parametrize("text", ["3d1219c7c4c5404aaa1f6d2a48adfda4\n", "3d1219c7-c4c5-404a-aa1f-6d2a48adfda4\n"])
@pytest.mark.parametrize("wish", ["ll", "llt", "uuid"])
def test_a_device_without_a_card_is_known_by_its_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, wish: Form
) -> None:
    machine = tmp_path / "machine-id"
    machine.write_text(text)
    monkeypatch.setattr(identity, "MACHINE_IDS", (tmp_path / "none", machine))
    made = new_duid(wish, b"", 0, random.Random(1).randbytes)
    assert made == new_duid(wish, b"", 999, random.Random(2).randbytes), "the same whenever it is asked"
    assert form(made) == "uuid"
    assert UUID(bytes=made[2:]).version == 4
    assert made != duid_uuid(UUID(text.strip())), "machine-id(5): the id is nobody else's business"


@pytest.mark.req("V6-30", "breaks")
@pytest.mark.parametrize("octets", [b"", b"uninitialized\n", b"3d1219c7", b"\xff" * 32])
def test_a_machine_without_an_id_is_known_by_chance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, octets: bytes
) -> None:
    machine = tmp_path / "machine-id"
    machine.write_bytes(octets)
    monkeypatch.setattr(identity, "MACHINE_IDS", (machine,))
    rng = random.Random(1)
    assert new_duid("ll", b"", 0, rng.randbytes) != new_duid("ll", b"", 0, rng.randbytes)
