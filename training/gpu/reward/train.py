"""The training of a reward model: one loop, whatever the backbone. ``objective`` has the mathematics of the loss.

A step: ``accumulate`` micro-batches a process, the mean of their gradients, clipped, AdamW. The rate rises over
``warmup`` of the steps and falls to zero as half a cosine. After every ``eval_every`` steps the held-out part (DEV) is
looked at: its ranking loss, a mean -log P of what people said, decides which weights are kept and when to stop early.
What a step draws depends on the seed and its number alone, so a stopped run goes on bit for bit on the CPU.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.gpu.reward import checkpoint
from training.gpu.reward.backbones import build_backbone
from training.gpu.reward.batches import Gaps, Plan, Reader, TrainingSet, lengths_of, targets_of
from training.gpu.reward.init import learned_by, read_init, told_of
from training.gpu.reward.looks import Look, look_at
from training.gpu.reward.network import RewardNetwork
from training.gpu.reward.objective import Objective, Targets
from training.gpu.reward.state import load_state, save_state
from training.gpu.several import Processes
from training.rewards.config import TEXT, Config, Stage
from training.rewards.groups import DEV, TRAIN
from webapp.jobs.folder import JobError, JobStopped

LOSS_RATE = 20  # how much faster the tie width and the sharpness learn than the network
STATE, MODEL = "state.safetensors", "model"
ENOUGH, EARLY = "all steps were done", "the held-out part got no better"


@dataclass
class Progress:
    """Where a run is: steps done, the best look so far, looks since then, and CPU-seconds of all attempts."""

    step: int = 0
    best_step: int = 0
    best_nll: float = math.inf
    waited: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Hooks:
    """What a run tells while it goes on. ``stopping``: whether it is to save its place and end."""

    trained: Callable[[dict[str, Any]], None] = lambda told: None
    looked: Callable[[int, Look], None] = lambda step, look: None
    stopping: Callable[[], bool] = lambda: False


@dataclass
class Trainer:
    """A run in the folder ``out``. ``model`` is the best so far, ``state`` where it goes on. ``init``: the folder of a
    reward model to start from."""

    config: Config
    data: TrainingSet
    out: Path
    processes: Processes = field(default_factory=Processes)
    init: Path | None = None
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        config, dimensions = self.config, self.data.dimensions
        train = self.data.split(TRAIN)
        torch.manual_seed(config.seed)
        self.start = read_init(self.init, config, dimensions) if self.init else None
        self.network = self._network().to(self.processes.device)
        tie = _largest_tie(targets_of(self.data.groups, dimensions))  # of all parts: a size, nothing is learned of them
        size = round(sum(len(group.candidates) for group in train) / len(train))
        self.objective = Objective(config, dimensions, tie, size).to(self.processes.device)
        if self.start:
            self.objective.restore(learned_by(self.start, config, self.objective.learned()))
        self.weights = {
            f"{part}.{name}": value
            for part, module in (("network", self.network), ("objective", self.objective))
            for name, value in module.named_parameters()
            if value.requires_grad
        }
        self.optimizer = make_optimizer(self.weights, config)
        self.reader = Reader(self.data, self.network.backbone)
        self.plan = Plan(train, config, lengths_of(self.data.folder, train, config))
        self.gaps = Gaps(train, dimensions)

    def _network(self) -> RewardNetwork:
        keys = [one.key for one in self.data.dimensions]
        if self.init:
            network, _ = checkpoint.load(self.init, str(self.processes.device))
        else:
            low, high = ([getattr(one, end) for one in self.data.dimensions] for end in ("low", "high"))
            network = RewardNetwork(build_backbone(self.config, keys), low, high)
        network.backbone.configure(self.config)
        network.train()
        return network

    def run(self, hooks: Hooks) -> str:
        """Train to the end; why it ended. Raises JobStopped once its place is saved, JobError where it cannot go on."""
        self.resume()
        start = time.process_time() - self.progress.seconds
        while self.progress.step < self.config.steps and not self.exhausted():
            told = self.update()
            self.progress.step += 1
            self.progress.seconds = time.process_time() - start
            hooks.trained(told)
            last = self.progress.step == self.config.steps
            if last or self.progress.step % self.config.eval_every == 0:
                self.look(hooks)
                self.save()
            if not last and self.processes.agree(hooks.stopping()):
                self.save()
                raise JobStopped
        return EARLY if self.progress.step < self.config.steps else ENOUGH

    def update(self) -> dict[str, Any]:
        """One step; what to tell of it. The loss is that before the step."""
        number, stage, done = self.progress.step, *stage_at(self.config, self.progress.step)
        torch.manual_seed(self.config.seed * 1_000_003 + number * self.processes.world + self.processes.rank)
        self.network.train()
        smallest, losses = self.gaps.smallest(stage, done), []
        terms: dict[str, float] = {}
        each = self.config.accumulate * self.processes.world
        for place in range(self.processes.rank, each, self.processes.world):
            groups = self.plan.micro_batch(number * each + place)
            targets = targets_of(groups, self.data.dimensions, smallest).to(self.processes.device)
            hidden = self.network.backbone(self.reader.batch(groups))
            mu, log_sigma = self.network.heads(hidden)
            levels = self.network.backbone.levels(hidden) if stage.objective == TEXT else None
            loss, parts = self.objective.loss(stage, mu, log_sigma, levels, targets)
            if loss.requires_grad:
                (loss / self.config.accumulate).backward()
            losses.append(float(loss.detach()))
            terms = {name: terms.get(name, 0.0) + value / self.config.accumulate for name, value in parts.items()}
        norm = self._apply(number)
        mean, *values = self.processes.mean([sum(losses) / len(losses), *terms.values()])
        terms = dict(zip(terms, values, strict=True))
        if not math.isfinite(mean) or not math.isfinite(norm):
            raise JobError(f"The loss is no number in step {number + 1}. Lower the learning_rate, or the clip.")
        rate = self.optimizer.param_groups[0]["lr"]
        return {
            "step": number + 1,
            "loss": mean,
            "terms": terms,
            "grad_norm": norm,
            "lr": rate,
            "stage": stage.objective,
        }

    def _apply(self, number: int) -> float:
        """The optimiser's step; the norm of the gradient before it was clipped."""
        self.processes.mean_gradients(self.weights.values())
        norm = float(nn.utils.clip_grad_norm_(self.weights.values(), self.config.clip or math.inf))
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * rate_factor(self.config, number)
        if math.isfinite(norm):
            self.optimizer.step()
        self.optimizer.zero_grad()
        return norm

    def look(self, hooks: Hooks) -> None:
        """Look at the held-out part, and keep the weights where it is the best so far."""
        progress = self.progress
        if self.processes.is_first:
            found = look_at(self.network, self.objective, self.reader, self.data.split(DEV), self.config)
            if found.nll < progress.best_nll:
                progress.best_nll, progress.best_step, progress.waited = found.nll, progress.step, 0
                checkpoint.save(self.network, self.out / MODEL, self.told())
            elif self._in_last_stage():
                progress.waited += 1
            hooks.looked(progress.step, found)
        over = self.processes.agree(self.processes.is_first and self.exhausted())
        progress.waited = self.config.patience if over else progress.waited

    def exhausted(self) -> bool:
        return 0 < self.config.patience <= self.progress.waited

    def _in_last_stage(self) -> bool:
        return stage_at(self.config, self.progress.step - 1)[0] is self.config.stages[-1]

    def take_best(self) -> None:
        """Have the weights that were kept, and the loss's numbers with them, for figures. Training is over: the others
        go first, as large models fit into the memory once."""
        self.weights.clear()
        del self.optimizer, self.network, self.reader.backbone
        if self.processes.device.type == "cuda":
            torch.cuda.empty_cache()
        self.network, told = checkpoint.load(self.out / MODEL, str(self.processes.device))
        self.objective.restore(told["ties"])
        self.reader.backbone = self.network.backbone

    def told(self) -> dict[str, Any]:
        """What reward.json says of the training."""
        header = self.data.header
        return {
            "dimensions": [asdict(one) for one in header.dimensions],
            "aggregate": self.config.aggregate,
            "ranking": self.config.ranking,
            "ties": self.objective.learned(),
            "set": {"name": header.name, "content_hash": header.content_hash},
            "notice": header.notice,
            "config": self.config.to_json(),
            "step": self.progress.step,
            **(told_of(self.start, header) if self.start else {}),
        }

    # Stopping and going on -------------------------------------------------------------------------------------------

    def save(self) -> None:
        if self.processes.is_first:
            notes = {"progress": json.dumps(asdict(self.progress)), "of": self._of()}
            save_state(self.out / STATE, self.weights, self.optimizer, notes)

    def resume(self) -> None:
        """Go on where the folder's state is, if it has one of this training; else begin."""
        if (self.out / STATE).exists():
            notes = load_state(self.out / STATE, self.weights, self.optimizer)
            if notes.get("of") != self._of():
                raise JobError(
                    "The folder holds the state of a training with other settings or another training set. "
                    "Start a new job."
                )
            self.progress = Progress(**json.loads(notes["progress"]))

    def _of(self) -> str:
        """What a state belongs to."""
        start = [self.start["fingerprint"]] if self.start else []
        return json.dumps([self.config.to_json(), self.data.header.content_hash, *start], sort_keys=True)


def stage_at(config: Config, number: int) -> tuple[Stage, float]:
    """The stage of step ``number`` (from 0), and how far it is within it, 0 at its first step and 1 at its last."""
    start = 0.0
    for place, stage in enumerate(config.stages):
        end = start + stage.share * config.steps
        if number < round(end) or place == len(config.stages) - 1:
            return stage, (number - round(start)) / max(round(end) - round(start) - 1, 1)
        start = end
    raise AssertionError("a configuration has a stage")


def rate_factor(config: Config, number: int) -> float:
    """What the learning rate is multiplied by in step ``number`` (from 0)."""
    warmup = max(round(config.warmup * config.steps), 1)
    if number < warmup:
        return (number + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (number - warmup) / max(config.steps - warmup, 1)))


def make_optimizer(weights: dict[str, Tensor], config: Config) -> torch.optim.AdamW:
    """AdamW; what is no matrix, and what belongs to the loss, does not decay. The loss's few numbers learn faster: they
    start as a guess, and the network's weights do not."""
    rate = config.learning_rate
    own = {name: value for name, value in weights.items() if name.startswith("objective.")}
    decays = {name: value for name, value in weights.items() if value.ndim > 1 and name not in own}
    rest = [value for name, value in weights.items() if name not in decays and name not in own]
    groups = [
        {"params": list(decays.values()), "weight_decay": config.weight_decay, "initial_lr": rate},
        {"params": rest, "weight_decay": 0.0, "initial_lr": rate},
        {"params": list(own.values()), "weight_decay": 0.0, "initial_lr": LOSS_RATE * rate},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=rate)


def _largest_tie(targets: Targets) -> int:
    """Candidates that share a rank in a group, at most, in any dimension."""
    rows = torch.cat([targets.owner[:, None].double(), targets.ranks.double()], 1)
    found = 1
    for column in range(1, rows.shape[1]):
        known = rows[torch.isfinite(rows[:, column])][:, [0, column]].round(decimals=6)
        if len(known):
            found = max(found, int(torch.unique(known, dim=0, return_counts=True)[1].max()))
    return found
