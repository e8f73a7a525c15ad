"""Scoring prompts and judges (asking), what judges answered (answers), and their calibration against people."""

from scoring.models.answers import Answer, Score
from scoring.models.asking import Judge, Prompt, PromptVersion, Question
from scoring.models.calibrating import (
    Activation,
    Anchor,
    Calibration,
    DriftCheck,
    LevelMap,
    Look,
    Method,
    Suggestion,
    SuggestionState,
    UnclearPoint,
)
from scoring.models.elsewhere import JudgementKind, JudgementSet, Nature
from scoring.models.votes import VoteSet

__all__ = [
    "Activation",
    "Anchor",
    "Answer",
    "Calibration",
    "DriftCheck",
    "Judge",
    "JudgementKind",
    "JudgementSet",
    "LevelMap",
    "Look",
    "Method",
    "Nature",
    "Prompt",
    "PromptVersion",
    "Question",
    "Score",
    "Suggestion",
    "SuggestionState",
    "UnclearPoint",
    "VoteSet",
]
