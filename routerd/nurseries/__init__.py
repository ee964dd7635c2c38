"""Who runs under whom: root, driver, supervisor, fleet, signals."""
