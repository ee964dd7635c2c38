"""The server against transcripts written by hand from RFC 2131: what it answers, and what it holds against a client."""

from __future__ import annotations

from ipaddress import IPv4Address as A
from ipaddress import IPv4Network

import attrs
import pytest

from routerd.protocols.dhcpv4.message import ANY, BROADCAST, Message, MessageType, Op
from routerd.protocols.dhcpv4.wire import decode, encode
from routerd.sim.dhcpv4_server import Reply, Server, Settings, addresses, names, routes

MAC = bytes.fromhex("02005e000001")
ID = b"\xff\0\0\0\1\0\3\0\1" + MAC
SERVER = A("192.0.2.1")
SETTINGS = Settings(
    server_id=SERVER,
    subnet=IPv4Network("192.0.2.0/24"),
    first=A("192.0.2.50"),
    last=A("192.0.2.52"),
    t1=1800,
    t2=3150,
    options={3: addresses("192.0.2.1"), 6: addresses("192.0.2.53", "192.0.2.54"), 15: b"example.net"},
)
WANTED = bytes((1, 3, 6, 15, 51, 54, 58, 59, 121))


def said(
    kind: MessageType,
    *,
    xid: int = 1,
    mac: bytes = MAC,
    ciaddr: A = ANY,
    broadcast: bool = False,
    secs: int = 0,
    identity: bytes | None = ID,
    wanted: bytes | None = WANTED,
    **options: bytes,
) -> Message:
    """A client's message as it comes off the wire; options as `o50=…`."""
    coded = {int(name[1:]): value for name, value in options.items()}
    if identity is not None:
        coded[61] = identity
    if wanted is not None:
        coded[55] = wanted
    sent = Message(Op.BOOTREQUEST, kind, xid, mac, secs, broadcast, ciaddr, options=coded)
    received = decode(encode(sent))
    assert isinstance(received, Message)
    return received


class Conversation:
    """A client's side of a talk with one server, at times that the test gives."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def broadcast(self, now: float, message: Message, source: A = ANY) -> list[Reply]:
        return self.server.receive(message, source, BROADCAST, now)

    def unicast(self, now: float, message: Message) -> list[Reply]:
        return self.server.receive(message, message.ciaddr, SERVER, now)

    def lease(self, now: float = 0.0, xid: int = 1, mac: bytes = MAC, identity: bytes | None = ID) -> A:
        """DISCOVER, OFFER, REQUEST, ACK."""
        (offer,) = self.broadcast(now, said(MessageType.DISCOVER, xid=xid, mac=mac, identity=identity))
        address = offer.message.yiaddr
        (ack,) = self.broadcast(
            now,
            said(
                MessageType.REQUEST,
                xid=xid,
                mac=mac,
                identity=identity,
                o50=address.packed,
                o54=offer.message.options[54],
            ),
        )
        assert ack.message.type is MessageType.ACK
        return ack.message.yiaddr

    def rules(self) -> list[str]:
        return [violation.rule for violation in self.server.violations]


@pytest.fixture
def talk() -> Conversation:
    return Conversation(Server(SETTINGS))


def test_discover_is_offered_an_address_with_what_was_asked_for(talk: Conversation) -> None:
    (offer,) = talk.broadcast(0, said(MessageType.DISCOVER, xid=7))
    message = offer.message
    assert (message.type, message.xid, message.chaddr, message.op) == (MessageType.OFFER, 7, MAC, Op.BOOTREPLY)
    assert (message.yiaddr, message.ciaddr) == (A("192.0.2.50"), ANY)
    assert message.options == {
        1: A("255.255.255.0").packed,
        3: SERVER.packed,
        6: addresses("192.0.2.53", "192.0.2.54"),
        15: b"example.net",
        51: (3600).to_bytes(4),
        54: SERVER.packed,
        58: (1800).to_bytes(4),
        59: (3150).to_bytes(4),
        61: ID,  # RFC 6842
    }
    assert talk.rules() == []


def test_what_was_not_asked_for_is_not_told(talk: Conversation) -> None:
    (offer,) = talk.broadcast(0, said(MessageType.DISCOVER, wanted=bytes((1,)), identity=None))
    assert set(offer.message.options) == {1, 51, 54}


def test_an_offered_address_is_kept_for_its_client(talk: Conversation) -> None:
    talk.broadcast(0, said(MessageType.DISCOVER))
    (other,) = talk.broadcast(1, said(MessageType.DISCOVER, mac=b"\2\2\2\2\2\2", identity=None))
    assert other.message.yiaddr == A("192.0.2.51")


def test_the_wanted_address_is_offered_when_it_is_free(talk: Conversation) -> None:
    (offer,) = talk.broadcast(0, said(MessageType.DISCOVER, o50=A("192.0.2.52").packed))
    assert offer.message.yiaddr == A("192.0.2.52")


def test_a_wanted_address_of_another_network_is_not_offered(talk: Conversation) -> None:
    (offer,) = talk.broadcast(0, said(MessageType.DISCOVER, o50=A("10.0.0.52").packed))
    assert offer.message.yiaddr == A("192.0.2.50")


def test_a_client_gets_its_old_address_again_after_expiry(talk: Conversation) -> None:
    talk.lease(0, mac=b"\2\2\2\2\2\2", identity=None)
    mine = talk.lease(0)
    assert talk.lease(5000, xid=2) == mine == A("192.0.2.51")


def test_an_exhausted_pool_is_silent(talk: Conversation) -> None:
    for number in range(3):
        talk.lease(mac=bytes((2, 0, 0, 0, 0, number)), identity=None)
    assert talk.broadcast(1, said(MessageType.DISCOVER)) == []


def test_request_for_the_offer_is_acknowledged(talk: Conversation) -> None:
    assert talk.lease() == A("192.0.2.50")
    assert talk.rules() == []


def test_a_repeated_request_is_acknowledged_again(talk: Conversation) -> None:
    address = talk.lease()
    (ack,) = talk.broadcast(4, said(MessageType.REQUEST, o50=address.packed, o54=SERVER.packed))
    assert ack.message.yiaddr == address
    assert talk.rules() == []


def test_request_for_another_server_frees_the_offer(talk: Conversation) -> None:
    talk.broadcast(0, said(MessageType.DISCOVER))
    assert talk.broadcast(1, said(MessageType.REQUEST, o50=A("192.0.2.99").packed, o54=A("192.0.2.2").packed)) == []
    (other,) = talk.broadcast(2, said(MessageType.DISCOVER, mac=b"\2\2\2\2\2\2", identity=None))
    assert other.message.yiaddr == A("192.0.2.50")


def test_request_for_what_was_not_offered_is_refused(talk: Conversation) -> None:
    (nak,) = talk.broadcast(0, said(MessageType.REQUEST, o50=A("192.0.2.51").packed, o54=SERVER.packed))
    assert nak.message.type is MessageType.NAK
    assert (nak.message.yiaddr, nak.message.ciaddr) == (ANY, ANY)
    assert set(nak.message.options) == {54, 56, 61}


def test_init_reboot(talk: Conversation) -> None:
    address = talk.lease()
    (ack,) = talk.broadcast(100, said(MessageType.REQUEST, xid=2, o50=address.packed))
    assert (ack.message.type, ack.message.yiaddr) == (MessageType.ACK, address)
    (nak,) = talk.broadcast(200, said(MessageType.REQUEST, xid=3, o50=A("192.0.2.51").packed))
    assert nak.message.type is MessageType.NAK
    assert talk.rules() == []


def test_init_reboot_of_an_unknown_client_meets_silence(talk: Conversation) -> None:
    """RFC 2131 §4.3.2: "If the DHCP server has no record of this client, then it MUST remain silent"."""
    assert talk.broadcast(0, said(MessageType.REQUEST, o50=A("192.0.2.50").packed)) == []


def test_init_reboot_from_another_network_is_refused(talk: Conversation) -> None:
    (nak,) = talk.broadcast(0, said(MessageType.REQUEST, o50=A("10.0.0.50").packed))
    assert nak.message.type is MessageType.NAK


def test_renewing_extends_the_lease_and_unicasts_the_answer(talk: Conversation) -> None:
    address = talk.lease()
    (ack,) = talk.unicast(1800, said(MessageType.REQUEST, xid=2, ciaddr=address))
    assert (ack.message.type, ack.message.yiaddr, ack.message.ciaddr) == (MessageType.ACK, address, address)
    assert (ack.to, ack.mac) == (address, MAC)
    assert [lease.until for lease in talk.server.leases.active(1800)] == [1800 + 3600]
    assert talk.rules() == []


def test_rebinding_extends_the_lease(talk: Conversation) -> None:
    address = talk.lease()
    (ack,) = talk.broadcast(3200, said(MessageType.REQUEST, xid=2, ciaddr=address), source=address)
    assert (ack.message.type, ack.to) == (MessageType.ACK, address)
    assert talk.rules() == []


def test_a_moved_pool_refuses_the_renewal_with_a_broadcast(talk: Conversation) -> None:
    address = talk.lease()
    talk.server.settings = attrs.evolve(SETTINGS, first=A("192.0.2.100"), last=A("192.0.2.110"))
    (nak,) = talk.unicast(1800, said(MessageType.REQUEST, xid=2, ciaddr=address, broadcast=False))
    assert (nak.message.type, nak.to, nak.mac) == (MessageType.NAK, BROADCAST, b"\xff" * 6)


def test_who_has_no_authority_says_nothing_of_strangers() -> None:
    talk = Conversation(Server(attrs.evolve(SETTINGS, authoritative=False)))
    assert talk.broadcast(0, said(MessageType.REQUEST, ciaddr=A("192.0.2.50")), source=A("192.0.2.50")) == []
    assert talk.broadcast(0, said(MessageType.REQUEST, o50=A("10.0.0.1").packed)) == []


def test_servers_of_one_service_know_each_others_leases() -> None:
    first = Server(SETTINGS)
    address = Conversation(first).lease()
    second = Server(attrs.evolve(SETTINGS, server_id=A("192.0.2.2")), leases=first.leases)
    (ack,) = second.receive(said(MessageType.REQUEST, xid=2, ciaddr=address), address, BROADCAST, 3200)
    assert ack.message.options[54] == A("192.0.2.2").packed


def test_a_declined_address_is_not_given_again(talk: Conversation) -> None:
    address = talk.lease()
    decline = said(MessageType.DECLINE, xid=2, wanted=None, o50=address.packed, o54=SERVER.packed)
    assert talk.broadcast(1, decline) == []
    assert talk.lease(12, xid=3) == A("192.0.2.51")
    assert talk.rules() == []


def test_a_released_address_may_be_had_by_others_and_again(talk: Conversation) -> None:
    address = talk.lease()
    assert talk.unicast(1, said(MessageType.RELEASE, xid=2, wanted=None, ciaddr=address, o54=SERVER.packed)) == []
    assert talk.server.leases.active(2) == []
    assert talk.lease(3, xid=3) == address
    assert talk.rules() == []


def test_inform_is_told_everything_but_a_lease(talk: Conversation) -> None:
    (ack,) = talk.unicast(0, said(MessageType.INFORM, ciaddr=A("192.0.2.9")))
    assert (ack.message.type, ack.message.yiaddr, ack.to) == (MessageType.ACK, ANY, A("192.0.2.9"))
    assert not {51, 58, 59} & set(ack.message.options)
    assert 6 in ack.message.options
    assert talk.server.leases.of(ID) is None


def test_rapid_commit_only_between_two_who_want_it(talk: Conversation) -> None:
    (plain,) = talk.broadcast(0, said(MessageType.DISCOVER, o80=b""))
    assert plain.message.type is MessageType.OFFER
    talk.server.settings = attrs.evolve(SETTINGS, rapid_commit=True)
    (ack,) = talk.broadcast(1, said(MessageType.DISCOVER, xid=2, o80=b""))
    assert (ack.message.type, ack.message.options[80]) == (MessageType.ACK, b"")
    (offer,) = talk.broadcast(2, said(MessageType.DISCOVER, xid=3))
    assert offer.message.type is MessageType.OFFER


@pytest.mark.parametrize(
    ("broadcast", "to", "mac"), [(False, A("192.0.2.50"), MAC), (True, BROADCAST, b"\xff" * 6)], ids=["unicast", "flag"]
)
def test_where_an_offer_goes(talk: Conversation, broadcast: bool, to: A, mac: bytes) -> None:
    """RFC 2131 §4.1."""
    (offer,) = talk.broadcast(0, said(MessageType.DISCOVER, broadcast=broadcast))
    assert (offer.to, offer.mac, offer.message.broadcast) == (to, mac, broadcast)


def test_an_infinite_lease_never_ends(talk: Conversation) -> None:
    talk.server.settings = attrs.evolve(SETTINGS, lease_time=0xFFFFFFFF, t1=None, t2=None)
    address = talk.lease()
    assert talk.server.leases.active(1e12)
    (ack,) = talk.broadcast(1e9, said(MessageType.REQUEST, xid=2, o50=address.packed))
    assert ack.message.options[51] == b"\xff\xff\xff\xff"
    assert not {58, 59} & set(ack.message.options)


def test_a_silent_server_hears_nothing(talk: Conversation) -> None:
    talk.server.settings = attrs.evolve(SETTINGS, silent=True)
    assert talk.broadcast(0, said(MessageType.DISCOVER)) == []
    assert not talk.server.heard


def test_option_values() -> None:
    assert names("example.net", "a.b") == b"\x07example\x03net\x00\x01a\x01b\x00"
    assert routes(("10.0.0.0/8", "192.0.2.1"), ("0.0.0.0/0", "0.0.0.0"), ("192.0.2.128/25", "192.0.2.2")) == (
        b"\x08\x0a\xc0\x00\x02\x01" + b"\0\0\0\0\0" + b"\x19\xc0\x00\x02\x80\xc0\x00\x02\x02"
    )


LEASED = A("192.0.2.50")
WRONG = {
    "an option 54 in DISCOVER": (said(MessageType.DISCOVER, o54=SERVER.packed), ANY, BROADCAST),
    "ciaddr in DISCOVER": (said(MessageType.DISCOVER, ciaddr=LEASED), ANY, BROADCAST),
    "a unicast DISCOVER": (said(MessageType.DISCOVER), ANY, SERVER),
    "an address before there is one": (said(MessageType.DISCOVER), LEASED, BROADCAST),
    "no option 50 in SELECTING": (said(MessageType.REQUEST, o54=SERVER.packed), ANY, BROADCAST),
    "ciaddr in SELECTING": (
        said(MessageType.REQUEST, o54=SERVER.packed, o50=LEASED.packed, ciaddr=LEASED),
        ANY,
        BROADCAST,
    ),
    "no option 50 in INIT-REBOOT": (said(MessageType.REQUEST), ANY, BROADCAST),
    "option 50 in RENEWING": (said(MessageType.REQUEST, o50=LEASED.packed, ciaddr=LEASED), LEASED, SERVER),
    "option 50 in REBINDING": (said(MessageType.REQUEST, o50=LEASED.packed, ciaddr=LEASED), LEASED, BROADCAST),
    "option 54 in RENEWING": (said(MessageType.REQUEST, o54=SERVER.packed, ciaddr=LEASED), LEASED, SERVER),
    "renewal from elsewhere": (said(MessageType.REQUEST, ciaddr=LEASED), A("192.0.2.51"), SERVER),
    "no option 54 in DECLINE": (said(MessageType.DECLINE, wanted=None, o50=LEASED.packed), ANY, BROADCAST),
    "no option 50 in DECLINE": (said(MessageType.DECLINE, wanted=None, o54=SERVER.packed), ANY, BROADCAST),
    "option 55 in DECLINE": (said(MessageType.DECLINE, o50=LEASED.packed, o54=SERVER.packed), ANY, BROADCAST),
    "secs in DECLINE": (
        said(MessageType.DECLINE, wanted=None, o50=LEASED.packed, o54=SERVER.packed, secs=3),
        ANY,
        BROADCAST,
    ),
    "option 50 in RELEASE": (
        said(MessageType.RELEASE, wanted=None, o50=LEASED.packed, o54=SERVER.packed, ciaddr=LEASED),
        LEASED,
        SERVER,
    ),
    "option 60 in RELEASE": (
        said(MessageType.RELEASE, wanted=None, o60=b"x", o54=SERVER.packed, ciaddr=LEASED),
        LEASED,
        SERVER,
    ),
    "no ciaddr in RELEASE": (said(MessageType.RELEASE, wanted=None, o54=SERVER.packed), ANY, SERVER),
    "a broadcast RELEASE": (
        said(MessageType.RELEASE, wanted=None, o54=SERVER.packed, ciaddr=LEASED),
        LEASED,
        BROADCAST,
    ),
    "a lease time in INFORM": (said(MessageType.INFORM, ciaddr=LEASED, o51=b"\0\0\0\1"), LEASED, SERVER),
    "no ciaddr in INFORM": (said(MessageType.INFORM), ANY, SERVER),
    "an OFFER of a client": (said(MessageType.OFFER), ANY, BROADCAST),
    "a short option 50": (said(MessageType.DISCOVER, o50=b"\1"), ANY, BROADCAST),
    "a short option 61": (said(MessageType.DISCOVER, identity=b"\1"), ANY, BROADCAST),
    "an empty option 55": (said(MessageType.DISCOVER, wanted=b""), ANY, BROADCAST),
    "a small option 57": (said(MessageType.DISCOVER, o57=b"\0\xff"), ANY, BROADCAST),
    "giaddr": (attrs.evolve(said(MessageType.DISCOVER), giaddr=SERVER), ANY, BROADCAST),
    "a reply": (attrs.evolve(said(MessageType.DISCOVER), op=Op.BOOTREPLY), ANY, BROADCAST),
    "reserved flags": (
        attrs.evolve(
            said(MessageType.DISCOVER), opaque=b"\1\1\6" + bytes(8) + b"\1" + bytes(228) + b"\x35\1".ljust(99)
        ),
        ANY,
        BROADCAST,
    ),
    "a short message": (
        attrs.evolve(said(MessageType.DISCOVER), opaque=said(MessageType.DISCOVER).opaque[:290]),
        ANY,
        BROADCAST,
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_one_violation_is_one_violation(talk: Conversation, name: str) -> None:
    """Every rule alone: a message that breaks it is held against the client once, and breaks the server never."""
    message, source, destination = WRONG[name]
    talk.server.receive(message, source, destination, 0)
    assert len(talk.rules()) == 1, talk.rules()


def test_a_changed_client_identifier_is_a_violation(talk: Conversation) -> None:
    talk.lease()
    talk.unicast(1800, said(MessageType.REQUEST, xid=2, ciaddr=LEASED, identity=b"\1" + MAC))
    assert talk.rules() == ["the client identifier changed (RFC 2131 §2, §4.2)"]


def test_request_must_take_up_an_offer(talk: Conversation) -> None:
    talk.broadcast(0, said(MessageType.DISCOVER, xid=1))
    talk.broadcast(1, said(MessageType.REQUEST, xid=2, o50=LEASED.packed, o54=SERVER.packed))
    talk.broadcast(2, said(MessageType.REQUEST, xid=1, o50=A("192.0.2.51").packed, o54=SERVER.packed))
    assert talk.rules() == [
        "REQUEST does not have the xid of an OFFER (table 5)",
        "REQUEST asks for another address than was offered (§4.3.2)",
    ]
