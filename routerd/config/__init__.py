"""YAML with positions -> typed resources; every error of a file in one go, each with line and column."""
