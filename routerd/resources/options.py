"""DHCP options that an operator sends raw: which ones may be, and how their values are written."""

from __future__ import annotations

import re
from typing import Any

import attrs

from routerd.resources.resource import told
from routerd.shapes.invalid import Invalid
from routerd.shapes.limits import Between, Matching
from routerd.shapes.secret import Secret

OPTION_CODE = Between(1, 254)
OPTION_TEXT = Matching(r"[ -~]{1,255}", 255, "the text of an option", "1 to 255 printable ASCII characters")

COMPUTED = {
    12: "the field `hostname` sends it",
    50: "the field `requestedAddress` sends it",
    52: "the client makes it itself",
    53: "the client makes it itself",
    54: "the client makes it itself",
    55: "the field `requestOptions` adds to it",
    57: "the client makes it itself",
    61: "the field `clientID` sends it",
    80: "the field `rapidCommit` sends it",
    82: "it belongs to relay agents",
    145: "the field `forceRenew` sends it",
}
"""Options that nobody may send raw, and what to do instead (V4-25)."""

AUTHENTICATION = 90
"""RFC 3118; some providers carry a password in it."""


@attrs.frozen
class Sendable:
    """An option code that may be sent raw."""

    def __call__(self, instance: object, field: object, value: Any) -> None:
        OPTION_CODE(instance, field, value)
        if value in COMPUTED:
            raise Invalid(
                "schema.option", f"option {value} cannot be sent raw", "expected another option", COMPUTED[value]
            )

    def schema(self) -> dict[str, Any]:
        """As JSON Schema keywords."""
        return {**OPTION_CODE.schema(), "not": {"enum": list(COMPUTED)}}


def _hexadecimal(_instance: object, _field: object, value: str | None) -> None:
    if value is not None and not re.fullmatch(r"([0-9A-Fa-f]{2}[ :]?){1,255}(?<![ :])", value):
        raise Invalid("value.hex", "the value is not hexadecimal", "expected 1 to 255 pairs of hexadecimal digits")


def octets(text: str) -> bytes:
    """What an operator wrote for an option's value: `0x0102` and `01:02` are octets, anything else is text."""
    if re.fullmatch(r"0[xX]([0-9A-Fa-f]{2})+", text):
        return bytes.fromhex(text[2:])
    if re.fullmatch(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2})+", text):
        return bytes.fromhex(text.replace(":", ""))
    return text.encode()


@attrs.frozen
class SendOption:
    """One DHCP option to send as it is. Give its value as exactly one of `hex`, `text` and `secret`."""

    code: int = attrs.field(validator=Sendable(), metadata=told("Option code.", example=77))
    hex: str | None = attrs.field(
        default=None,
        validator=_hexadecimal,
        metadata=told(
            "The value in hexadecimal; `:` or a space may stand between octets.", example="12:2b:46", sensitive=True
        ),
    )
    text: str | None = attrs.field(
        default=None, validator=OPTION_TEXT, metadata=told("The value as text.", sensitive=True)
    )
    secret: Secret | None = attrs.field(
        default=None,
        metadata=told(
            "A value that must not be seen: `0x…` and `01:02:…` are octets, all else is text. Option 90 always is one."
        ),
    )

    def __attrs_post_init__(self) -> None:
        given = [name for name in ("hex", "text", "secret") if getattr(self, name) is not None]
        if self.code == AUTHENTICATION and given != ["secret"]:
            raise Invalid(
                "value.secret",
                "option 90 authenticates this client: its value is a secret",
                "give it as `secret`",
                field="code",
            )
        if len(given) != 1:
            what = "has no value" if not given else f"has {len(given)} values"
            raise Invalid("value.exclusive", f"option {self.code} {what}", "expected one of hex, text and secret")
        if not 1 <= len(self.value) <= 255:
            raise Invalid(
                "value.length", "the value has not 1 to 255 octets", "expected 1 to 255 octets", field=given[0]
            )

    @property
    def value(self) -> bytes:
        """The octets to send. Of a secret too: for the wire, never for people."""
        if self.hex is not None:
            return bytes.fromhex(self.hex.replace(":", ""))
        return octets(self.secret.reveal()) if self.secret is not None else (self.text or "").encode()


def each_once(_instance: object, _field: object, value: tuple[SendOption, ...]) -> None:
    codes = [option.code for option in value]
    twice = next((code for code in codes if codes.count(code) > 1), None)
    if twice is not None:
        raise Invalid("value.duplicate", f"option {twice} stands here twice", "expected each option once")
