"""Topic globs: a topic is segments joined by dots; `*` is exactly one segment, `**` any number, none included."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=16_384)
def matches(pattern: str, topic: str) -> bool:
    """Whether the glob `pattern` takes in the whole of `topic` (contract §3.1). There are no partial wildcards:
    in `lease.b*` the last segment is the two characters `b*`.

    Topics are few and come again and again, so each answer is remembered."""
    globs, segments = pattern.split("."), topic.split(".")
    glob = segment = 0
    retry_glob, retry_segment = -1, 0
    while segment < len(segments):
        if glob < len(globs) and globs[glob] == "**":
            glob += 1
            retry_glob, retry_segment = glob, segment
        elif glob < len(globs) and globs[glob] in ("*", segments[segment]):
            glob += 1
            segment += 1
        elif retry_glob >= 0:
            # The last `**` takes one segment more. Earlier ones need no second try, so this stays O(n·m).
            retry_segment += 1
            glob, segment = retry_glob, retry_segment
        else:
            return False
    return all(rest == "**" for rest in globs[glob:])
