"""Who the router says it is: one DUID for the device, an identifier for each client; neither changes by accident."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from routerd.daemons.identity import client_id, device_duid
from routerd.protocols.dhcpv6.duid import duid_ll
from routerd.resources.net import DHCPv4Client

MAC, OTHER = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
DUID = duid_ll(MAC)


@pytest.mark.req("V4-6")
def test_the_duid_is_made_once_and_kept(tmp_path: Path) -> None:
    assert device_duid(tmp_path, MAC) == (DUID, None)
    assert device_duid(tmp_path, OTHER) == (DUID, None), "another card does not make another device (C14)"
    assert (tmp_path / "duid").read_text() == "00:03:00:01:02:00:00:00:00:01\n"
    assert (tmp_path / "duid").stat().st_mode & 0o007 == 0


@pytest.mark.parametrize("text", ["00:03:00:01:02:00:00:00:00:07", " 0003000102000000 0007 \n"])
def test_one_that_the_operator_wrote_is_taken(tmp_path: Path, text: str) -> None:
    (tmp_path / "duid").write_text(text)
    assert device_duid(tmp_path, MAC) == (bytes.fromhex("00030001020000000007"), None)


@pytest.mark.req("V4-6", "breaks")
@pytest.mark.parametrize("octets", [b"", b"\n", b"zz:zz", b"\xff\xfe\x00", b"00:03", b"00:03:00:01:02:00", b"00" * 200])
def test_garbage_is_replaced_and_told(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / "duid"
    path.write_bytes(octets)
    assert device_duid(tmp_path, MAC) == (DUID, f"{path} holds no DUID")
    assert device_duid(tmp_path, OTHER) == (DUID, None), "from now on it is kept"


def test_one_that_cannot_be_read_is_told_in_the_systems_words(tmp_path: Path) -> None:
    path = tmp_path / "duid"
    path.mkdir()
    duid, trouble = device_duid(tmp_path, MAC)
    assert duid == DUID
    assert trouble == f"{path} cannot be written: Is a directory", "the last that went wrong"


def test_without_a_disk_it_is_the_same_next_time_all_the_same(tmp_path: Path) -> None:
    nowhere = tmp_path / "file" / "state"
    (tmp_path / "file").touch()
    assert device_duid(nowhere, MAC)[0] == device_duid(nowhere, MAC)[0] == DUID
    assert device_duid(nowhere, MAC)[1] == f"{nowhere / 'duid'} cannot be written: Not a directory"


def test_clients_that_start_side_by_side_agree(tmp_path: Path) -> None:
    for n in range(5):
        state, duids = tmp_path / str(n), []
        state.mkdir()
        barrier = threading.Barrier(4)

        def start(
            mac: bytes, state: Path = state, duids: list[bytes] = duids, barrier: threading.Barrier = barrier
        ) -> None:
            barrier.wait()
            duids.append(device_duid(state, mac)[0])

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
