"""Who runs under whom, and how each of them is run: to be read from `root` on."""
