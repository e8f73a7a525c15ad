"""A trial of the reward models on the drawn world, without a server.

    python -m scripts.reward_trial set FOLDER                      # a training set; beside it the true scores
    python -m scripts.reward_trial train FOLDER --preset editloop --seed 0      # a job folder FOLDER/editloop-0
    python -m scripts.reward_trial measure FOLDER --preset editloop --seed 0    # its figures, as JSON

``set``: cases of a series of their own, candidates by the two CPU editors and with planted faults, labels by simulated
annotators; and four edits by the rough editor for each of 128 further cases. True scores are for measuring alone.
docs/reward-models-drawn.md has what came of it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage
from scipy.stats import rankdata, spearmanr

from annotation.protocols import PRESETS, Dimension
from annotation.simulation.annotators import HONEST, NOISY, Annotator, Shown, score_on
from drawnworld.edits import TASKS, Pair, draw_pair
from drawnworld.flaws import ATTEMPTS
from drawnworld.render import Image
from training.rewards.config import PRESETS as CONFIGS
from training.rewards.groups import DEV, TEST, TRAIN, Entry, Group, Header, Labels, pairs_of, to_line, write_set
from training.rewards.groups import Dimension as Judged

ROOT = Path(__file__).resolve().parents[1]
SERIES = 71  # of drawnworld.edits.draw_pair: no editor, no judge and no demo uses it
DRAWN = (("good", 2), ("rough", 2))  # editor, candidates of a group
PLANTED = 4  # further candidates, by planted editors drawn by chance
RATERS = (HONEST, HONEST, NOISY, HONEST, NOISY)
RANKERS = RATERS[:3]
SPLITS = (TRAIN,) * 5 + (DEV, TEST)
SEED = 5
ROLLOUT_CASES, ROLLOUTS, ROLLOUT_SEED = 128, 4, 900_000
NOTICE = "Simulation: every label was made by a program from the true answer of the drawn world, with noise."


def make_set(folder: Path, cases: int) -> None:
    """Write set.jsonl.gz, images/, and true.json: of each picture the true score, 0..5, and by dimension 0..1."""
    pairs = [draw_pair(SERIES, index, TASKS[index % len(TASKS)]) for index in range(cases)]
    (folder / "images").mkdir(parents=True)
    true: dict[str, dict[str, float]] = {}
    made = _candidates(pairs)
    groups = [_group(folder, index, pair, made[index], true) for index, pair in enumerate(pairs)]
    dimensions = tuple(Judged(one.key, one.label, one.low, one.high) for one in _dimensions())
    write_set(folder / "set.jsonl.gz", Header("Drawn world, simulated", dimensions, _hash(groups), NOTICE), groups)
    (folder / "true.json").write_text(json.dumps(true), encoding="utf-8")


def _dimensions() -> tuple[Dimension, ...]:
    return PRESETS["mos"].dimensions


def _candidates(pairs: Sequence[Pair]) -> list[list[tuple[str, Image]]]:
    """(editor, picture) of each case: by the CPU editors with seeds of their own, then planted."""
    from training.gpu.editors import EditCase
    from training.gpu.editors.drawn import load

    found: list[list[tuple[str, Image]]] = [[] for _ in pairs]
    for base, count in DRAWN:
        editor = load({"base": base})
        for start in range(0, len(pairs), 16):
            here = range(start, min(start + 16, len(pairs)))
            wanted = [(index, seed) for index in here for seed in range(count)]
            cases = [
                EditCase(PillowImage.fromarray(pairs[i].source), None, pairs[i].edit.instruction, pairs[i].edit.task)
                for i, _ in wanted
            ]
            images = editor.edit_many(cases, [SERIES * 10**6 + 10 * i + seed for i, seed in wanted])
            for (index, _), image in zip(wanted, images, strict=True):
                found[index].append((f"drawn-{base}", np.asarray(image.image)))
    for index, pair in enumerate(pairs):
        rng = random.Random(f"{SERIES}/{index}/planted")
        for name in rng.sample(sorted(ATTEMPTS), PLANTED):
            found[index].append((name, ATTEMPTS[name](pair, rng).image))
        rng.shuffle(found[index])
    return found


def _group(
    folder: Path, index: int, pair: Pair, made: Sequence[tuple[str, Image]], true: dict[str, dict[str, float]]
) -> Group:
    from annotation.simulation.truth import Answer, facts_about

    shown, entries = [], []
    source = _save(folder, f"images/{index:04}-source.png", pair.source)
    for place, (editor, pixels) in enumerate(made):
        key = f"{index:04}-{place}"
        facts = facts_about(Answer(pair.source, pair.target, pair.mask), pixels)
        true[key] = {"score": facts.score, **{one.key: facts.worth(one.key) for one in _dimensions()}}
        shown.append(Shown(f"trial/{key}", facts))
        entries.append(Entry(key, _save(folder, f"images/{key}.png", pixels), editor))
    labels = {one.key: _labels(one, shown) for one in _dimensions()}
    split = SPLITS[index // len(TASKS) % len(SPLITS)]
    words, task = pair.edit.instruction, pair.edit.task
    return Group(f"trial-{index:04}", source, f"{index:04}", words, task, split, tuple(entries), labels)


def _labels(dimension: Dimension, shown: Sequence[Shown]) -> Labels:
    """Mean ranks of the rankers, ties where their opinions are in the same twentieth; the raters' mean score."""
    people = [Annotator(kind, f"trial-{number}", SEED) for number, kind in enumerate(RATERS)]
    ranks = [
        rankdata([-int(person.opinion(one, dimension.key) * 20 + 0.5) for one in shown])
        for person in people[: len(RANKERS)]
    ]
    scores = [[score_on(dimension, person.opinion(one, dimension.key)) for one in shown] for person in people]
    return Labels(
        ranks=tuple(round(float(value), 4) for value in np.mean(ranks, 0)),
        mos=tuple(round(float(value), 4) for value in np.mean(scores, 0)),
    )


def _save(folder: Path, name: str, pixels: Image) -> str:
    PillowImage.fromarray(pixels).save(folder / name)
    return name


def _hash(groups: Sequence[Group]) -> str:
    return hashlib.sha256(json.dumps([to_line(group) for group in groups], default=list).encode()).hexdigest()


# Edits by the rough editor, of cases that no training saw ------------------------------------------------------------


def make_rollouts(folder: Path) -> None:
    """rollouts/<case>-<place>.png with true.json beside: [cases][ROLLOUTS] true scores, 0..5."""
    from drawnworld.score import true_score
    from training.gpu.drawn.pairs import held_out_cases
    from training.gpu.editors import EditCase
    from training.gpu.editors.drawn import load

    (folder / "rollouts").mkdir()
    pairs, scores = held_out_cases(ROLLOUT_CASES), []
    editor = load({"base": "rough"})
    for index, pair in enumerate(pairs):
        case = EditCase(PillowImage.fromarray(pair.source), None, pair.edit.instruction, pair.edit.task)
        made = editor.edit(case, [ROLLOUT_SEED + 10 * index + place for place in range(ROLLOUTS)])
        for place, one in enumerate(made):
            _save(folder, f"rollouts/{index:03}-{place}.png", np.asarray(one.image))
        pixels = [np.asarray(one.image) for one in made]
        scores.append([true_score(pair.source, pair.target, pair.mask, one).score for one in pixels])
    (folder / "rollouts" / "true.json").write_text(json.dumps(scores), encoding="utf-8")


def on_rollouts(folder: Path, scorer: Any) -> dict[str, float]:
    """Pairs of one case with a gap in true score, rank correlation over all edits, and the true score of the best of
    four as the model picks it, beside a random and the best one."""
    from training.gpu.drawn.pairs import held_out_cases
    from training.gpu.reward.network import Example

    true = np.array(json.loads((folder / "rollouts" / "true.json").read_text(encoding="utf-8")))
    examples = [
        Example(
            str(index),
            pair.edit.instruction,
            PillowImage.fromarray(pair.source),
            tuple(PillowImage.open(folder / f"rollouts/{index:03}-{place}.png") for place in range(ROLLOUTS)),
        )
        for index, pair in enumerate(held_out_cases(ROLLOUT_CASES))
    ]
    score = np.array([[one.overall for one in group] for group in scorer.score(examples)])
    first, second = np.triu_indices(ROLLOUTS, 1)
    lead, gap = score[:, first] - score[:, second], true[:, first] - true[:, second]
    found = {f"pairs over {limit}": float((lead * gap > 0)[np.abs(gap) > limit].mean()) for limit in (0.3, 1.0)}
    picked = true[np.arange(len(true)), score.argmax(1)]
    found |= {"rank correlation": float(spearmanr(score.ravel(), true.ravel()).statistic)}
    return found | {"picked": picked.mean(), "random": true.mean(), "best": true.max(1).mean()}


# Training and measuring ----------------------------------------------------------------------------------------------


def train(folder: Path, preset: str, seed: int) -> int:
    """The job as the GPU queue runs it, in a process of its own; its exit status."""
    job = folder / f"{preset}-{seed}"
    job.mkdir()
    (job / "inputs").symlink_to(folder.resolve())
    config = replace(CONFIGS[preset], seed=seed).to_json()
    told = {"kind": "reward-train", "config": {"config": config, "set": "set.jsonl.gz", "init": ""}, "attempt": 1}
    (job / "job.json").write_text(json.dumps(told), encoding="utf-8")
    command = [sys.executable, "-m", "training.gpu.run", str(job)]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}).returncode


def measure(folder: Path, preset: str, seed: int) -> dict[str, Any]:
    """What the job found, and how its scores agree with the true score, which nobody learned from."""
    from training.gpu.reward.batches import read_set
    from training.gpu.reward.network import Example
    from training.gpu.reward.scorer import Scorer

    job = folder / f"{preset}-{seed}"
    summary = json.loads((job / "result.json").read_text(encoding="utf-8"))["summary"]
    scorer, data = Scorer.load(job / "outputs" / "model", "cpu"), read_set(folder / "set.jsonl.gz")
    true = json.loads((folder / "true.json").read_text(encoding="utf-8"))
    groups = data.split(TEST)
    examples = [
        Example(
            group.key,
            group.instruction,
            PillowImage.open(folder / group.source),
            tuple(PillowImage.open(folder / one.image) for one in group.candidates),
        )
        for group in groups
    ]
    score = [one.overall for group in scorer.score(examples) for one in group]
    truth = [true[one.key]["score"] for group in groups for one in group.candidates]
    return {
        "summary": summary,
        "test, rank correlation with the true score": float(spearmanr(score, truth).statistic),
        "test, accuracy of a faultless judge": {one.key: _faultless(groups, one, true) for one in data.dimensions},
        "rollouts": on_rollouts(folder, scorer),
    }


def _faultless(groups: Sequence[Group], dimension: Judged, true: dict[str, dict[str, float]]) -> float:
    """How many of the decided pairs one who sees the truth would order as the annotators did: they are noisy."""
    credit = []
    for group in groups:
        worth = [true[one.key][dimension.key] for one in group.candidates]
        for pair in pairs_of(group.labels[dimension.key], dimension.high - dimension.low):
            lead = (worth[pair.first] - worth[pair.second]) * pair.outcome
            credit += [0.5 + 0.5 * float(np.sign(lead))] if pair.outcome else []
    return float(np.mean(credit))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("set", "train", "measure"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cases", type=int, default=224)
    parser.add_argument("--preset", choices=sorted(CONFIGS), default="editloop")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.what == "set":
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
        import django

        django.setup()
        make_set(arguments.folder, arguments.cases)
        make_rollouts(arguments.folder)
    elif arguments.what == "train":
        sys.exit(train(arguments.folder, arguments.preset, arguments.seed))
    else:
        print(json.dumps(measure(arguments.folder, arguments.preset, arguments.seed), indent=1))


if __name__ == "__main__":
    main()
