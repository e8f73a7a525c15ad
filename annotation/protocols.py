"""Judgement protocols: presets of one configurable protocol. Pure: no Django, no database.

Sources of the presets: hp-score, HP-Edit 4.1 and 5.4; mos and group-rank, EditHF-1M 3.3; likert4, EditReward 2.1;
pairwise, GenAI-Arena. The rubrics say the same in our own words.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

RATING, RANKING, PAIRWISE = "rating", "ranking", "pairwise"
KINDS = (RATING, RANKING, PAIRWISE)
DUELS = ("none", "extremes", "all")
SHELVES = 6  # 0 … 5


class ProtocolError(ValueError):
    """The protocol cannot be used; the message says why in the user's words."""


@dataclass(frozen=True)
class Dimension:
    """One question. ``difference``: whether the difference view is on by default (preservation alone)."""

    key: str
    label: str
    rubric: str
    low: float = 1
    high: float = 5
    step: float = 1
    anchors: dict[str, str] = field(default_factory=dict)
    difference: bool = False

    @property
    def is_sound(self) -> bool:
        """Whether steps of finite size lead from ``low`` up to ``high``."""
        finite = all(map(math.isfinite, (self.low, self.high, self.step)))
        return finite and self.low < self.high and self.step > 0 and self.allows(self.high)

    def allows(self, score: object) -> bool:
        """Whether ``score`` lies on the scale. Steps are checked with room for binary fractions."""
        if isinstance(score, bool) or not isinstance(score, int | float) or not self.low <= score <= self.high:
            return False
        steps = (score - self.low) / self.step
        return abs(steps - round(steps)) < 1e-6


@dataclass(frozen=True)
class Entry:
    """What an annotator passes before live work. Each step is left out where it is empty, off or has no items.

    ``consent``: Markdown that they agree to. ``viewing``: check of window, zoom and screen, with a window of at least
    ``least_width`` CSS pixels. ``pass_mark``: share of right answers in the qualification; ``tries``: how often.
    """

    consent: str = ""
    viewing: bool = False
    least_width: int = 1024
    pass_mark: float = 0.8
    tries: int = 2

    def __post_init__(self) -> None:
        if not 0 < self.pass_mark <= 1 or not 1 <= self.tries <= 20:
            raise ProtocolError("The pass mark is a share above 0 and up to 1, with 1 to 20 tries.")
        if not 320 <= self.least_width <= 8000:
            raise ProtocolError("The least width of the window is 320 to 8,000 pixels.")


@dataclass(frozen=True)
class Checks:
    """What watches live work; each is off at 0. What they find is a concern for a person to decide on.

    ``gold_every``, ``attention_every``, ``repeat_every``: one hidden item after so many. ``source_share``,
    ``duplicate_share``: of the groups (or cases), those with the untouched source, or one candidate twice, among them.
    ``least_seconds``: an answer below it is hasty. ``straight_run``: so many equal answers in a row are a straight
    line. ``allowed``: share of failed checks that is still borne; ``least``: checks before anything is said.
    """

    gold_every: int = 0
    attention_every: int = 0
    repeat_every: int = 0
    source_share: float = 0.0
    duplicate_share: float = 0.0
    least_seconds: float = 0.0
    straight_run: int = 0
    allowed: float = 0.3
    least: int = 5

    def __post_init__(self) -> None:
        shares = (self.source_share, self.duplicate_share, self.allowed)
        counts = (self.gold_every, self.attention_every, self.repeat_every, self.straight_run)
        if not all(0 <= share <= 1 for share in shares):
            raise ProtocolError("Shares of checks go from 0 to 1.")
        if not all(0 <= count <= 1000 for count in counts) or not 0 <= self.least_seconds <= 600:
            raise ProtocolError("Checks come after 0 to 1,000 items, and the least time is 0 to 600 seconds.")
        if not 1 <= self.least <= 1000:
            raise ProtocolError("A concern needs 1 to 1,000 checks.")


@dataclass(frozen=True)
class Protocol:
    """``raters`` judge every unit; ``extra_raters`` more are asked once where agreement stays below ``agreement``.

    ``split_raters``: other numbers of raters for the cases of a split, such as 15 on the test split. ``block``: groups
    larger than this are shown as blocks of so many candidates, each candidate in ``block_times`` blocks; 0: whole.
    """

    kind: str
    dimensions: tuple[Dimension, ...]
    raters: int = 1
    extra_raters: int = 0
    agreement: float = 0.5
    duels: str = "extremes"
    session_minutes: int = 30  # ITU-R BT.500 asks for sessions of at most half an hour
    break_minutes: int = 5
    split_raters: dict[str, int] = field(default_factory=dict)
    block: int = 0
    block_times: int = 3
    entry: Entry = Entry()
    checks: Checks = Checks()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ProtocolError(f"Unknown kind of judgement: {self.kind}.")
        if not self.dimensions or len({d.key for d in self.dimensions}) != len(self.dimensions):
            raise ProtocolError("A protocol needs at least one dimension, each with a name of its own.")
        if not 1 <= self.raters <= 100 or not 0 <= self.extra_raters <= 100:
            raise ProtocolError("Raters per item: 1 to 100.")
        if self.duels not in DUELS:
            raise ProtocolError(f"Unknown depth of duels: {self.duels}.")
        if not 1 <= self.session_minutes <= 240 or not 1 <= self.break_minutes <= 240:
            raise ProtocolError("Sessions and breaks last 1 to 240 minutes.")
        if not all(1 <= raters <= 100 for raters in self.split_raters.values()):
            raise ProtocolError("Raters per item: 1 to 100.")
        if (self.block and not 2 <= self.block <= 23) or not 1 <= self.block_times <= 10:
            raise ProtocolError("A block has 2 to 23 candidates, and each candidate is in 1 to 10 blocks.")
        for dimension in self.dimensions:
            if not dimension.is_sound:
                raise ProtocolError(f"The scale of {dimension.label} does not lead from its low end to its high one.")

    @property
    def unit_dimensions(self) -> tuple[str, ...]:
        """The dimensions that are separate units of work: one pass each when ranking, all at once otherwise."""
        return tuple(d.key for d in self.dimensions) if self.kind == RANKING else ("",)

    def raters_of(self, split: str) -> int:
        return self.split_raters.get(split, self.raters)

    def dimension(self, key: str) -> Dimension:
        return next(d for d in self.dimensions if d.key == key)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Protocol:
        parts = {
            "dimensions": tuple(Dimension(**d) for d in value["dimensions"]),
            "entry": Entry(**value.get("entry", {})),
            "checks": Checks(**value.get("checks", {})),
        }
        return cls(**{**value, **parts})


HP_ANCHORS = {
    "0": "Nothing that was asked for was done, or the result equals the source.",
    "1": "A trace of the edit, or a result that looks unreal.",
    "2": "Much of it is there, but several important points were missed.",
    "3": "The instruction was followed; the picture could look better.",
    "4": "Followed in nearly everything, and it looks good.",
    "5": "Every point was met; real and of high quality.",
}
ALIGNMENT_ANCHORS_4 = {
    "4": "Flawless: exactly what was asked for, and nothing else changed.",
    "3": "The goal is met, with minor slips.",
    "2": "Misunderstood, or done only in part.",
    "1": "Failed, or has nothing to do with the instruction.",
}
QUALITY_ANCHORS_4 = {
    "4": "One cannot see that the picture was edited.",
    "3": "Small flaws that one has to look for.",
    "2": "Plainly edited.",
    "1": "Not usable.",
}
FIVE_STEPS = {"1": "Bad", "2": "Poor", "3": "Fair", "4": "Good", "5": "Excellent"}

QUALITY = Dimension(
    "quality",
    "Visual quality",
    "Does the edited picture look real, clean and pleasant? Look for seams, noise, broken shapes and odd light. "
    "Leave aside whether the edit is the one that was asked for.",
    step=0.1,
    anchors=FIVE_STEPS,
)
ALIGNMENT = Dimension(
    "alignment",
    "Editing alignment",
    "Was the instruction carried out: all of it, and as a person would have meant it?",
    step=0.1,
    anchors=FIVE_STEPS,
)
PRESERVATION = Dimension(
    "preservation",
    "Attribute preservation",
    "Is everything that the instruction does not mention still as it was in the source?",
    step=0.1,
    anchors=FIVE_STEPS,
    difference=True,
)
THREE = (QUALITY, ALIGNMENT, PRESERVATION)

PRESETS: dict[str, Protocol] = {
    "hp-score": Protocol(
        RATING,
        (Dimension("overall", "Overall", "How well was the instruction carried out?", 0, 5, 1, HP_ANCHORS),),
        raters=5,
    ),
    "mos": Protocol(RATING, THREE, raters=5),
    "likert4": Protocol(
        RATING,
        (
            Dimension("following", "Instruction following", ALIGNMENT.rubric, 1, 4, 1, ALIGNMENT_ANCHORS_4),
            Dimension("quality", "Visual quality", QUALITY.rubric, 1, 4, 1, QUALITY_ANCHORS_4),
        ),
        raters=1,
    ),
    "group-rank": Protocol(
        RANKING, tuple(replace(d, low=0, high=5, step=1, anchors={}) for d in THREE), raters=3, extra_raters=3
    ),
    "pairwise": Protocol(
        PAIRWISE,
        (Dimension("overall", "Overall", "Which edit carries out the instruction better?", 0, 1, 1),),
        raters=1,
    ),
}
PRESET_LABELS = {
    "hp-score": "Score 0–5 (HP-Edit)",
    "mos": "Opinion scores on three dimensions (EditHF-1M)",
    "likert4": "Four levels on two dimensions (EditReward)",
    "group-rank": "Ranking of a group on three dimensions (EditHF-1M)",
    "pairwise": "Pairwise comparison (GenAI-Arena)",
}
