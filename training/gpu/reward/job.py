"""Jobs of the kind "reward-train": a training set in inputs/ becomes a reward model in outputs/model.

Events: "train" for steps, "held-out" for each look at the DEV part, "worst" with the examples the model is most wrong
about, "baselines" once. The TEST part is looked at once, at the end, with the weights that were kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from training.gpu.editors import CannotEdit
from training.gpu.reward import checkpoint, figures
from training.gpu.reward.backbones import WrongBackbone
from training.gpu.reward.batches import TrainingSet, judged_pairs, read_set
from training.gpu.reward.looks import Look, look_at, worst
from training.gpu.reward.state import WrongState
from training.gpu.reward.train import MODEL, Hooks, Trainer
from training.gpu.several import Processes
from training.rewards.config import PAIR, POINT, TEXT, Config, WrongConfig
from training.rewards.groups import DEV, TEST, TRAIN
from webapp.jobs.folder import JobError, JobRun, inside

EVENTS = 500  # "train" events of a run, at most about so many


def reward_train(run: JobRun) -> dict[str, Any]:
    """Train, and sum up. Raises JobError where it cannot be done, JobStopped when asked to stop."""
    try:
        config = Config.from_json(run.config["config"])
    except WrongConfig as error:
        raise JobError(str(error)) from None
    data = read_set(_inside(run.inputs, run.config.get("set", "set.jsonl.gz")))
    refuse(data, config)
    init = _inside(run.inputs, run.config["init"]) if run.config.get("init") else None
    with Processes(config.device) as processes, _in_words(config):
        return _train(run, Trainer(config, data, run.outputs, processes, init))


@contextmanager
def _in_words(config: Config) -> Iterator[None]:
    """What may go wrong in a training as a JobError with its sentence."""
    try:
        yield
    except (CannotEdit, WrongBackbone, WrongState, checkpoint.WrongCheckpoint) as error:
        raise JobError(str(error)) from None
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise JobError(_memory_words(config)) from error
    except RuntimeError as error:
        if "alloc" in str(error).lower() and "memory" in str(error).lower():
            raise JobError(_memory_words(config)) from error
        raise


def refuse(data: TrainingSet, config: Config) -> None:
    """Raise JobError for a set that this training can learn nothing from, or that cannot tell when to stop."""
    if not data.dimensions:
        raise JobError(f"The training set {data.header.name} has no dimension.")
    if not data.header.content_hash:
        raise JobError(f"The training set {data.header.name} has no content hash: freeze it first.")
    for split in (TRAIN, DEV):
        groups = data.split(split)
        if not groups:
            why = " It is what tells when to stop." if split == DEV else ""
            raise JobError(f"The training set {data.header.name} has no groups in its {split} part.{why}")
        if not any(pair.outcome for group in groups for one in data.dimensions for pair in judged_pairs(group, one)):
            raise JobError(
                f"The {split} part of the training set {data.header.name} has no pair of candidates of which people "
                "found one better: there is nothing to learn an order from."
            )
    for split in (TRAIN, DEV):
        _refuse_unscored(data, config, split)


def _refuse_unscored(data: TrainingSet, config: Config, split: str) -> None:
    needed = {stage.objective for stage in config.stages} & {TEXT, POINT}
    if config.ranking == "none":  # then the dev part is looked at by its opinion scores, too
        needed |= {PAIR}
    elif split == DEV:
        needed = set()
    labels = [one for group in data.split(split) for one in group.labels.values()]
    rated = any(mos is not None for one in labels for mos in one.mos)
    part = f"the {split} part of the training set {data.header.name}"
    if needed and not rated:
        raise JobError(
            f"This training learns from opinion scores (stage {', '.join(sorted(needed))}), and {part} has none. "
            "Choose the preset editloop, or a set with ratings."
        )
    if config.ranking == "plackett-luce" and not (rated or any(r is not None for one in labels for r in one.ranks)):
        raise JobError(
            f"The ranking plackett-luce learns from whole orders, and {part} has pairs alone. Choose the ranking "
            "rao-kupper or davidson, or a set with rankings or ratings."
        )


def _train(run: JobRun, trainer: Trainer) -> dict[str, Any]:
    config, data = trainer.config, trainer.data
    pixels = figures.PixelDifference(data, data.split(TRAIN))
    every = max(1, config.steps // EVENTS)

    def trained(told: dict[str, Any]) -> None:
        if told["step"] % every == 0:
            run.emit("train", **told, seconds=round(trainer.progress.seconds, 2))
            run.progress(told["step"], config.steps, f"Step {told['step']} of {config.steps}")

    def looked(step: int, look: Look) -> None:
        if not list(run.past_events("baselines")):  # of the first look, beside which all others stand
            run.emit("baselines", dimensions=_by_dimension(figures.baselines(pixels, look.predictions)))
        run.emit("held-out", step=step, nll=look.nll, **_figures(look))
        run.emit("worst", rows=worst(look.predictions))

    why = trainer.run(Hooks(trained, looked, lambda: run.stopping))
    trainer.processes.end()  # the rest is the first one's, and no one is to wait for it
    if not trainer.processes.is_first:
        return {}
    return _sum_up(run, trainer, pixels, why)


def _sum_up(run: JobRun, trainer: Trainer, pixels: figures.PixelDifference, why: str) -> dict[str, Any]:
    """Load the best weights, look at DEV again and at TEST for the first time, and write both into the checkpoint."""
    folder = run.outputs / MODEL
    trainer.take_best()
    metrics: dict[str, Any] = {"baselines": {"constant": {}, "pixel-difference": {}}, "calibration": {}, "nll": {}}
    widths: dict[str, float] | None = None
    for split in (DEV, TEST):
        groups = trainer.data.split(split)
        if not groups:
            continue
        look = look_at(trainer.network, trainer.objective, trainer.reader, groups, trainer.config)
        found = metrics[split] = figures.figures(look.predictions, widths)
        widths = widths or {key: row["tie_width"] for key, row in found.items()}
        metrics["calibration"][split], metrics["nll"][split] = figures.calibration(look.predictions), _finite(look.nll)
        for name, rows in figures.baselines(pixels, look.predictions).items():
            metrics["baselines"][name][split] = rows
    metrics["baselines"]["pixel-difference"]["rule"] = pixels.words()
    progress = trainer.progress
    summary: dict[str, Any] = {"steps": progress.step, "best_step": progress.best_step, "stopped": why}
    summary |= {"cpu_seconds": round(progress.seconds, 1)}
    checkpoint.retell(folder, {"metrics": metrics, "training": summary})
    return {"metrics": metrics, **summary}


def _figures(look: Look) -> dict[str, Any]:
    return {"dimensions": figures.accuracies(look.predictions), "calibration": figures.calibration(look.predictions)}


def _by_dimension(found: Any) -> dict[str, dict[str, Any]]:
    keys = next(iter(found.values()))
    return {key: {name: rows[key] for name, rows in found.items()} for key in keys}


def _inside(folder: Path, name: object) -> Path:
    """A path of the job's inputs. Raises JobError for one that leads out of them."""
    path = inside(folder, name)
    if path is None:
        raise JobError(f"The job names a file outside its inputs: {name!r:.200}.")
    return path


def _memory_words(config: Config) -> str:
    """What to lower, of the settings that the backbone knows."""
    smaller, more = "", ""
    if config.backbone != "drawn":
        smaller = f" or max_side (now {config.max_side})"
        more = "" if config.checkpointing else " Or choose checkpointing, which needs less memory and more time."
    return (
        f"The memory does not hold a batch. Lower batch (now {config.batch}) and raise accumulate (now "
        f"{config.accumulate}) by as much, or lower most_candidates (now {config.most_candidates}){smaller}.{more} "
        "Then start again."
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
