"""What a client's messages look like, against RFC 2131 tables 4 and 5 and the lines V4-6, V4-7, V4-25."""

import attrs
import pytest

from routerd.protocols.dhcpv4 import identity, outputs, wire
from routerd.protocols.dhcpv4.inputs import Release
from routerd.protocols.dhcpv4.message import ANY, BROADCAST, Message, MessageType, Op
from routerd.protocols.dhcpv4.options import Option
from routerd.protocols.dhcpv4.settings import RESERVED, Settings
from routerd.protocols.dhcpv6.duid import duid_ll
from routerd.sim.dhcpv4_rules import broken_rules
from tests.protocols.dhcpv4.scene import CLIENT_ID, LINK, MAC, Scene, claim, remembered

RAW = {60: b"sagem", 77: b"\x2bFSVDSL_livebox", 90: b"secret credentials", 125: b"\0\0\5\x58\0"}


def every_message(**settings: object) -> dict[str, outputs.Send]:
    """One message of each kind that a client sends."""
    sends = {}
    for name, scene in {
        "discover": Scene(**settings).selecting(),
        "request": Scene(**settings).requesting(),
        "reboot": Scene(remembered=remembered(), **settings).started(),
        "renew": Scene(**settings).renewing(),
        "rebind": Scene(**settings).rebinding(),
    }.items():
        sends[name] = scene.all(outputs.Send)[-1]
    declining = Scene(**settings).probing()
    declining.arp(claim())
    sends["decline"] = declining.all(outputs.Send)[-1]
    leaving = Scene(**settings).bound()
    leaving.feed(Release())
    sends["release"] = leaving.all(outputs.Send)[-1]
    return sends


@pytest.mark.req("V4-7")
def test_every_message_keeps_the_rules_of_a_server_that_judges() -> None:
    for name, send in every_message(hostname="router", vendor_class=b"routerd", forcerenew=True).items():
        message = attrs.evolve(send.message, opaque=wire.encode(send.message))
        assert list(broken_rules(message, send.source or ANY, send.to)) == [], name


@pytest.mark.req("V4-7")
def test_the_whole_of_a_discover() -> None:
    scene = Scene(hostname="router").selecting()
    assert scene.sent[0] == Message(
        Op.BOOTREQUEST,
        MessageType.DISCOVER,
        scene.sent[0].xid,
        MAC,
        options={
            Option.HOST_NAME: b"router",
            Option.PARAMETER_REQUEST_LIST: bytes((1, 121, 3, 6, 12, 15, 26, 28, 33, 42, 51, 54, 58, 59, 119)),
            Option.MAX_MESSAGE_SIZE: (1472).to_bytes(2, "big"),
            Option.CLIENT_ID: CLIENT_ID,
        },
    )
    octets = wire.encode(scene.sent[0])
    assert octets[240:243] == bytes((53, 1, 1))
    assert len(octets) >= 300


@pytest.mark.req("V4-7")
@pytest.mark.parametrize(("mtu", "size"), [(68, 576), (603, 576), (604, 576), (605, 577), (1500, 1472), (9000, 1500)])
def test_the_message_size_follows_the_mtu(mtu: int, size: int) -> None:
    scene = Scene().started(attrs.evolve(LINK, mtu=mtu))
    scene.until(outputs.Send)
    assert int.from_bytes(scene.sent[0].options[Option.MAX_MESSAGE_SIZE]) == size


@pytest.mark.req("V4-7")
def test_the_same_list_is_asked_for_in_every_message() -> None:
    lists = {
        send.message.options.get(Option.PARAMETER_REQUEST_LIST)
        for name, send in every_message(request=(249, 43, 1)).items()
        if name not in ("decline", "release")
    }
    (asked,) = lists
    assert asked is not None
    assert len(set(asked)) == len(asked)
    assert set(asked) >= {249, 43}
    assert max(asked.index(121), asked.index(249)) < min(asked.index(3), asked.index(33))  # RFC 3442


@pytest.mark.req("V4-7", "breaks")
def test_what_a_goodbye_must_not_carry() -> None:
    sends = every_message(hostname="router", vendor_class=b"routerd", forcerenew=True, v6_only_preferred=True)
    allowed = {Option.CLIENT_ID, Option.SERVER_ID, Option.REQUESTED_ADDRESS}
    assert sends["decline"].message.options.keys() == allowed
    assert sends["release"].message.options.keys() == allowed - {Option.REQUESTED_ADDRESS}


@pytest.mark.req("V4-24")
def test_option_108_is_asked_for_only_by_who_can_do_without_ipv4() -> None:
    assert 108 in Scene(v6_only_preferred=True).selecting().sent[0].options[Option.PARAMETER_REQUEST_LIST]
    assert 108 not in Scene(request=(108,)).selecting().sent[0].options[Option.PARAMETER_REQUEST_LIST]


@pytest.mark.req("V4-25")
def test_raw_options_go_into_everything_that_asks() -> None:
    for name, send in every_message(options=RAW).items():
        if name not in ("decline", "release"):
            assert send.message.options.items() >= RAW.items(), name


@pytest.mark.req("V4-25")
def test_a_release_carries_the_credentials_alone() -> None:
    options = every_message(options=RAW)["release"].message.options
    assert options[Option.AUTHENTICATION] == RAW[90]
    assert not {60, 77, 125} & options.keys()


@pytest.mark.req("V4-25", "breaks")
@pytest.mark.parametrize("code", [*sorted(RESERVED), -1, 256])
def test_what_cannot_be_set_raw(code: int) -> None:
    with pytest.raises(ValueError, match=str(code)):
        Settings(CLIENT_ID, options={code: b"x"})


@pytest.mark.req("C16")
def test_raw_options_are_never_shown() -> None:
    scene = Scene(options=RAW).renewing()
    assert "credentials" not in repr(scene.machine._station)
    assert "credentials" not in repr(scene.said)


def test_settings_do_not_follow_the_mapping_they_were_made_of() -> None:
    given = dict(RAW)
    settings = Settings(CLIENT_ID, options=given)
    given[60] = b"other"
    assert settings.options[60] == b"sagem"


@pytest.mark.req("V4-6")
def test_the_forms_of_a_client_identifier() -> None:
    duid = duid_ll(MAC)
    assert duid == bytes.fromhex("00030001 020000000001")
    assert identity.from_duid(1, duid) == bytes.fromhex("ff 00000001 00030001 020000000001")
    assert identity.from_mac(MAC) == bytes.fromhex("01 020000000001")


@pytest.mark.req("V4-6", "breaks")
def test_what_is_no_client_identifier() -> None:
    torn = (duid_ll(MAC)[:-1], bytes.fromhex("00040001"), bytes.fromhex("000100010000"))
    for duid in (b"", b"\0\3", bytes(131), *torn):
        with pytest.raises(ValueError, match="DUID"):
            identity.from_duid(1, duid)
    for mac in (b"", bytes(5), bytes(8)):
        with pytest.raises(ValueError, match="six"):
            identity.from_mac(mac)


def test_raw_means_broadcast() -> None:
    for send in every_message().values():
        assert (send.source is None) == (send.to == BROADCAST)
