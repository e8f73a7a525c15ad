"""Edits of the base and of the trained editor that belong together: of one case, with one seed."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError

from annotation.library import settings_hash
from annotation.models import Candidate, Editor
from training.models import Proof, TrainedEditor
from training.proof.plan import Plan
from training.runs.data import LOOK, TRAIN, Wanted, choose

CHUNK = 500


class Twins(NamedTuple):
    """Keys of a case and of its two candidates with one seed."""

    case: int
    seed: int
    base: int
    trained: int


def made(editor: Editor, plan: Plan) -> dict[tuple[int, int], int]:
    """By (case, seed) the candidate that this editor has made with the settings it has now; of an editor without a
    program, whose images came by import, whatever its settings and seeds were then."""
    found: dict[tuple[int, int], int] = {}
    for start in range(0, len(plan.cases), CHUNK):
        rows = Candidate.objects.filter(editor=editor, case__in=plan.cases[start : start + CHUNK])
        if editor.module:
            rows = rows.filter(seed__range=(0, plan.seeds - 1), settings_hash=settings_hash(editor.settings))
        found |= {(case, seed): pk for pk, case, seed in rows.order_by("pk").values_list("pk", "case_id", "seed")}
    return found


def twins(proof: Proof, plan: Plan) -> list[Twins]:
    """The pairs of which both images are there, in the order of the cases. What an output check set aside is among
    them: to leave out an editor's failures would flatter it."""
    base, trained = made(proof.base, plan), made(proof.trained, plan)
    seeds: dict[int, list[int]] = defaultdict(list)
    for case, seed in sorted(set(base) & set(trained)):
        seeds[case].append(seed)
    keys = [(case, seed) for case, mine in seeds.items() for seed in mine[: plan.seeds]]
    return [Twins(*key, base[key], trained[key]) for key in keys]


def missing(editor: Editor, plan: Plan) -> int:
    there = Counter(case for case, _seed in made(editor, plan))
    return sum(max(0, plan.seeds - there[case]) for case in plan.cases)


# What a training has seen --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seen:
    """Source images by their hash: those that a training learned from, and those that it was looked at with.

    ``known``: whether that is all of them for certain.
    """

    learned: frozenset[str] = frozenset()
    looked: frozenset[str] = frozenset()
    known: bool = False


def seen_by(card: TrainedEditor | None) -> Seen:
    """From the list of cases in the run's folder; if that is gone, from what the run chose, as it would choose now."""
    if card is None:
        return Seen()
    path = card.job.folder / "inputs" / "cases.jsonl" if card.job else None
    if path and path.is_file():
        with path.open() as file:
            return _seen((json.loads(line) for line in file if line.strip()), known=True)
    try:
        chosen = choose(Wanted.from_json(card.data["wanted"]))
    except (KeyError, TypeError, ValidationError):
        return Seen()
    return _seen(chosen.cases, known=chosen.hash == card.data.get("hash"))


def _seen(rows: Iterable[dict[str, Any]], *, known: bool) -> Seen:
    """A picture's file is named by its hash."""
    found: dict[str, set[str]] = {TRAIN: set(), LOOK: set()}
    for row in rows:
        found[row["split"]].add(Path(row["source"]).stem)
    return Seen(frozenset(found[TRAIN]), frozenset(found[LOOK]), known)
