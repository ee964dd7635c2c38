"""How attrs classes become JSON and back: camelCase names, strict structuring, JSON Schema. One place, for
configuration, API answers, OpenAPI and lease files alike."""
