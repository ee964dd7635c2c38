"""Whole exchanges as text (D10). A change of behaviour is a change of these files, for somebody to read and agree to.

`python -m tests.protocols.dhcpv4.test_transcripts` writes them anew.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from routerd.protocols.dhcpv4 import outputs, states
from routerd.protocols.dhcpv4.inputs import LinkDown, Release, Renew
from routerd.protocols.dhcpv4.options import Option
from tests.protocols.dhcpv4.scene import (
    LINK,
    OTHER_ADDRESS,
    OTHER_SERVER,
    Scene,
    claim,
    gateway_answer,
    remembered,
)
from tests.protocols.dhcpv4.transcript import render

FOLDER = Path(__file__).parents[2] / "vectors" / "dhcpv4"


def a_day() -> Scene:
    """Acquired, renewed, changed by a failover partner, released."""
    scene = Scene(hostname="router").bound()
    scene.arp(gateway_answer())
    scene.until_state(states.Renewing)
    scene.run(0.02)
    scene.ack()
    scene.until_state(states.Rebinding)
    scene.run(0.02)
    scene.ack(server=OTHER_SERVER, options={Option.DOMAIN_NAME_SERVER: OTHER_SERVER.packed})
    scene.run(100)
    scene.feed(Renew())
    scene.run(0.02)
    scene.ack(server=OTHER_SERVER, options={Option.DOMAIN_NAME_SERVER: OTHER_SERVER.packed})
    scene.feed(Release())
    return scene


def coming_back() -> Scene:
    """Remembered over a restart; confirmed by the gateway, then by the server; then a longer cut of the line."""
    scene = Scene(remembered=remembered()).started()
    scene.run(0.01)
    scene.arp(gateway_answer())
    scene.run(1.5)
    scene.ack()
    scene.run(20)
    scene.feed(LinkDown())
    scene.run(60)
    scene.feed(LINK)
    scene.until(outputs.Lost)
    scene.run(10)
    return scene


def refused() -> Scene:
    """A server that forgot us, twice; then the one next to it."""
    scene = Scene(offer_window=1.0).bound()
    scene.until_state(states.Renewing)
    scene.nak(options={Option.MESSAGE: b"lease not found"})
    scene.until(outputs.Send)
    scene.offer()
    scene.offer(server=OTHER_SERVER, address=OTHER_ADDRESS)
    scene.until(outputs.Send)
    scene.nak(options={Option.MESSAGE: b"address not available"})
    scene.run(0.1)
    scene.ack(server=OTHER_SERVER, address=OTHER_ADDRESS)
    scene.until(outputs.Bound)
    return scene


def stolen() -> Scene:
    """Declined because somebody else has it; then one that is defended."""
    scene = Scene().probing()
    scene.run(2)
    scene.arp(claim())
    scene.until(outputs.Send)
    scene.offer(address=OTHER_ADDRESS)
    scene.run(0.1)
    scene.ack(address=OTHER_ADDRESS)
    scene.until(outputs.Bound)
    scene.run(60)
    scene.arp(claim(OTHER_ADDRESS))
    scene.run(1)
    scene.arp(claim(OTHER_ADDRESS))
    return scene


SCENES: dict[str, Callable[[], Scene]] = {
    "a-day": a_day,
    "coming-back": coming_back,
    "refused": refused,
    "stolen": stolen,
}


@pytest.mark.req("C1")
@pytest.mark.parametrize("name", SCENES)
def test_the_transcript_is_the_one_agreed_to(name: str) -> None:
    assert render(SCENES[name]()) == (FOLDER / f"{name}.txt").read_text()


if __name__ == "__main__":
    for each, play in SCENES.items():
        (FOLDER / f"{each}.txt").write_text(render(play()))
