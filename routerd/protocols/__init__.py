"""The protocol machines and codecs: pure. Nothing here opens a socket, reads a clock, logs or awaits."""
