"""What a run learns from and is looked at with: its cases, its examples, and the pictures behind them.

The same choice gives the same rows, so a job that is prepared again finds what it was started with; their hash tells.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from annotation.models import Case, Dataset, Split
from annotation.queries import tasks_of
from training.models import LabelledSet
from training.runs import examples
from training.runs.examples import Group

TRAIN, LOOK = "train", "look"
IMAGES = "images"
FEWEST = 2  # cases to learn from
CHUNK = 500
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which cases of a data set (its UID) a run is for. ``limit``, ``look``: cases at most, 0 for all.

    ``labelled_set`` (a UID) or ``scored_by`` (a judge's short name): where the examples come from that DPO and SFT are
    given; ``dimension`` of the set, empty for the mean of all.
    """

    dataset: str
    split: str = Split.TRAIN.value
    tasks: tuple[str, ...] = ()
    limit: int = 0
    look: int = 0
    seed: int = 0
    labelled_set: str = ""
    dimension: str = ""
    scored_by: str = ""

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "tasks": list(self.tasks)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Wanted:
        return cls(**{**value, "tasks": tuple(value.get("tasks", ()))})

    @property
    def has_examples(self) -> bool:
        return bool(self.labelled_set or self.scored_by)


@dataclass(slots=True)
class Chosen:
    """Lines of cases.jsonl and examples.jsonl. ``files``: name in the storage by path below inputs/."""

    cases: list[Row] = field(default_factory=list)
    examples: list[Row] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)

    @property
    def hash(self) -> str:
        """Of everything that is learned from or looked at; pictures stand in it by their own hash."""
        digest = hashlib.sha256()
        for row in (*self.cases, *self.examples):
            digest.update(line(row).encode())
        return digest.hexdigest()

    def count(self, split: str) -> int:
        return sum(row["split"] == split for row in self.cases)

    def picture(self, sha256: str, name: str) -> str:
        path = f"{IMAGES}/{sha256}{Path(name).suffix}"
        self.files[path] = name
        return path


def line(row: Row) -> str:
    """In ASCII: what else could end a line in some reader's eyes is not in it."""
    return json.dumps(row, sort_keys=True) + "\n"


def choose(wanted: Wanted) -> Chosen:
    """Raises ValidationError where there is nothing to learn from, or no fixed case to look at."""
    dataset = Dataset.objects.filter(uid=wanted.dataset).first()
    if dataset is None:
        raise ValidationError(_("The data set was deleted."))
    if wanted.split == Split.DEV:
        raise ValidationError(_("The development part is what a run is looked at with. Learn from another part."))
    chosen = Chosen()
    sources = _from_set(chosen, wanted) if wanted.labelled_set else _from_dataset(chosen, dataset, wanted)
    if chosen.count(TRAIN) < FEWEST:
        raise ValidationError(
            _("There are %(n)d cases to learn from in this part of “%(name)s”. Choose another part or other tasks.")
            % {"n": chosen.count(TRAIN), "name": dataset.name}
        )
    if wanted.has_examples and not chosen.examples:
        raise ValidationError(_("There are no examples: no edit of these cases has a rank or a score."))
    _add_looks(chosen, dataset, wanted, sources)
    return chosen


def _from_dataset(chosen: Chosen, dataset: Dataset, wanted: Wanted) -> set[str]:
    rows = _of_tasks(Case.objects.filter(dataset=dataset, split=wanted.split), wanted.tasks)
    if not wanted.scored_by:
        cases, groups = _drawn(rows, wanted.limit, wanted.seed), {}
    else:
        groups = examples.of_scores(rows, wanted.scored_by, _tasks(dataset))
        cases = [case for case in _drawn(rows, 0, wanted.seed) if case.key in groups][: wanted.limit or None]
    for case in cases:
        _add(chosen, case, TRAIN)
        if group := groups.get(case.key):
            _add_examples(chosen, case.key, group)
    return {case.source.sha256 for case in cases}


def _from_set(chosen: Chosen, wanted: Wanted) -> set[str]:
    """The groups of a training set's train part are the cases; the pictures by their hash."""
    found = LabelledSet.objects.filter(uid=wanted.labelled_set).first()
    if found is None:
        raise ValidationError(_("The training set was deleted."))
    groups = [one for one in examples.of_set(found, wanted.dimension) if not wanted.tasks or one.task in wanted.tasks]
    groups = sorted(groups, key=lambda one: _place(wanted.seed, one.key))[: wanted.limit or None]
    names = examples.originals({sha for one in groups for sha in (one.source, *(e.image for e in one.entries))})
    for one in groups:
        case = {"instruction": one.instruction, "task": one.task, "description": "", "mask": "", "params": {}}
        row = {"key": one.key, "id": len(chosen.cases), "source": chosen.picture(one.source, names[one.source])}
        chosen.cases.append({**row, **case, "split": TRAIN})
        _add_examples(chosen, one.key, one, names)
    return {one.source for one in groups}


def _add_examples(chosen: Chosen, key: str, group: Group, names: Mapping[str, str] | None = None) -> None:
    for one in group.entries:
        image = chosen.picture(one.image, names[one.image] if names else one.original)
        chosen.examples.append({"case": key, "image": image, "score": one.score, "rank": one.rank, "name": one.name})


def _add_looks(chosen: Chosen, dataset: Dataset, wanted: Wanted, sources: Collection[str]) -> None:
    """Cases of the development part whose source nothing is learned from."""
    rows = _of_tasks(Case.objects.filter(dataset=dataset, split=Split.DEV), wanted.tasks)
    known = {row["key"] for row in chosen.cases}
    free = (case for case in _drawn(rows, 0, wanted.seed) if case.source.sha256 not in sources)
    cases = [case for case in free if case.key not in known]
    if not cases:
        raise ValidationError(
            _(
                "“%(name)s” has no case in its development part whose source picture is not learned from, so nothing "
                "would tell whether the editor gets better. Make a development part on the page “Balance”."
            )
            % {"name": dataset.name}
        )
    for case in cases[: wanted.look or None]:
        _add(chosen, case, LOOK)


def _add(chosen: Chosen, case: Case, split: str) -> None:
    mask = chosen.picture(case.mask.sha256, case.mask.original) if case.mask else ""
    row = {
        "key": case.key,
        "id": len(chosen.cases),
        "source": chosen.picture(case.source.sha256, case.source.original),
        "mask": mask,
        "instruction": case.instruction,
        "task": case.task_id,
        "params": case.params,
        "description": case.description,
        "split": split,
    }
    chosen.cases.append(row)


def _of_tasks(rows: QuerySet[Case], tasks: Sequence[str]) -> QuerySet[Case]:
    return rows.filter(task__in=tasks) if tasks else rows


def _drawn(rows: QuerySet[Case], limit: int, seed: int) -> list[Case]:
    """The cases in an order of chance that their keys and the seed alone decide."""
    keys = sorted(rows.values_list("key", "pk"), key=lambda one: _place(seed, one[0]))[: limit or None]
    found = {case.pk: case for chunk in _chunks([pk for _key, pk in keys]) for case in _read(chunk)}
    return [found[pk] for _key, pk in keys if pk in found]


def _read(keys: Sequence[int]) -> Iterable[Case]:
    return Case.objects.filter(pk__in=keys).select_related("source", "mask")


def _chunks(values: Sequence[int]) -> Iterator[Sequence[int]]:
    return (values[start : start + CHUNK] for start in range(0, len(values), CHUNK))


def _place(seed: int, key: str) -> str:
    return hashlib.sha256(f"{seed}/{key}".encode()).hexdigest()


def _tasks(dataset: Dataset) -> list[Any]:
    return [task for task, _count in tasks_of(dataset)]
