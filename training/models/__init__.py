"""Recipes (recipes), and what reward models are trained on, are, and are measured by (rewards)."""

from training.models.recipes import OVER, Recipe, RecipeState, Step, StepName, StepState
from training.models.rewards import Benchmark, BenchmarkResult, LabelledSet, RewardModel, SetState

__all__ = [
    "OVER",
    "Benchmark",
    "BenchmarkResult",
    "LabelledSet",
    "Recipe",
    "RecipeState",
    "RewardModel",
    "SetState",
    "Step",
    "StepName",
    "StepState",
]
