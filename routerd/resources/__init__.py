"""The typed resources of `routerd.net/v1alpha1`: what an operator declares (spec), and what each kind
provides to others. One module per API group; a kind is added by adding its class there."""
