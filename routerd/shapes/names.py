"""snake_case attributes and their camelCase names on the wire. A field whose wire name does not follow the rule
says so itself: `attrs.field(metadata={"name": "requestId"})`."""

from __future__ import annotations

from typing import Any

import attrs

_SPELLING = (
    "ARP CIDR CIDRs DHCP DHCPv4 DHCPv6 DNS DNSSL DUID FQDN GC ID IP IPv4 IPv6 LL MAC MTU NAT NAT44 NTP PD PPP RA RDNSS "
    "SNI SNTP TLS TTL UID URL"
)
ACRONYMS = {word.lower(): word for word in _SPELLING.split()}
"""Words that keep their spelling inside a name (`clientID`, `useDNS`); at its beginning they are lower case."""


def camel(name: str) -> str:
    """`client_id_type` -> `clientIDType`."""
    first, *rest = name.strip("_").split("_")
    return first + "".join(ACRONYMS.get(word, word[:1].upper() + word[1:]) for word in rest)


def wire_name(field: attrs.Attribute[Any]) -> str:
    """The name of an attrs field on the wire."""
    name: str | None = field.metadata.get("name")
    return name if name is not None else camel(field.name)
