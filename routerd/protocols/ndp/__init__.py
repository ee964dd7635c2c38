"""Neighbor Discovery as far as routers are found and made known by it (RFC 4861, RFC 8106, RFC 7559, RFC 6059)."""
