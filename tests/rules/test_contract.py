"""The machine contract, for every operator and for derived events."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st

from routerd.events.types import Event, Ref, StoredEvent
from routerd.protocols.machine import Start, Stop
from routerd.rules.derived import DerivedMachine, Observed, Turned
from routerd.rules.machine import Fired, RuleMachine, Seen, Suppressed
from tests.protocols.contract import THOROUGH, Contract
from tests.rules.saying import derived, rule
from tests.rules.test_machine import OPERATORS

TOPICS = st.sampled_from(["a", "b", "c", "d"])
NAMES = st.sampled_from([None, Ref("K", "x"), Ref("K", "y"), Ref("K", "z")])


class RuleContract(Contract):
    """Any event may come at any time."""

    pattern: ClassVar[dict[str, Any]]

    def make(self, seed: int) -> RuleMachine:
        self.ids = 0
        self.rate = seed % 3
        limit = {"rate": self.rate, "interval": "5m"} if self.rate else {}
        return RuleMachine(rule(**{**self.pattern, **limit}, correlate_by="resource.name"))

    def draw_event(self, data: st.DataObject) -> object:
        self.ids += 1
        event = data.draw(st.builds(Event, TOPICS, resource=NAMES).map(lambda said: StoredEvent(self.ids, 0, said)))
        return data.draw(st.sampled_from([Seen(event), Seen(event), Seen(event), Start(), Stop()]))

    def rests(self) -> bool:
        """Nothing but absence and debounce waits for time; they do once something has been seen."""
        return self.pattern["operator"] not in ("absence", "debounce") or self.machine.memory["keys"] == []

    def saw(self, event: object, outputs: list[Any]) -> None:
        for output in outputs:
            if isinstance(output, Fired):
                assert list(output.inputs) == sorted(set(output.inputs))
                assert output.inputs[-1] <= self.ids
                assert output.at <= self.now
                assert output.attributes == {"correlation": output.correlation}
            assert not isinstance(output, Suppressed) or "rate" in self.pattern or self.rate


class DerivedContract(Contract):
    """Any inputs may come at any time."""

    def make(self, seed: int) -> DerivedMachine:
        self.asserted: bool | None = None
        conditions = [{"field": f"${{K/{name}.status.phase}}", "equals": "Up"} for name in "ab"]
        when = [("all_true", "any_false"), ("all_true", "all_false"), ("any_true", "all_false")][seed % 3]
        spec = derived(
            *conditions, emitWhen=when[0], retractWhen=when[1], hysteresis=f"{seed % 2 * 30}s", emitInitial=True
        )
        return DerivedMachine(spec)

    def draw_event(self, data: st.DataObject) -> object:
        truths = data.draw(st.tuples(st.booleans(), st.booleans()))
        return data.draw(st.sampled_from([Observed(truths), Observed(truths, (3, 4)), Start(), Stop()]))

    def rests(self) -> bool:
        return self.machine.deadline is None and self.machine.phase != "Pending"

    def saw(self, event: object, outputs: list[Any]) -> None:
        for output in outputs:
            assert isinstance(output, Turned)
            assert output.asserted is not self.asserted, "it says only what is new"
            self.asserted = output.asserted


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda pattern: pattern["operator"])
def test_rules_keep_the_contract(operator: dict[str, Any]) -> None:
    machine: Any = type("Case", (RuleContract,), {"pattern": operator})
    case = machine.TestCase
    case.settings = settings(THOROUGH, max_examples=25, stateful_step_count=40)
    case("runTest").runTest()


TestDerived = DerivedContract.TestCase
TestDerived.settings = settings(THOROUGH, max_examples=25)
