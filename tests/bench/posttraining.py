"""What each preset of post-training gains on the CPU editor, in true score of the drawn world per CPU-minute.

Every run starts from the base *rough* and learns from the same 512 cases. The gain is measured on 256 held-out cases
from fixed noise, the same before and after, with a paired bootstrap over cases; the editor is that of the last round,
not the best of several looks. CPU-seconds are the process's own, of all threads: sampling, judging and learning, and
for the presets that sample before they train that too; looks, start and given examples are not in them.

    python -m tests.bench.posttraining                      # every preset with the true score, seeds 0 to 2
    python -m tests.bench.posttraining fast nft --seeds 1 --reward judge
    python -m tests.bench.posttraining fast --reward model --models FOLDER FOLDER --keep FOLDER

Rewards: truth (the true score of the drawn world: only for tests of the method), model (trained reward models), judge
(the demo judge with three good questions a task), both. A run is a process of its own with two threads; with --keep its
figures are kept and a run that is there is not repeated. docs/experiments.md has what came of it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
BASE = "rough"
BUDGETS = {"fast": 300.0, "nft": 300.0}  # CPU-seconds
BUDGET = 170.0
STEPS = (4, 8, 16)
MARKS = (60.0, 120.0, 170.0)  # CPU-seconds at which there is a look too
SPECS = {"fast": {"alpha": 1.0, "beta": 2.5}}  # of the reward, where the preset's runs want another than the usual map
TARGETS = {"fast": "at least 0.40 in 300 CPU-seconds", "self-dpo": "at least 0.25 in 170 CPU-seconds"}
# Kept from the environment where they are set there
THREADS = {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}  # a thread that waits must not count as work


def row(what: str, value: float | str, unit: str = "", target: str = "") -> None:
    print(json.dumps({"what": what, "value": value, "unit": unit, "target": target}), flush=True)


# One run, in a process of its own ------------------------------------------------------------------------------------


def run(told: Mapping[str, Any]) -> dict[str, Any]:
    """Train until the CPU-seconds are spent, or the editor's preset ends; scores of every look."""
    from tests.bench.posttraining_data import look
    from training.gpu.drawn.pairs import held_out_cases
    from training.gpu.posttrain.adapters import drawn
    from training.posttraining.config import Config

    config = Config.from_json({**told["settings"], "preset": told["preset"] or "fast", "seed": told["seed"]}, "drawn")
    adapter = drawn.load({"base": BASE}, config)
    held = held_out_cases()
    conditions = adapter.encode([_case(pair) for pair in held])
    if told["preset"] == "":
        return {"looks": {str(steps): look(adapter, held, conditions, steps) for steps in STEPS}}
    found: dict[str, Any] = {**told, "marks": [], "phases": {}, "rewards": []}
    with tempfile.TemporaryDirectory() as folder:
        trainer, spent = _trainer(told, config, adapter, Path(folder))
        found["prepared"] = round(spent, 1)
        marks = [mark for mark in MARKS if spent < mark < told["seconds"]]
        number = 0
        while spent < told["seconds"] and number < config.rounds:
            start = time.process_time()
            event = trainer.round(number)
            spent += time.process_time() - start
            number += 1
            _note(found, event)
            if marks and spent >= marks[0]:
                marks.pop(0)
                with trainer.learner.best_known():
                    found["marks"].append({"seconds": round(spent, 1), **look(adapter, held, conditions, 8)})
                score = float(np.mean(found["marks"][-1]["scores"]))
                print(f"{told['name']}: round {number}, {spent:.0f} CPU-seconds, score {score:.3f}", file=sys.stderr)
        with trainer.learner.best_known():
            found["looks"] = {str(steps): look(adapter, held, conditions, steps) for steps in told["steps"]}
    return found | {"rounds": number, "cpu_seconds": round(spent, 1)}


def _case(pair: Any) -> Any:
    from tests.bench.posttraining_data import case_of

    return case_of(pair, "")


def _trainer(told: Mapping[str, Any], config: Any, adapter: Any, folder: Path) -> tuple[Any, float]:
    """The product's own loop, and the CPU-seconds of what it made before the first round."""
    from tests.bench.posttraining_data import CASES, GIVEN, given, reward_specs, run_cases, train_pairs
    from training.gpu.editors.drawn import load as load_editor
    from training.gpu.posttrain.offline import Offline
    from training.gpu.posttrain.online import Online
    from training.gpu.posttrain.rewarding import Rewarder, load_sources
    from training.posttraining.config import SAMPLED
    from training.posttraining.rewards import RewardSpec

    pairs = train_pairs(max(told["offline_cases"], CASES))
    rewarder = Rewarder(load_sources(reward_specs(told["reward"], told["models"]), folder), RewardSpec(**told["spec"]))
    if config.is_online:
        return Online(config, adapter, run_cases(pairs), rewarder), 0.0
    examples: list[Any] = []
    if config.data == SAMPLED:
        pairs = pairs[: told["offline_cases"]]
    else:
        pairs = pairs[:GIVEN]
        examples = given(pairs, [load_editor({"base": name}) for name in ("rough", "good")], folder / "given")
    start = time.process_time()
    trainer = Offline(config, adapter, run_cases(pairs), folder / "pool", rewarder, examples)
    trainer.prepare()
    return trainer, time.process_time() - start


def _note(found: dict[str, Any], event: Mapping[str, Any]) -> None:
    for name, seconds in event.get("seconds", {}).items():
        found["phases"][name] = round(found["phases"].get(name, 0.0) + seconds, 2)
    if event.get("reward"):
        found["rewards"].append(round(event["reward"]["mean"], 4))


# All runs ------------------------------------------------------------------------------------------------------------


def child(told: Mapping[str, Any], keep: Path) -> dict[str, Any]:
    """The figures of one run, from ``keep`` where they are there."""
    file = keep / f"{told['name']}.json"
    if not file.exists():
        command = [sys.executable, "-m", "tests.bench.posttraining", "run", json.dumps(told)]
        environment = {**THREADS, **os.environ}
        made = subprocess.run(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True
        )
        file.write_text(made.stdout.splitlines()[-1], encoding="utf-8")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def gain(base: Mapping[str, Any], after: Mapping[str, Any]) -> Any:
    from training.posttraining.figures import gain as of_cases

    return of_cases(np.array(base["scores"]), np.array(after["scores"]))


def told_of(preset: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    seconds = arguments.seconds or BUDGETS.get(preset, BUDGET)
    name = "-".join([arguments.reward, preset, str(seed), f"{seconds:g}", *arguments.tag])
    return {
        "name": name,
        "preset": preset,
        "seed": seed,
        "seconds": seconds,
        "reward": arguments.reward,
        "models": arguments.models,
        "settings": json.loads(arguments.settings),
        "spec": SPECS.get(preset, {}) | json.loads(arguments.spec),
        "offline_cases": arguments.offline_cases,
        "steps": arguments.steps,
    }


def tell(base: Mapping[str, Any], preset: str, runs: Sequence[Mapping[str, Any]]) -> None:
    """Rows of one preset: the gain of each seed at each number of steps, the mean, and what a CPU-minute brings."""
    means = []
    for one in runs:
        name = f"{preset}, seed {one['seed']}, reward {one['reward']}"
        for mark in one["marks"]:
            here = gain(base["looks"]["8"], mark)
            row(f"{name}: gain after {mark['seconds']:g} CPU-seconds", *_interval(here))
        for steps, after in one["looks"].items():
            here = gain(base["looks"][steps], after)
            row(f"{name}: gain after {one['cpu_seconds']:g} CPU-seconds, {steps} steps", *_interval(here))
            was = base["looks"][steps]["sharpness"]
            row(f"{name}: sharpness, {steps} steps (base {was:.3f})", round(after["sharpness"], 3))
        means.append(gain(base["looks"]["8"], one["looks"]["8"]).value)
    minutes = float(np.mean([one["cpu_seconds"] for one in runs])) / 60
    mean, spread = float(np.mean(means)), f"{min(means):+.2f} to {max(means):+.2f}"
    what = f"{preset}, reward {runs[0]['reward']}, {len(runs)} seeds ({spread}), {minutes * 60:.0f} CPU-seconds"
    row(f"{what}: mean gain in true score of the drawn world", round(mean, 3), "of 5", TARGETS.get(preset, ""))
    row(f"{what}: gain per CPU-minute", round(mean / minutes, 4), "of 5 a minute")


def _interval(found: Any) -> tuple[str, str]:
    return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]", "of 5"


def parsed(words: Sequence[str]) -> argparse.Namespace:
    from training.posttraining.config import PRESETS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="*", default=list(PRESETS), help="which presets; all of them without a name")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--reward", choices=("truth", "model", "judge", "both"), default="truth")
    parser.add_argument("--models", nargs="*", default=[], help="folders of trained reward models")
    parser.add_argument("--seconds", type=float, default=0.0, help="CPU-seconds of a run; 0: the preset's own")
    parser.add_argument("--settings", default="{}", help="JSON: settings that differ from the preset's")
    parser.add_argument("--spec", default="{}", help="JSON: settings of the reward (RewardSpec)")
    parser.add_argument("--offline-cases", type=int, default=512, help="cases that are sampled before the training")
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS, choices=STEPS, help="of the last look; with 8")
    parser.add_argument("--tag", nargs="*", default=[], help="words for the names of kept figures")
    parser.add_argument("--keep", type=Path, help="a folder for the figures of each run")
    return parser.parse_args(words)


def main(words: Sequence[str]) -> None:
    if words and words[0] == "run":
        print(json.dumps(run(json.loads(words[1]))))
        return
    arguments = parsed(words)
    with tempfile.TemporaryDirectory() as folder:
        keep = arguments.keep or Path(folder)
        keep.mkdir(parents=True, exist_ok=True)
        base = child({"name": "base", "preset": "", "seed": 0, "settings": {}}, keep)
        for preset in arguments.presets:
            tell(base, preset, [child(told_of(preset, seed, arguments), keep) for seed in arguments.seeds])


if __name__ == "__main__":
    main(sys.argv[1:])
