"""Recipes; reward models, their sets and benchmarks; trained editors, their benchmarks and blind studies of them."""

from training.models.editor_benchmarks import EditorBenchmark, Language, Likeness, Measure, Stage, Style
from training.models.posttraining import Sweep, SweepRun, TrainedEditor
from training.models.proofs import Proof, ProofState
from training.models.recipes import OVER, Recipe, RecipeState, Step, StepName, StepState
from training.models.rewards import Benchmark, BenchmarkResult, LabelledSet, RewardModel, SetState

__all__ = [
    "OVER",
    "Benchmark",
    "BenchmarkResult",
    "EditorBenchmark",
    "LabelledSet",
    "Language",
    "Likeness",
    "Measure",
    "Proof",
    "ProofState",
    "Recipe",
    "RecipeState",
    "RewardModel",
    "SetState",
    "Stage",
    "Step",
    "StepName",
    "StepState",
    "Style",
    "Sweep",
    "SweepRun",
    "TrainedEditor",
]
