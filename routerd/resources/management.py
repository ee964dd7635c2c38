"""ManagementAccess: by what the router is managed, and so must not be lost (contract §4.3, group `net`)."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

import attrs

from routerd.resources.resource import NAME, told
from routerd.shapes.invalid import Invalid
from routerd.shapes.limits import Each, Matching

GROUP = Matching(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}", 32, "the name of a group", "letters, digits, _, . and -")
"""What groupadd(8) and pw(8) take, and directory services beyond them."""


def _once(_instance: object, _field: object, value: tuple[object, ...]) -> None:
    twice = next((item for place, item in enumerate(value) if item in value[:place]), None)
    if twice is not None:
        raise Invalid("value.duplicate", f"{twice} stands here twice", "expected each once")


@attrs.frozen
class ManagementAccess:
    """The way by which the router is managed. A configuration in which it is cut is refused, and one on trial is
    reverted as soon as it is lost."""

    interfaces: tuple[str, ...] = attrs.field(
        validator=Each(NAME, 64),
        metadata=told("The Interface resources by which operators come in.", example=["lan"]),
    )
    allow_source_cidrs: tuple[IPv4Network | IPv6Network, ...] = attrs.field(
        default=(),
        validator=_once,
        metadata=told("Where operators come from. Recorded: this version has no firewall.", example=["10.0.0.0/24"]),
    )
    require_web_console_bound: bool = attrs.field(
        default=True,
        metadata=told(
            "Refuse a web console that listens on every address. This version has no web console.",
        ),
    )
    admin_group: str | None = attrs.field(
        default=None,
        validator=GROUP,
        metadata=told(
            "The local group whose members are admins as root is. To reach the socket they must be members of the "
            "group `routerd`, too.",
            example="wheel",
        ),
    )

    def __attrs_post_init__(self) -> None:
        if not self.interfaces:
            raise Invalid("value.required", "names no interface", "expected at least one interface", field="interfaces")
