"""Group `net.routerd.net/v1alpha1`: interfaces, addresses, routes, the DHCPv4 client (contract §4.3).

A class is a kind's spec: field names are the YAML names in snake_case; `metadata["help"]` and
`metadata["example"]` feed `routerd schema` and error hints; validation that needs one field only is here,
what needs two resources is in `routerd.config.check`.
"""
