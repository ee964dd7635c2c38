"""Which addresses, of both versions, there are that stay, and which there will be when all is done. What becomes of
them is the controllers' of addresses; by this routes are judged."""

from __future__ import annotations

import attrs

from routerd.controllers.address import leaving_addresses, wanted_addresses
from routerd.controllers.picture import address_key
from routerd.controllers.view import View
from routerd.controllers.wanted_address6 import leaving_addresses6, wanted_by_key
from routerd.host import Address


@attrs.frozen
class Settlement:
    """`staying`: what is there and not about to go. `settled`: what there will be when all is done: that, and what is
    wanted."""

    staying: list[Address]
    settled: list[Address]


def settle(view: View) -> Settlement:
    """Of all addresses as they are now."""
    wanted6 = wanted_by_key(view)
    leaving = leaving_addresses(view).keys() | leaving_addresses6(view, wanted6).keys()
    staying = [address for key, address in view.picture.addresses.items() if key not in leaving]
    wanted = [*(want.address for want in wanted_addresses(view)), *(want.address for want in wanted6.values())]
    return Settlement(staying, staying + [one for one in wanted if address_key(one) not in view.picture.addresses])
