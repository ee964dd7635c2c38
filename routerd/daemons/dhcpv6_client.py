"""The managed DHCPv6 client of one interface: what of a DHCP client's life (`dhcp_daemon`) is particular to version 6.
All DHCPv6 resources of the interface are its associations (V6-13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv6Address
from typing import Any

import trio

from routerd.daemons.dhcp_daemon import DhcpDaemon
from routerd.daemons.dhcp_part import Stage, Transmit
from routerd.daemons.dhcpv6_attachment import Attachment
from routerd.daemons.dhcpv6_causes import Causes
from routerd.daemons.dhcpv6_memory import LeaseMemory
from routerd.daemons.dhcpv6_report import TOPIC
from routerd.daemons.dhcpv6_routers import Routers
from routerd.daemons.dhcpv6_settings import DIRECTORY, KIND, ClientSpec, marking_of, settings_of
from routerd.daemons.dhcpv6_status import observed_of
from routerd.daemons.dhcpv6_voice import Voice
from routerd.daemons.given import Given
from routerd.daemons.lifetime import FAREWELL
from routerd.daemons.teller import Teller
from routerd.events.types import Ref, Source, Status
from routerd.host import Link
from routerd.protocols.dhcpv6 import inputs, outputs
from routerd.protocols.dhcpv6.association import Association
from routerd.protocols.dhcpv6.binding import Binding
from routerd.protocols.dhcpv6.client import Client
from routerd.protocols.dhcpv6.states import Stopped
from routerd.protocols.machine import Stop


class DHCPv6Part:
    """See the module, and `routerd.daemons.dhcp_part.Part`."""

    kind = KIND
    directory = DIRECTORY
    protocol = "dhcpv6"
    leases = "its leases stay"
    exchanges: Mapping[str, inputs.Input] = {
        "renew": inputs.Renew(),
        "rebind": inputs.Rebind(),
        "release": inputs.Release(),
        "info-request": inputs.RequestInformation(),
        "flush": inputs.Flush(),
    }
    stopped, finished = Stopped, outputs.Finished
    farewell = FAREWELL

    def __init__(self, resource: Ref, spec: ClientSpec, given: Given) -> None:
        self.source = Source(f"{KIND}-{resource.name}", KIND, resource.name)
        self.resource = resource
        self.refs = tuple(part.ref for part in spec.parts)
        self._spec = spec
        self.ifname = spec.ifname
        self._house = given
        owners = {part.association: part.ref for part in reversed(spec.parts)}
        self.tell = Teller(TOPIC, resource, self.source, dict(reversed(owners.items())))
        files, clock = given.state_dir / DIRECTORY, given.host.clock
        self._memory = LeaseMemory(spec, given.state_dir, files, clock, given.run_sync, self.tell, given.rng)
        self._given_back: frozenset[Association] = frozenset()

    def begin(self, stage: Stage) -> None:
        """See Part."""
        spec, given = self._spec, self._house
        self._put = stage.put
        self._commands = stage.commands
        self._routers = Routers(spec.interface)
        self._goes_on = False
        deliver, drop, may_speak = stage.deliver, stage.drop, self._may_speak
        self.attachment = Attachment(
            spec.ifname, given.endpoints, marking_of(spec), stage.put, deliver, drop, may_speak
        )
        causes = Causes(stage.course)
        self.voice = Voice(
            spec, given.host.clock, given.generation, self.attachment, self._memory, stage.scribe, self.tell, causes
        )

    async def open(self, link: Link) -> Client:
        """See Part."""
        recalled = await self._memory.recall(link.card)
        self._goes_on = recalled.remembered is not None and bool(recalled.remembered.bindings)
        self._look_at_routers()
        client = Client(settings_of(self._spec, recalled.duid), self._house.rng, recalled.remembered)
        self.voice.last_error = None
        self.voice.tell_recalled(recalled)
        return client

    def has_all(self, client: Client) -> bool:
        """See Part."""
        wanted = [part.association for part in self._spec.parts]
        return all(client.information is not None if about is None else about in client.bindings for about in wanted)

    async def act(self, client: Client, said: Sequence[outputs.Output], transmit: Transmit) -> None:
        """See Part."""
        await trio.lowlevel.checkpoint()
        for output in said:
            match output:
                case outputs.Send():
                    await transmit(output)
                case outputs.Bound(binding) | outputs.Resumed(binding) | outputs.Changed(binding):
                    self._contest(binding)

    def _contest(self, binding: Binding) -> None:
        """An address that is on the interface already, and found to be somebody else's, is no good (V6-26)."""
        for lease in binding.leases:
            if isinstance(lease.asset, IPv6Address) and self.attachment.is_duplicate(lease.asset):
                self._put(inputs.Conflict(lease.asset))

    async def send(self, output: outputs.Send) -> None:
        """See Part."""
        await trio.lowlevel.checkpoint()
        if self.attachment.port is None:
            raise OSError("there is no interface to send by")
        await self.attachment.port.send(output)

    def not_sent(self, output: outputs.Send, reason: str) -> None:
        """See Part."""
        self._put(inputs.SendFailed(reason))

    def look(self, running: bool) -> None:
        """See Part: routers may have spoken."""
        self._look_at_routers()
        if running:
            self.attachment.look()

    def _look_at_routers(self) -> None:
        for news in self._routers.look(stored.status for stored in self._house.log.objects.of_kind("IPv6RAAddress")):
            # One that is under way asks for the same; the machine's refusal of a second one would be taken for its end.
            if not isinstance(news, inputs.RequestInformation) or not self._commands.is_under_way("info-request"):
                self._put(news)

    def _may_speak(self) -> bool:
        """A client that follows routers begins when one says so; who has leases goes on in any case."""
        return not self._spec.whole.follow_ra or self._goes_on or self._routers.ask_for_dhcp

    def give_back(self, associations: frozenset[Association]) -> None:
        """These are not wanted any more: the end, which follows, is more than a restart (V6-27)."""
        self._given_back = associations

    def goodbye(self) -> inputs.Leave | Stop:
        """See Part."""
        self.voice.muted = frozenset(part.ref for part in self._spec.parts if part.association not in self._given_back)
        return _ending(self._given_back)

    def stop(self) -> inputs.Leave | Stop:
        """See Part."""
        return _ending(self._spec.given_back())

    def observed(self, status: Status) -> Mapping[str, Any]:
        """See Part."""
        return observed_of(status)


def _ending(given_back: frozenset[Association]) -> inputs.Leave | Stop:
    return inputs.Leave(given_back) if given_back else Stop()


DHCPv6Daemon = DhcpDaemon[DHCPv6Part]


def dhcpv6_daemon(resource: Ref, spec: ClientSpec, given: Given) -> DHCPv6Daemon:
    """The client of one interface, which has its name of this resource."""
    return DhcpDaemon(DHCPv6Part(resource, spec, given), given)
