"""The subnet that a resource asks for out of a delegated prefix. Pure arithmetic, no policy of when."""

from __future__ import annotations

from ipaddress import IPv6Interface, IPv6Network

import attrs

from routerd.resources.net6 import IPv6DelegatedAddress


@attrs.frozen
class Misfit:
    """Why a prefix has no such subnet: `reason` a word, `message` a sentence."""

    reason: str
    message: str


def subnet_of(
    spec: IPv6DelegatedAddress, prefix: IPv6Network, excluded: IPv6Network | None = None
) -> IPv6Interface | Misfit:
    """The address within its subnet. `excluded` is the part of the prefix that is the provider's (RFC 6603)."""
    length = spec.prefix_length
    if length < prefix.prefixlen:
        return Misfit("SubnetDoesNotFit", f"{prefix} is smaller than the subnet, which is a /{length}")
    room = 1 << (length - prefix.prefixlen)
    if spec.subnet_id >= room:
        last = "its only one is 0" if room == 1 else f"they go from 0 to {room - 1}"
        return Misfit("SubnetDoesNotFit", f"{prefix} has no subnet {spec.subnet_id} of length {length}: {last}")
    first = int(prefix.network_address) + (spec.subnet_id << (128 - length))
    subnet = IPv6Network((first, length))
    if excluded is not None and subnet.overlaps(excluded):
        return Misfit("SubnetExcluded", f"{subnet} is not ours to use: the provider keeps {excluded} out of {prefix}")
    return IPv6Interface((first | int(spec.address_suffix), length))
