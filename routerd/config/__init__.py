"""YAML with positions -> typed resources; every error of a file in one go, each with line and column."""

from routerd.config.errors import ConfigError, ConfigErrors, as_json, render, summary
from routerd.config.load import load
from routerd.config.router import Router

__all__ = ["ConfigError", "ConfigErrors", "Router", "as_json", "load", "render", "summary"]
