"""From an event back to its root: the graph of causes as a tree that can be told. Pure.

An event is younger than its causes; what claims otherwise is no cause, so every graph has an end. What retention has
taken is counted, not guessed. Alarms (what rules made of events) are told apart: they follow from the root, they do not
lead to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import attrs

from routerd.events.types import Ref, StoredEvent

ALARMS = frozenset({"routerd-derived", "routerd-eventrule"})
"""Kinds of sources whose events are made of others'."""
ALARM_KINDS = frozenset({"DerivedEvent", "EventRule"})


@attrs.frozen
class Cause:
    """An event and what led to it, the deepest first. `alike` are the events that it stands for, itself the last of
    them: of one kind, and of the same causes. `missing`: how many causes the log does not have (any more). `again`: its
    causes are told at another place of the tree. `root`: nothing that is known leads there, and it is the deepest."""

    event: StoredEvent
    causes: tuple[Cause, ...] = ()
    root: bool = False
    alike: tuple[StoredEvent, ...] = ()
    missing: int = 0
    again: bool = False


@attrs.frozen
class Chain:
    """The tree of one event; the events of its root; of each resource that lies on the way the newest event; and whose
    alarms were left out."""

    top: Cause
    root: frozenset[int]
    passes: Mapping[Ref, int]
    alarms: frozenset[Ref]


def is_alarm(stored: StoredEvent) -> bool:
    """Whether a rule made it."""
    event = stored.event
    made = event.source is not None and event.source.kind in ALARMS
    return made or (event.resource is not None and event.resource.kind in ALARM_KINDS)


def wanted(events: Iterable[StoredEvent], known: Collection[int]) -> set[int]:
    """Ids that these name as causes and that are not known yet."""
    return {cause for stored in events for cause in stored.event.causes if 0 < cause < stored.id} - set(known)


def build(start: int, events: Mapping[int, StoredEvent]) -> Chain:
    """The chain from the event `start` on. `events` by id; what is not among them is missing."""
    graph = _Graph(events, start)
    groups = graph.groups([start])
    root = graph.root_of(groups[0])
    top = _Teller(graph, root).tell(groups[0])
    passes = {ref: number for number in sorted(graph.nodes) if (ref := events[number].event.resource) is not None}
    return Chain(top, frozenset(root), passes, frozenset(graph.alarms))


@attrs.frozen
class _Node:
    """The causes of one event that count, and how many are missing."""

    causes: tuple[int, ...]
    missing: int


_Group = tuple[int, ...]
"""Ids of events that are told as one, ascending."""


class _Graph:
    """What can be reached from an event."""

    def __init__(self, events: Mapping[int, StoredEvent], start: int) -> None:
        self.events = events
        self.alarms: set[Ref] = set()
        self.nodes: dict[int, _Node] = {}
        waiting = [start]
        while waiting:
            number = waiting.pop()
            if number not in self.nodes:
                self.nodes[number] = self._node(number, is_start=number == start)
                waiting += self.nodes[number].causes
        self._depth = self._depths()

    def _node(self, number: int, *, is_start: bool) -> _Node:
        """An alarm among the causes gives way to its own causes."""
        found: dict[int, None] = {}
        missing = 0
        waiting = list(reversed(self.events[number].event.causes))
        seen: set[int] = set()
        while waiting:
            cause = waiting.pop()
            if cause in seen:
                continue
            seen.add(cause)
            stored = self.events.get(cause)
            if stored is None or cause >= number:
                missing += 1
            elif is_alarm(stored) and not (is_start and is_alarm(self.events[number])):
                self.alarms |= {stored.event.resource} if stored.event.resource is not None else set()
                waiting += [one for one in reversed(stored.event.causes) if one < cause]
            else:
                found[cause] = None
        return _Node(tuple(found), missing)

    def _depths(self) -> dict[int, int]:
        """How many steps lead from an event to the farthest end. Causes are older, so ascending ids will do."""
        depth: dict[int, int] = {}
        for number in sorted(self.nodes):
            depth[number] = max((depth[cause] + 1 for cause in self.nodes[number].causes), default=0)
        return depth

    def groups(self, numbers: Collection[int]) -> list[_Group]:
        """These events with those told as one that are alike, the deepest first, then the oldest."""
        found: dict[object, list[int]] = {}
        for number in sorted(numbers):
            event = self.events[number].event
            likeness = event.topic, event.reason, event.resource, self.nodes[number].causes
            found.setdefault(likeness, []).append(number)
        return sorted(map(tuple, found.values()), key=lambda group: (-self._depth[group[0]], group[0]))

    def causes(self, group: _Group) -> tuple[int, ...]:
        """What led to them: they have it in common."""
        return self.nodes[group[0]].causes

    def root_of(self, group: _Group) -> _Group:
        """The end of the longest way."""
        while causes := self.causes(group):
            group = self.groups(causes)[0]
        return group


class _Teller:
    """Tells each event once; where it comes again, only that it does."""

    def __init__(self, graph: _Graph, root: _Group) -> None:
        self._graph = graph
        self._root = root
        self._told: set[int] = set()

    def tell(self, group: _Group) -> Cause:
        graph = self._graph
        causes = graph.causes(group)
        events = tuple(graph.events[number] for number in group)
        told = Cause(
            event=events[-1],
            root=group == self._root,
            alike=events if len(events) > 1 else (),
            missing=graph.nodes[group[0]].missing,
        )
        if self._told.issuperset(group):
            return attrs.evolve(told, again=bool(causes), root=False)
        self._told.update(group)
        return attrs.evolve(told, causes=tuple(self.tell(one) for one in graph.groups(causes)))
