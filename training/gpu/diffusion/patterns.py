"""Names of layers in a LoRA's header, matched as peft matches them, in a time that a hostile file cannot stretch.

peft takes a key of ``alpha_pattern`` as a regular expression for a layer's whole name or its end after a dot, and the
first key that matches counts. Python's expressions can take for ever, and cannot be stopped: so what repeats a group
is refused, and the ways to match are counted before anything is matched.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

LENGTH, COUNT = 300, 5000  # of a key; of all keys
WAYS = 10**8  # to match all names with all keys: some seconds
HIDDEN = re.compile(r"\\.|\[[^\]]*\]", re.DOTALL)  # an escaped character or a class of characters: matches one
REFUSED = re.compile(r"\)[*+?{]|\{|\(\?(?!:)")  # a repeated group, a counted repeat, a group of another kind
INNERMOST = re.compile(r"\((?:\?:)?([^()]*)\)")


def by_layer(patterns: Mapping[str, float], layers: Collection[str]) -> dict[str, float]:
    """The value of each layer that a pattern names. Raises ValueError, saying which pattern is refused and why."""
    if len(patterns) > COUNT:
        raise ValueError(f"there are {len(patterns)} of them, and the most is {COUNT}")
    longest = max(map(len, layers), default=0)
    deepest = max((name.count(".") for name in layers), default=0) + 1
    if sum(_ways(key, longest) for key in patterns) * deepest * len(layers) > WAYS:
        raise ValueError("they can match in too many ways")
    compiled = [(_compiled(key), value) for key, value in patterns.items()]
    found = {}
    for name in layers:
        for pattern, value in compiled:
            if pattern.match(name):
                found[name] = value
                break
    return found


def _compiled(key: str) -> re.Pattern[str]:
    try:
        return re.compile(rf"(.*\.)?({key})$")
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{key!r:.100} is no regular expression: {error}") from None


def _ways(key: str, longest: int) -> int:
    """An upper bound of the ways to match a name of at most ``longest`` characters."""
    if len(key) > LENGTH:
        raise ValueError(f"{key!r:.100} has {len(key)} characters, and the most is {LENGTH}")
    bare = HIDDEN.sub("x", key)
    if REFUSED.search(bare):
        raise ValueError(f"{key!r:.100} repeats a group or looks around, which is not read here")
    ways: int = (longest + 1) ** len(re.findall(r"[*+]", bare)) * 2 ** bare.replace("(?:", "(").count("?")
    while group := INNERMOST.search(bare):
        ways *= group[1].count("|") + 1
        bare = bare[: group.start()] + "x" + bare[group.end() :]
    return ways * (bare.count("|") + 1)
