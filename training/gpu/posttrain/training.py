"""A run from its first look to its last: rounds, looks, the best checkpoint, the watch, and its place on the disk.

What is kept in ``outputs``: the best LoRA and the last one, the state, and samples. A run that was stopped, or killed,
goes on where its state is; on the CPU it ends as if nothing had happened, bit for bit.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from training.gpu.posttrain import lora
from training.gpu.posttrain.asking import TooManyMissing
from training.gpu.posttrain.looks import Looks
from training.gpu.posttrain.offline import Offline
from training.gpu.posttrain.online import Online
from training.gpu.posttrain.state import WrongState
from training.posttraining import watch
from webapp.jobs.folder import JobPaused, JobRun, JobStopped

STATE, POOL, LAST = "state.safetensors", "pool", Path("lora") / "last"
EVENTS = 500  # "round" events of an offline run, at most about so many
SHARE = 20  # saving takes a twentieth of the time at most
ENDS: Mapping[str, str] = {"gain": "gain", "low": "gain_low", "high": "gain_high"}


class _StopHere(Exception):
    """The run was asked to stop, where what it has learned is that of its last whole round."""


@dataclass
class Progress:
    """Where a run is: rounds done, the best look so far with its gain, and sums over all attempts."""

    round: int = 0
    best_round: int = 0
    best: float | None = None
    looks: list[dict[str, Any]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    images: int = 0
    missing: float = 0.0  # sum over rounds of their shares


class Training:
    """``trainer``: what learns. ``of``: what a state must be of to go on from it. ``watching``: whether the run pauses
    where the watch says so; ``acknowledged``: the round up to which a person has said "go on"."""

    def __init__(
        self,
        run: JobRun,
        trainer: Online | Offline,
        looks: Looks,
        of: Mapping[str, Any],
        *,
        watching: bool = False,
        acknowledged: int = 0,
    ) -> None:
        self.run, self.trainer, self.looks = run, trainer, looks
        self.config, self.learner, self.processes = trainer.config, trainer.learner, trainer.processes
        self.of: dict[str, Any] = json.loads(json.dumps(of))
        self.watching, self.acknowledged = watching, acknowledged
        self.progress = Progress()
        self.saving, self.saved = 0.0, time.monotonic()

    def go(self) -> None:
        """Train to the end. Raises JobStopped once its place is saved, JobPaused where a person is to decide, and
        TooManyMissing."""
        self._resume()
        self._since = time.process_time() - self.progress.cpu_seconds
        if self.processes.world == 1:  # of several, none may leave while others wait for it: they stop between rounds
            self.looks.check = self.trainer.check = self._check
        try:
            self._base_look()
            if isinstance(self.trainer, Offline) and self.progress.round < self.config.rounds:
                self._prepare(self.trainer)
            self._settle()  # what a stopped attempt left undone of its last round
            while self.progress.round < self.config.rounds:
                self._round()
        except _StopHere:
            self._save()
            raise JobStopped from None
        except TooManyMissing:
            self._missing(self.progress.round + 1, self.trainer.reasons)
            self._save()
            raise
        shutil.rmtree(self.run.outputs / POOL, ignore_errors=True)

    def _check(self) -> None:
        """Between passes that only sample: nothing has been learned since the last round, so that is the place."""
        if self.run.stopping:
            raise _StopHere

    def _base_look(self) -> None:
        if self.processes.is_first:
            with self.trainer.clock.phase("look"):
                told, new = self.looks.begin()
            self._missing(0, self.looks.reasons, "look")
            if new:
                self._emit("look", told)
            self.progress.looks = self.progress.looks or [told]
        self.processes.agree(False)  # the others wait: the first one may need all of the machine

    def _prepare(self, trainer: Offline) -> None:
        def done(count: int, total: int) -> None:
            self.run.progress(count, total, f"Sampled {count} of {total} cases")

        told = trainer.prepare(done)
        self._missing(0, trainer.reasons)
        self._emit("prepared", told)
        self.progress.images = max(self.progress.images, int(told["candidates"]))

    def _round(self) -> None:
        """One round, and what is due after it."""
        progress, config = self.progress, self.config
        told = self.trainer.round(progress.round)
        progress.round += 1
        progress.missing += told["missing"]
        progress.images += told["images"] if config.is_online else 0
        for phase, seconds in told["seconds"].items():
            progress.seconds[phase] = round(progress.seconds.get(phase, 0.0) + seconds, 3)
        progress.cpu_seconds = round(time.process_time() - self._since, 2)
        if config.is_online or (progress.round - 1) % max(1, config.rounds // EVENTS) == 0:
            self._emit("round", told | {"cpu_seconds": progress.cpu_seconds})
        self.run.progress(progress.round, config.rounds, f"Round {progress.round} of {config.rounds}")
        if config.is_online:
            self._missing(progress.round, self.trainer.reasons)
        self._settle()

    def _settle(self) -> None:
        """After a round: a look where one is due, the saved place, and the end where that is asked for."""
        number, last = self.progress.round, self.progress.round == self.config.rounds
        if number == 0:
            return
        due = (last or number % self.config.look_every == 0) and not self._has_looked(number)
        reason = self._look() if due else ""
        if due or time.monotonic() - self.saved > SHARE * self.saving:
            self._save()
        if not last:
            if self.processes.agree(bool(reason)):
                raise JobPaused(reason)
            if self.processes.agree(self.run.stopping):
                raise _StopHere

    def _has_looked(self, number: int) -> bool:
        return any(one["round"] == number for one in self.progress.looks)

    def _look(self) -> str:
        """Look, keep the LoRA, ask the watch; its reason to pause, if any."""
        if not self.processes.is_first:
            return ""
        progress = self.progress
        with self.trainer.clock.phase("look"), self.learner.best_known():
            told, good = self.looks.look(progress.round)
            self._keep(good)
        told["best_round"] = progress.best_round  # whoever keeps the LoRA now has that round's
        for phase, seconds in self.trainer.clock.take().items():
            progress.seconds[phase] = round(progress.seconds.get(phase, 0.0) + seconds, 3)
        self._missing(progress.round, self.looks.reasons, "look")
        progress.looks.append(told)
        decision = watch.decide([watch.Look.from_event(one) for one in progress.looks], self.acknowledged)
        told["warnings"] = [asdict(one) for one in decision.warnings]
        self._emit("look", told)
        if not (self.watching and decision.pause):
            return ""
        judges = {"trained": decision.trained, "held": decision.held}
        gains = {
            key: {"name": name} | {end: told["judges"][name][field] for end, field in ENDS.items()}
            for key, name in judges.items()
        }
        self._emit("watch", {"round": progress.round, "reason": decision.reason, **gains})
        return decision.reason

    def _keep(self, good: float) -> None:
        """The LoRA as it is, and as the best one where it is that."""
        progress, known = self.progress, math.isfinite(good)
        lora.save(self.learner.adapter, self.run.outputs / LAST / lora.FILE)
        if progress.best_round == 0 or (known and (progress.best is None or good > progress.best)):
            lora.save(self.learner.adapter, self.run.outputs / "lora" / lora.FILE)
            progress.best_round, progress.best = progress.round, good if known else None

    def _missing(self, number: int, reasons: Counter[str], where: str = "round") -> None:
        if reasons:
            self._emit("missing", {"round": number, "where": where, "reasons": dict(reasons)})
            reasons.clear()

    def _emit(self, event: str, told: Mapping[str, Any]) -> None:
        self.run.emit(event, **_finite(told))

    # Its place -------------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        if self.processes.is_first:
            start = time.monotonic()
            notes = {"progress": json.dumps(_finite(asdict(self.progress))), "of": json.dumps(self.of, sort_keys=True)}
            self.learner.save(self.run.outputs / STATE, notes)
            self.saving, self.saved = time.monotonic() - start, time.monotonic()

    def _resume(self) -> None:
        """Go on where the folder's state is, if it has one of this run; else begin. Raises WrongState."""
        path = self.run.outputs / STATE
        if not path.exists():
            return
        notes = self.learner.load(path)
        kept = json.loads(notes.get("of") or "{}")
        # A setting that this program has learned since the state was written has its default.
        if kept | {"config": self.of["config"] | kept.get("config", {})} != self.of:
            raise WrongState(
                "The folder holds the state of a run with other settings, another editor or other data. "
                "Start a new run."
            )
        self.progress = Progress(**json.loads(notes["progress"]))

    def summary(self) -> dict[str, Any]:
        """The result of a run that is done."""
        progress = self.progress
        by_round = {one["round"]: one for one in progress.looks}
        seconds = sum(progress.seconds.values())
        last = by_round.get(progress.round)
        found = {
            "rounds": progress.round,
            "best_round": progress.best_round,
            "stopped": "all rounds were done",
            "looks": {"last": last, "best": by_round.get(progress.best_round)},
            "cpu_seconds": progress.cpu_seconds,
            "seconds": progress.seconds,
            "images": progress.images,
            "images_per_second": round(progress.images / seconds, 3) if seconds else None,
            "missing": progress.missing / max(progress.round, 1),
            "tasks": last["tasks"] if last else {},
        }
        finite: dict[str, Any] = _finite(found)
        return finite


def _finite(value: Any) -> Any:
    """The same without numbers that JSON has no word for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value
