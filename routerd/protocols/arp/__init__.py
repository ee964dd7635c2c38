"""ARP for IPv4 over Ethernet (RFC 826), and address conflict detection (RFC 5227)."""
