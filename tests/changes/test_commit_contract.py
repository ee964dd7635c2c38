"""The contract of machines, for a change on trial; and that it always ends in one of two ways."""

import random
from typing import Any

from hypothesis import strategies as st

from routerd.changes import commit
from routerd.protocols.machine import Start, Stop
from tests.protocols.contract import THOROUGH, Contract

BOOT, TOKEN = "boot", "token"
TOKENS = st.sampled_from([TOKEN, TOKEN, "wrong", ""])
GUARDS = st.sampled_from(["a", "b"])
EVENTS = st.one_of(
    st.builds(commit.Confirm, st.sampled_from([TOKEN, "wrong", "wrong", "wrong"])),
    st.builds(commit.Extend, TOKENS, st.sampled_from([0.0, -5.0, 1.0, 60.0, 1e5, 1e300])),
    st.builds(commit.GuardFailed, GUARDS, st.just("gone"), st.sampled_from([0.0, 5.0, 10.0, 30.0])),
    st.builds(commit.GuardHolds, GUARDS),
    st.builds(commit.Restarted, st.sampled_from([BOOT, BOOT, "another"])),
    st.sampled_from([Start(), Stop(), commit.RevertFailed("no"), commit.RevertFailed("no"), commit.Reverted()]),
)


class CommitContract(Contract):
    def make(self, seed: int) -> commit.PendingCommit:
        self.until = random.Random(seed).uniform(-1e5, 2e6)
        self.confirmed = self.going = False
        return commit.PendingCommit(now=0, until=self.until, boot_id=BOOT, token_digest=commit.digest_of(TOKEN))

    def draw_event(self, data: st.DataObject) -> object:
        return data.draw(EVENTS)

    def rests(self) -> bool:
        return isinstance(self.machine.state, commit.Ended)

    def saw(self, event: object, outputs: list[Any]) -> None:
        for output in outputs:
            match output:
                case commit.Confirmed():
                    assert isinstance(event, commit.Confirm) and event.token == TOKEN
                    assert self.now <= self.until and not self.going and not self.confirmed
                    self.confirmed = True
                case commit.Revert():
                    assert not self.confirmed, "what was confirmed never goes back"
                    self.going = True
                case commit.Extended(deadline):
                    assert deadline > self.until and not self.going
                    self.until = deadline
                case commit.Warn(left):
                    assert 0 < left <= 60
        if not self.confirmed and not self.rests() and self.now > self.until and outputs:
            assert self.going, "its time is over"


TestCommit = CommitContract.TestCase
TestCommit.settings = THOROUGH
