"""DHCPv6 (RFC 9915): the codec and the client's machine."""
