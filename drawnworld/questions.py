"""Questions that a judge may be asked about an edit of the drawn world, and which to propose for a task.

Three sorts: what a good edit needs (``families``); faults, where yes is bad; and questions whose answer says nothing of
the edit, which spoil a scoring prompt that asks them.
"""

from __future__ import annotations

import re

from drawnworld import truths
from drawnworld.edits import TASKS
from drawnworld.families import GOOD, KEEPING, Family

ALIKE = 0.5  # share of words in common from which a text is taken for another wording of a family
SMALL = "a an and are b did do does from has have in is it its of on or that the there to was"
SMALL_WORDS = frozenset(SMALL.split(" "))

_OTHERS = (
    Family(
        "noise",
        TASKS,
        truths.grain,
        (
            "Is there noise in picture B?",
            "Does picture B look grainy?",
            "Is picture B full of grain or speckles?",
            "Can any noise or grain be seen in the edited picture?",
            "Has the editor added noise?",
            "Does picture B have any noise?",
            "Is any grain visible?",
            "Does the result have noise?",
            "Is the result noisy?",
        ),
        ("Is there any grain in picture B?", "Does the edited picture look noisy?"),
        fault=True,
    ),
    Family(
        "leftover",
        ("remove", "swap", "color"),
        truths.leftover,
        (
            "Is there a leftover or ghost of the old thing in picture B?",
            "Can a trace of the old object still be seen?",
            "Does the old object shine through?",
            "Are there remains of what was there before?",
            "Is a ghost of the old object left?",
            "Is the old object still visible?",
        ),
        ("Is there a trace of the old thing in picture B?", "Can remains of the old object be seen?"),
        fault=True,
    ),
    Family(
        "rest-changed",
        KEEPING,
        truths.rest_changed,
        (
            "Has anything else changed?",
            "Was something changed that the instruction does not name?",
            "Did the editor damage other parts of the picture?",
            "Are there changes outside the edit?",
            "Has the rest of the picture been altered?",
            "Did the edit spoil other areas?",
        ),
        ("Was anything else changed by the editor?", "Are other parts of the picture altered?"),
        fault=True,
    ),
    Family(
        "striped",
        TASKS,
        truths.striped_before,
        (
            "Is the background of picture A striped?",
            "Does picture A have stripes?",
            "Are there stripes in the background of the source?",
            "Is there a striped background in picture A?",
            "Was the background striped before the edit?",
        ),
        ("Does the background of picture A have stripes?", "Was there a striped background before the edit?"),
        useful=False,
    ),
    Family(
        "red",
        TASKS,
        truths.red_before,
        (
            "Is there a red object in picture A?",
            "Does picture A show something red?",
            "Was any object red before the edit?",
            "Is one of the objects in the source red?",
            "Does picture A have a red object?",
        ),
        ("Was there a red object before the edit?", "Is something red in picture A?"),
        useful=False,
    ),
    Family(
        "circle",
        TASKS,
        truths.circle_before,
        (
            "Is there a circle in picture A?",
            "Does picture A show a circle?",
            "Was any object a circle before the edit?",
            "Is one of the objects in the source a circle?",
            "Does picture A have a circle?",
        ),
        ("Was there a circle before the edit?", "Is some object in picture A a circle?"),
        useful=False,
    ),
    Family(
        "three",
        TASKS,
        truths.three_before,
        (
            "Are there three objects in picture A?",
            "Does picture A show three objects?",
            "Were there three objects before the edit?",
            "Has the source three objects?",
            "Does picture A have three objects in it?",
        ),
        ("Did picture A have three objects?", "Were three objects there before the edit?"),
        useful=False,
    ),
    Family(
        "bright",
        TASKS,
        truths.bright_after,
        (
            "Does picture B have bright colours?",
            "Is picture B bright?",
            "Are the colours of picture B bright?",
            "Is the edited picture a bright one?",
            "Does picture B look bright and light?",
        ),
        ("Are there bright colours in picture B?", "Does the edited picture look bright?"),
        useful=False,
    ),
)
_ALL = (*GOOD, *_OTHERS)
FAMILIES = {family.key: family for family in _ALL}
FIRST = {
    "add": ("place",),
    "remove": ("gone",),
    "swap": ("gone",),
    "color": ("colour",),
    "background": ("background",),
    "bokeh": ("blurred",),
    "relight": ("light",),
    "style": ("style",),
}
THEN = ("rest-kept", "done", "there", "objects-kept", "clean", "complete", "no-leftover", "no-cast", "backdrop-kept")


def suggestions(task: str) -> list[tuple[str, str]]:
    """Good questions for a task as (key of the family, wording), the most basic first. Raises KeyError for a task that
    the drawn world lacks."""
    keys = (*FIRST[task], *THEN)
    return [(key, FAMILIES[key].wordings[0]) for key in keys if task in FAMILIES[key].tasks]


def families_of(task: str) -> list[Family]:
    return [family for family in FAMILIES.values() if task in family.tasks]


def recognise(text: str) -> Family | None:
    """The family that has this wording or one with nearly the same words, else None. By words alone: a judge may tell
    more."""
    words = _words(text)
    nearest = max((_alike(words, _words(known)), family.key) for family in _ALL for known in family.wordings)
    return FAMILIES[nearest[1]] if nearest[0] >= ALIKE else None


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z]+", text.lower().replace("color", "colour"))) - SMALL_WORDS


def _alike(first: frozenset[str], second: frozenset[str]) -> float:
    """Words in common by all words (Jaccard)."""
    return len(first & second) / len(first | second) if first | second else 0.0
