"""Which addresses, of both versions, there are that stay, and which there will be when all is done. What becomes of
them is the controllers' of addresses; by this routes are judged."""

from __future__ import annotations

from routerd.controllers.address import leaving_addresses, wanted_addresses
from routerd.controllers.picture import address_key
from routerd.controllers.view import View
from routerd.controllers.wanted_address6 import leaving_addresses6, wanted_addresses6
from routerd.host import Address


def staying_addresses(view: View) -> list[Address]:
    """What is there and not about to go."""
    leaving = leaving_addresses(view).keys() | leaving_addresses6(view).keys()
    return [address for key, address in view.picture.addresses.items() if key not in leaving]


def settled_addresses(view: View) -> list[Address]:
    """What there will be when all is done: what stays, and what is wanted."""
    wanted = [*(want.address for want in wanted_addresses(view)), *(want.address for want in wanted_addresses6(view))]
    return staying_addresses(view) + [one for one in wanted if address_key(one) not in view.picture.addresses]
