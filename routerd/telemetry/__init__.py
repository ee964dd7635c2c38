"""Sending what routerd records to an OTLP collector; loaded when a Telemetry resource asks for it."""
