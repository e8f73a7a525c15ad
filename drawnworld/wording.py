"""What people would say for an edit: two and more wordings a task, over a vocabulary of about sixty words."""

from __future__ import annotations

import random

from drawnworld.scene import COLOURS, KINDS, LIGHTS, PAIRS, PATTERNS, PLACES, STYLES, Thing

WORDINGS: dict[str, tuple[str, ...]] = {
    "add": (
        "add {after_a} at the {place}",
        "put {after_a} in the {place} corner",
        "put {after_a} at the {place}",
    ),
    "remove": ("remove the {before}", "delete the {kind}", "remove the {kind}"),
    "swap": (
        "replace the {before} with {after_a}",
        "swap the {kind} for {after_a}",
        "change the {kind} into {after_a}",
    ),
    "color": (
        "make the {kind} {new_colour}",
        "paint the {before} {new_colour}",
        "change the color of the {kind} to {new_colour}",
    ),
    "background": (
        "change the background to {value}",
        "replace the background with {value}",
        "make the background {value}",
    ),
    "bokeh": ("blur the background", "make the background soft", "use a soft background"),
    "relight from": ("light the scene from the {value}", "make the light come from the {value}"),
    "relight tint": ("make the light {value}", "use {value} light for the scene"),
    "style": ("turn the picture into a {value}", "make the picture a {value}", "change the scene into a {value}"),
}


def instruction_for(
    rng: random.Random, task: str, *, before: Thing | None = None, after: Thing | None = None, value: str = ""
) -> str:
    """One of the task's wordings, filled in."""
    if task == "relight":
        task = "relight tint" if value in ("warm", "cold") else "relight from"
    words = {"value": value}
    if before:
        words |= {"kind": before.kind, "before": f"{before.colour} {before.kind}"}
    if after:
        article = "an" if after.colour == "orange" else "a"
        words |= {"after_a": f"{article} {after.colour} {after.kind}", "new_colour": after.colour}
        words["place"] = PLACES[after.cell]
    return rng.choice(WORDINGS[task]).format(**words)


def background_words(pattern: str, pair: str) -> str:
    """How people name a background: "plain sand", "sky stripes"."""
    return f"plain {pair}" if pattern == "plain" else f"{pair} {pattern}"


def vocabulary() -> tuple[str, ...]:
    """Every word that an instruction can hold, sorted."""
    words = {"a", "an", *KINDS, *COLOURS, *PAIRS, *PATTERNS, *LIGHTS, *STYLES}
    for text in (*PLACES, *(wording for wordings in WORDINGS.values() for wording in wordings)):
        words |= {word for word in text.split() if "{" not in word}
    return tuple(sorted(words))
