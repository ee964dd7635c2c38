"""One per resource kind: plan(desired, observed) -> changes is pure, apply(host, change) is not."""
