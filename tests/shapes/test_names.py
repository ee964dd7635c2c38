"""Field names in code and on the wire."""

import attrs
import pytest

from routerd.shapes.names import camel, wire_name


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("interface", "interface"),
        ("route_metric", "routeMetric"),
        ("class_id", "classID"),
        ("client_id_type", "clientIDType"),
        ("dns_servers", "dnsServers"),
        ("use_dns", "useDNS"),
        ("destination_cidrs", "destinationCIDRs"),
        ("primary_ipv4", "primaryIPv4"),
        ("ipv6_only_preferred", "ipv6OnlyPreferred"),
        ("minimum_mtu", "minimumMTU"),
        ("tls_sni", "tlsSNI"),
        ("iaid", "iaid"),
    ],
)
def test_camel_case_keeps_the_trades_acronyms(name: str, wire: str) -> None:
    assert camel(name) == wire


def test_a_field_may_have_a_name_of_its_own() -> None:
    @attrs.frozen
    class Answer:
        request_id: str = attrs.field(metadata={"name": "requestId"})
        session_id: str = ""

    assert [wire_name(field) for field in attrs.fields(Answer)] == ["requestId", "sessionID"]
