"""Who brings about what is declared. A controller of the host is two pure functions (`planner`); `reconcile` acts."""
