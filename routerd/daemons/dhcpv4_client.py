"""The managed DHCPv4 client: what of a DHCP client's life (`dhcp_daemon`) is particular to version 4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import trio

from routerd.daemons.dhcp_daemon import DhcpDaemon
from routerd.daemons.dhcp_part import Stage, Transmit
from routerd.daemons.dhcpv4_attachment import Attachment
from routerd.daemons.dhcpv4_causes import Causes
from routerd.daemons.dhcpv4_memory import LeaseMemory
from routerd.daemons.dhcpv4_report import TOPIC, observed_of
from routerd.daemons.dhcpv4_settings import DIRECTORY, KIND, ClientSpec, marking_of, settings_of
from routerd.daemons.dhcpv4_voice import Voice
from routerd.daemons.given import Given
from routerd.daemons.lifetime import GOODBYE
from routerd.daemons.teller import Teller
from routerd.events.types import Ref, Source, Status
from routerd.host import Link
from routerd.protocols.dhcpv4 import inputs, outputs
from routerd.protocols.dhcpv4.client import Client
from routerd.protocols.dhcpv4.states import Stopped
from routerd.protocols.machine import Stop


class DHCPv4Part:
    """See the module, and `routerd.daemons.dhcp_part.Part`."""

    kind = KIND
    directory = DIRECTORY
    protocol = "dhcpv4"
    leases = "its lease stays"
    exchanges: Mapping[str, inputs.Input] = {
        "renew": inputs.Renew(),
        "rebind": inputs.Rebind(),
        "release": inputs.Release(),
    }
    stopped, finished = Stopped, outputs.Finished
    farewell = GOODBYE
    """One packet, said once (RFC 2131 §4.4.6)."""

    def __init__(self, name: str, spec: ClientSpec, given: Given) -> None:
        self.source = Source(f"{KIND}-{name}", KIND, name)
        self.resource = Ref("DHCPv4Client", name, "net.routerd.net/v1alpha1")
        self.refs = (self.resource,)
        self._spec = spec
        self.ifname = spec.ifname
        self._house = given
        self.tell = Teller(TOPIC, self.resource, self.source)
        path = given.state_dir / DIRECTORY / name / "lease.json"
        self._memory = LeaseMemory(
            spec.resource, spec.ifname, given.state_dir, path, given.host.clock, given.run_sync, self.tell
        )
        self._for_good = False

    def begin(self, stage: Stage) -> None:
        """See Part."""
        spec, given = self._spec, self._house
        self._put = stage.put
        self.attachment = Attachment(
            spec.ifname, given.endpoints, marking_of(spec.resource), stage.put, stage.deliver, stage.drop
        )
        causes = Causes(stage.course)
        self.voice = Voice(
            spec, given.host.clock, given.generation, self.attachment, self._memory, stage.scribe, self.tell, causes
        )

    async def open(self, link: Link) -> Client:
        """See Part."""
        recalled = await self._memory.recall(link.mac, link.card)
        client = Client(settings_of(self._spec.resource, recalled.client_id), self._house.rng, recalled.remembered)
        self.voice.last_error = None
        self.voice.tell_recalled(recalled.said)
        return client

    def has_all(self, client: Client) -> bool:
        """See Part."""
        return client.lease is not None

    async def act(self, client: Client, said: Sequence[outputs.Output], transmit: Transmit) -> None:
        """See Part. It listens before it speaks."""
        await self._listen(client)
        for output in said:
            if isinstance(output, outputs.Send | outputs.SendArp):
                await transmit(output)

    async def _listen(self, client: Client) -> None:
        await trio.lowlevel.checkpoint()
        if self.attachment.ports is None:
            return
        try:
            await self.attachment.ports.listen(client.listens)
        except OSError as error:
            self.voice.last_error = f"cannot listen on {self._spec.ifname}: {error.strerror or error}"

    async def send(self, output: outputs.Send | outputs.SendArp) -> None:
        """See Part."""
        await trio.lowlevel.checkpoint()
        ports = self.attachment.ports
        if ports is None:
            raise OSError("there is no interface to send by")
        await (ports.send(output) if isinstance(output, outputs.Send) else ports.send_arp(output))

    def not_sent(self, output: outputs.Send | outputs.SendArp, reason: str) -> None:
        """See Part."""
        if isinstance(output, outputs.Send):
            self._put(inputs.SendFailed(reason))

    def look(self, running: bool) -> None:
        """See Part: the interface tells all there is."""

    def leave_for_good(self) -> None:
        """The client was removed from the configuration: its end, which follows, is more than a restart (V4-33)."""
        self._for_good = True

    def goodbye(self) -> Stop:
        """See Part."""
        self.voice.muted = True
        return Stop(release=self._for_good and self._spec.resource.release_on_stop)

    def stop(self) -> Stop:
        """See Part."""
        return Stop(release=self._spec.resource.release_on_stop)

    def observed(self, status: Status) -> Mapping[str, Any]:
        """See Part."""
        return observed_of(status)


DHCPv4Daemon = DhcpDaemon[DHCPv4Part]


def dhcpv4_daemon(name: str, spec: ClientSpec, given: Given) -> DHCPv4Daemon:
    """The client of the DHCPv4Client of this name."""
    return DhcpDaemon(DHCPv4Part(name, spec, given), given)
