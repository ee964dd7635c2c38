"""Whole exchanges as text. A change of behaviour is a change of these files, for somebody to read and agree to.

`python -m tests.protocols.dhcpv6.test_transcripts` writes them anew.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from routerd.protocols.dhcpv6 import outputs, states
from routerd.protocols.dhcpv6.association import Grant
from routerd.protocols.dhcpv6.inputs import Conflict, LinkDown, Release, Renew
from routerd.protocols.dhcpv6.message import MessageType
from tests.protocols.dhcpv6.scene import (
    ADDRESS,
    LENGTH,
    LINK,
    NA,
    OTHER_ADDRESS,
    OTHER_PREFIX,
    OTHER_SERVER,
    PD,
    PREFIX,
    Scene,
    binding,
    ia,
    memory,
    status_option,
)
from tests.protocols.dhcpv6.transcript import render

FOLDER = Path(__file__).parents[2] / "vectors" / "dhcpv6"
M = MessageType


def a_day() -> Scene:
    """Acquired, renewed, rebound by a failover partner, given back."""
    scene = Scene(NA, PD, hints={PD: LENGTH}).bound()
    scene.until_sent(M.RENEW)
    scene.run(0.02)
    scene.reply()
    scene.until_sent(M.REBIND)
    scene.run(0.02)
    scene.reply(server=OTHER_SERVER)
    scene.run(100)
    scene.feed(Renew())
    scene.run(0.02)
    scene.reply(server=OTHER_SERVER)
    scene.feed(Release())
    scene.run(0.02)
    scene.silent_reply(server=OTHER_SERVER)
    return scene


def renumbered() -> Scene:
    """With notice; without; and the server has nothing left."""
    scene = Scene(PD).renewing()
    scene.reply(ia(PD, Grant(PREFIX, 0, 600), Grant(OTHER_PREFIX, 3000, 5000)))
    scene.until_sent(M.RENEW)
    scene.reply(ia(PD, Grant(PREFIX, 3000, 5000)))
    scene.until_sent(M.RENEW)
    scene.reply(ia(PD, status=6))
    scene.until_sent(M.SOLICIT)
    scene.run(0.1)
    return scene


def coming_back() -> Scene:
    """Remembered over a restart, confirmed; then a cut of the line, with nobody at its other end."""
    scene = Scene(NA, PD, remembered=memory(binding(NA), binding(PD))).started()
    scene.until_sent(M.REBIND)
    scene.reply()
    scene.run(20)
    scene.feed(LinkDown())
    scene.run(60)
    scene.feed(LINK)
    scene.until_state(states.Bound)
    return scene


def in_parts() -> Scene:
    """No binding of one, a conflict about the other, and another link in the end."""
    scene = Scene(NA, PD).renewing()
    scene.reply(ia(NA), ia(PD, status=3))
    scene.reply(ia(PD))
    scene.feed(Conflict(ADDRESS))
    scene.silent_reply()
    scene.until_sent(M.RENEW)
    scene.reply(ia(PD), ia(NA, Grant(OTHER_ADDRESS, 3000, 5000)))
    scene.until_sent(M.RENEW)
    scene.silent_reply(options=(status_option(4),))
    scene.until(outputs.Send)
    return scene


SCENES: dict[str, Callable[[], Scene]] = {
    "a-day": a_day,
    "coming-back": coming_back,
    "in-parts": in_parts,
    "renumbered": renumbered,
}


@pytest.mark.req("C1")
@pytest.mark.parametrize("name", SCENES)
def test_the_transcript_is_the_one_agreed_to(name: str) -> None:
    assert render(SCENES[name]()) == (FOLDER / f"{name}.txt").read_text()


if __name__ == "__main__":
    for each, play in SCENES.items():
        (FOLDER / f"{each}.txt").write_text(render(play()))
