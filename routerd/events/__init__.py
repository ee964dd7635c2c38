"""The event log is the bus: append a row, readers with a cursor ask for what comes after it."""
