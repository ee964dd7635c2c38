"""The Control API v1alpha1 and the daemon API, over Unix sockets. A leaf of the tree: it reads the log, the
object store and the running configuration, and hands commands on. It knows no protocol and no host."""
