"""Text and numbers to typed scalars, strictly: each hook takes what JSON gives and returns the value or raises Invalid.
An address that has a prefix length must write it out, in digits."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import Any

from routerd.shapes.duration import Duration, Period, parse_duration, parse_period
from routerd.shapes.instant import Instant, parse_instant
from routerd.shapes.invalid import Invalid, described
from routerd.shapes.secret import Secret

Hook = Callable[[Any, Any], Any]
"""(value, type) -> typed value, as cattrs calls it."""

Hint = Callable[[Any], str]
"""A wrong value -> what was probably meant, or nothing."""


def no_hint(_: Any) -> str:
    """Nobody knows."""
    return ""


def _exactly(kind: type, name: str, hint: Hint = no_hint) -> Hook:
    def structure(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise Invalid("schema.type", f"expected {name}, got {described(value)}", f"expected {name}", hint(value))
        return value

    return structure


def _text(parse: Callable[[str], Any], name: str, hint: Hint = no_hint) -> Hook:
    check = _exactly(str, name, hint)
    return lambda value, tp: parse(check(value, tp))


def _number(value: Any, _: Any) -> float:
    if type(value) not in (int, float):
        raise Invalid("schema.type", f"expected a number, got {described(value)}", "expected a number")
    return float(value)


def _secret(value: Any, _: Any) -> Secret:
    if type(value) is not str:
        raise Invalid("schema.type", "expected text", "expected text", "quote it")
    return Secret(value)


def _octets(text: str) -> bytes:
    if not re.fullmatch("([0-9A-Fa-f]{2})*", text):
        raise Invalid("schema.hex", f"{described(text)} is not hexadecimal", "expected pairs of hexadecimal digits")
    return bytes.fromhex(text)


def _address(parse: Callable[[str], Any], name: str) -> Hook:
    def structure(text: str) -> Any:
        try:
            return parse(text)
        except ValueError:
            hint = f"did you mean {text.split('/')[0]}?" if "/" in text else ""
            raise Invalid("schema.address", f"{described(text)} is not {name}", f"expected {name}", hint) from None

    return _text(structure, name)


def _prefixed(parse: Callable[[str], Any], name: str, versions: tuple[int, ...]) -> Hook:
    def structure(text: str) -> Any:
        whole = _interface(text)
        if whole is None or whole.version not in versions or text.rpartition("/")[2] != str(whole.network.prefixlen):
            hint = _prefix_hint(text, whole, versions[0])
            raise Invalid("schema.address", f"{described(text)} is not {name}", f"expected {name}", hint)
        try:
            return parse(text)
        except ValueError:  # only a network minds: there are bits set behind the prefix
            network = whole.network
            raise Invalid(
                "value.network", f"{described(text)} is an address in {network}", "expected a network", f"use {network}"
            ) from None

    return _text(structure, name)


def _interface(text: str) -> IPv4Interface | IPv6Interface | None:
    try:
        return ip_interface(text)
    except ValueError:
        return None


def _prefix_hint(text: str, whole: IPv4Interface | IPv6Interface | None, version: int) -> str:
    if whole is None:
        return f"did you mean {'::/0' if version == 6 else '0.0.0.0/0'}?" if text == "default" else ""
    if "/" in text:
        return f"did you mean {whole.with_prefixlen}?"
    return f"add the prefix length, for example {text}/{24 if whole.version == 4 else 64}"


# What a slip of the pen most likely meant


def _quote(value: Any) -> str:
    return f'if text is meant, quote it: "{value}"' if type(value) in (int, float) else ""


def _boolean(value: Any) -> str:
    word = value.lower() if isinstance(value, str) else value
    if word in ("yes", "on", "y", "true", 1):
        return "did you mean true?"
    return "did you mean false?" if word in ("no", "off", "n", "false", 0) else ""


def _unquote(value: Any) -> str:
    return "write it without quotes" if isinstance(value, str) and value.isascii() and value.isdigit() else ""


def _seconds(value: Any) -> str:
    return f"did you mean {value}s?" if type(value) in (int, float) and value >= 0 else ""


HOOKS: dict[Any, Hook] = {
    bool: _exactly(bool, "true or false", _boolean),
    int: _exactly(int, "a whole number", _unquote),
    str: _exactly(str, "text", _quote),
    float: _number,
    bytes: _text(_octets, "hexadecimal text"),
    Secret: _secret,
    Duration: _text(parse_duration, "a duration such as 30s", _seconds),
    Period: _text(parse_period, "a duration such as 30d or 12h", _seconds),
    Instant: _text(parse_instant, "a time"),
    IPv4Address: _address(IPv4Address, "an IPv4 address"),
    IPv6Address: _address(IPv6Address, "an IPv6 address"),
    IPv4Address | IPv6Address: _address(ip_address, "an IP address"),
    IPv4Interface: _prefixed(IPv4Interface, "an IPv4 address with prefix length", (4,)),
    IPv6Interface: _prefixed(IPv6Interface, "an IPv6 address with prefix length", (6,)),
    IPv4Interface | IPv6Interface: _prefixed(ip_interface, "an IP address with prefix length", (4, 6)),
    IPv4Network: _prefixed(IPv4Network, "an IPv4 network", (4,)),
    IPv6Network: _prefixed(IPv6Network, "an IPv6 network", (6,)),
    IPv4Network | IPv6Network: _prefixed(ip_network, "an IP network", (4, 6)),
}
