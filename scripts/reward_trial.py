"""A trial of the reward models on the drawn world, without a server: python -m scripts.reward_trial set|train FOLDER

``set`` makes a training set: cases of a series of their own, candidates by the two CPU editors and with planted faults,
labels by simulated annotators, with the true scores beside, for measuring alone. ``train`` trains on it by the presets
and seeds named and prints the figures of docs/reward-models-drawn.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from scipy.stats import rankdata

from annotation.protocols import PRESETS, Dimension
from annotation.simulation.annotators import HONEST, NOISY, Annotator, Shown, score_on
from drawnworld.edits import TASKS, Pair, draw_pair
from drawnworld.flaws import ATTEMPTS
from drawnworld.render import Image
from training.rewards.groups import DEV, TEST, TRAIN, Entry, Group, Header, Labels, to_line, write_set
from training.rewards.groups import Dimension as Judged

ROOT = Path(__file__).resolve().parents[1]
SERIES = 71  # of drawnworld.edits.draw_pair: no editor, no judge and no demo uses it
DRAWN = (("good", 2), ("rough", 2))  # editor, candidates of a group
PLANTED = 4  # further candidates, by planted editors drawn by chance
RATERS = (HONEST, HONEST, NOISY, HONEST, NOISY)
RANKERS = RATERS[:3]
SPLITS = (TRAIN,) * 5 + (DEV, TEST)
SEED = 5
NOTICE = "Simulation: every label was made by a program from the true answer of the drawn world, with noise."


def make_set(folder: Path, cases: int) -> None:
    """Write set.jsonl.gz, images/ and true.json (the true score of each picture, 0..5)."""
    pairs = [draw_pair(SERIES, index, TASKS[index % len(TASKS)]) for index in range(cases)]
    (folder / "images").mkdir(parents=True)
    true: dict[str, float] = {}
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


def _group(folder: Path, index: int, pair: Pair, made: Sequence[tuple[str, Image]], true: dict[str, float]) -> Group:
    from annotation.simulation.truth import Answer, facts_about

    shown, entries = [], []
    source = _save(folder, f"images/{index:04}-source.png", pair.source)
    for place, (editor, pixels) in enumerate(made):
        key = f"{index:04}-{place}"
        facts = facts_about(Answer(pair.source, pair.target, pair.mask), pixels)
        true[key] = facts.score
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("set", "train"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cases", type=int, default=224)
    arguments = parser.parse_args()
    if arguments.what == "set":
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
        import django

        django.setup()
        make_set(arguments.folder, arguments.cases)


if __name__ == "__main__":
    main()
