"""What an operator can do about a resource that is not as it should be: one sentence, from what is known of it now."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import attrs

from routerd.api.status import rank_of
from routerd.events.types import Event, Ref, Status

BY_REASON: Mapping[str, str] = {
    "Stopped": "it was stopped by command: `routerctl start {ref}`",
    "Released": "its lease was given back by command: `routerctl start {ref}`",
    "Starting": "it has just been started: wait a moment",
    "CrashLoop": "a defect of routerd: it is started again by itself, and the traceback is in the process's log",
    "HostRefused": "the system refuses: {message}; it is tried again by itself",
    "WhenFalse": "the configuration holds it back: {message}",
    "DependsOnFalse": "it waits for another resource: {message}",
    "LinkAbsent": "see why the interface is not there, and what the configuration calls it; it goes on by itself then",
    "NoEthernet": "DHCPv4 needs an Ethernet interface: let the client name another one",
    "NoCarrier": "see to the cable and to its other end; it goes on by itself then",
    "LinkDown": "set the interface up; it goes on by itself then",
    "AdminDown": "set {ifname} up, or let routerd do it: `managed: true` in {ref}",
    "NoLinkLocal": "see why {device} has no link-local address: `ip -6 address show dev {device}`",
    "NoRouter": "see whether the provider's router advertises itself on {device}; routers are asked again meanwhile",
    "SubnetDoesNotFit": "ask for a shorter prefix, or name another subnet in {ref}: {message}",
    "SubnetTaken": "name another subnet in {ref}: {message}",
    "SubnetExcluded": "name another subnet in {ref}: {message}",
    "DuplicateAddress": "find the host that has it, or give {ref} another address; it is tried again by itself",
    "SourceAbsent": "put the address that it names, or let it name another: {message}",
    "V6OnlyPreferred": "the network asks for IPv6 only; without `v6OnlyPreferred` the client would take an address",
    "Unresolved": "{message}",
}
"""By the reason of the status."""

BY_ROOT: Mapping[str, str] = {
    "Refused": "{root}; it is asked again by itself: ask the provider if that goes on",
    "Nak": "the server refuses, and is asked for another address; if that goes on, ask the provider",
    "Conflict": "another host uses the address ({root}): find it; another address is asked for meanwhile",
}
"""By the reason of the event at the root."""

NOT_GRANTED = "a server answers, and does not grant it; it is asked again by itself: ask the provider if that goes on"
"""What there is to say where no server has said more."""

SILENCE: Mapping[str, str] = {
    "Refreshing": "try `routerctl renew {ref}`",
    "Rebinding": "try `routerctl rebind {ref}`",
    "Acquiring": "see whether a server is at the other end; it is asked again and again meanwhile",
}
"""By the phase of a client whose server does not answer."""


@attrs.frozen
class Case:
    """What is known. `status_of` tells the status of any resource, `{}` if there is none; `led` are the resources that
    led there, that of the root first."""

    ref: Ref
    status: Status
    root: Event | None
    status_of: Callable[[str], Status]
    pending_error: str | None = None
    led: Collection[Ref] = ()


def advise(case: Case) -> str | None:
    """The sentence; None for a resource that is as it should be."""
    if case.ref.kind == "Router" and case.pending_error is not None:
        first = case.pending_error.partition("\n")[0]
        return f"mend the configuration, {first}; then apply it again, or send SIGHUP"
    if not is_troubled(case.status):
        return None
    reason = str(case.status.get("reason"))
    told = BY_REASON.get(reason, "") or _about_root(case)
    told = told or (NOT_GRANTED if reason == "NotGranted" else _about_silence(case))
    if not told:
        return _elsewhere(case)
    words = {"ref": str(case.ref), "message": "", "ifname": "it", **case.status, "root": _words(case.root)}
    sentence = told.format_map(words)
    return (
        f"{sentence}: `routerctl why {other}`"
        if told == BY_REASON["Unresolved"] and (other := _other(case))
        else sentence
    )


def is_troubled(status: Status) -> bool:
    """Whether there is something to be explained about it: also a lease that is held without a carrier, and what the
    configuration holds back."""
    return suffers(status) or status.get("reason") == "WhenFalse"


def suffers(status: Status) -> bool:
    """Whether it is in trouble by what happened, not by the wish of the configuration."""
    return rank_of(status) > 0 or status.get("reason") in ("NoCarrier", "DependsOnFalse")


def _about_root(case: Case) -> str:
    return BY_ROOT.get(case.root.reason, "") if case.root is not None else ""


def _about_silence(case: Case) -> str:
    """Nobody answers. If that began with the link, say that the link is not to blame any more."""
    told = SILENCE.get(str(case.status.get("phase")), "")
    interface = case.status_of(f"Interface/{case.status.get('interface', '')}")
    blamed = case.root is not None and case.root.reason in ("CarrierLost", "LinkGone", "MacChanged")
    if not (told and blamed and interface.get("phase") == "Up"):
        return told and f"no answer: {told}"
    since = next((c["lastTransitionTime"] for c in interface.get("conditions", ()) if c["type"] == "LinkUp"), "")
    return f"the link is up again since {since}, but no answer: {told}"


def _elsewhere(case: Case) -> str | None:
    other = _other(case)
    return f"see `routerctl why {other}`" if other else None


def _other(case: Case) -> str:
    """Another resource that led there: the first that is in trouble still, else that of the root."""
    others = {ref: case.status_of(str(ref)) for ref in case.led if ref != case.ref}
    root = case.root.resource if case.root is not None else None
    resource = next((ref for ref, status in others.items() if status and suffers(status)), root)
    return str(resource) if resource not in (None, case.ref) else ""


def _words(event: Event | None) -> str:
    return event.message if event is not None else ""
