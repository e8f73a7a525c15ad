"""What a benchmark is made of: its groups, single people's scores, and a scorer's scores of its candidates."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from django.core.exceptions import ValidationError
from django.core.files.storage import default_storage
from django.db.models import Max, Q, QuerySet
from django.utils.translation import gettext as _

from annotation.models import Candidate, Dataset
from scoring.models import Judge, PromptVersion, Score
from training.models import Benchmark, BenchmarkResult, LabelledSet
from training.reward_models.judges import model_of
from training.reward_models.registry import KIND
from training.rewards.groups import TRAIN, Dimension, Group, WrongSet, read_groups
from training.rewards.protocols import Protocol, counted
from training.sets import keeping
from webapp.jobs.folder import JobError

CHUNK = 1000


def protocol_of(benchmark: Benchmark) -> Protocol:
    return Protocol.from_json(benchmark.protocol)


def dimensions_of(labelled_set: LabelledSet) -> list[Dimension]:
    return [Dimension(**row) for row in labelled_set.dimensions]


def groups_of(benchmark: Benchmark) -> list[Group]:
    """The groups that count, with single people's scores, where there are any. Raises JobError."""
    groups = counted(all_groups(benchmark.labelled_set), protocol_of(benchmark))
    said: dict[str, dict[str, list[tuple[str, int, float]]]] = {}
    for row in keeping.rows_of(benchmark.labelled_set, f"{keeping.RATERS}.jsonl"):
        one = said.setdefault(row["group"], {}).setdefault(row["dimension"], [])
        one.append((row["rater"], row["candidate"], row["score"]))
    found = {group: {key: tuple(rows) for key, rows in some.items()} for group, some in said.items()}
    return [replace(group, raters=found[group.key]) if group.key in found else group for group in groups]


def all_groups(labelled_set: LabelledSet) -> Iterator[Group]:
    """Raises JobError."""
    try:
        with default_storage.open(labelled_set.manifest) as file, tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(labelled_set.manifest).name
            with path.open("wb") as copy:
                copy.writelines(file.chunks())
            yield from read_groups(path)
    except OSError:
        raise JobError(_("The file of “%(name)s” is gone.") % {"name": labelled_set.name}) from None
    except WrongSet as error:
        raise JobError(str(error)) from None


def candidate_ids(groups: list[Group]) -> list[int]:
    """Primary keys of the candidates that are still there."""
    uids = [entry.key for group in groups for entry in group.candidates]
    found: list[int] = []
    for some in _chunks(uids):
        found += Candidate.objects.filter(uid__in=some).order_by("pk").values_list("pk", flat=True)
    return found


def scores_of(version: PromptVersion, judge: Judge, groups: list[Group]) -> dict[str, float]:
    """By candidate key; without those that could not be scored."""
    uids = [entry.key for group in groups for entry in group.candidates]
    found: dict[str, float] = {}
    rows = Score.objects.filter(version=version, judge=judge, value__isnull=False)
    for some in _chunks(uids):
        mine = rows.filter(candidate__uid__in=some).values_list("candidate__uid", "value")
        found |= {str(uid): value for uid, value in mine if value is not None}
    return found


def scores_on(benchmark: Benchmark) -> QuerySet[Score]:
    """Scores in the data sets of which the benchmark is made, by whatever scorer."""
    made = benchmark.labelled_set
    its = Q(pk=made.dataset_id) if made.dataset_id else Q(pk__in=made.studies.values("dataset"))
    return Score.objects.filter(candidate__case__dataset__in=Dataset.objects.filter(its)).order_by()


def newest_score(result: BenchmarkResult) -> str:
    """When the scorer's scores changed last, in ISO form; empty where there are none."""
    rows = scores_on(result.benchmark).filter(version=result.version_id, judge=result.judge_id)
    last = rows.aggregate(last=Max("updated_at"))["last"]
    return last.isoformat() if last else ""


def seen_by(judge: Judge, groups: Sequence[Group]) -> dict[str, int | None]:
    """Of how many source images of these groups a reward model has learned: {"sources": None where its training set
    cannot be read, "of"}; nothing for other judges, whose training nobody here knows."""
    if judge.kind != KIND:
        return {}
    here = {group.source_key for group in groups}
    try:
        learned = all_groups(model_of(judge.settings).labelled_set)
        sources = len(here & {group.source_key for group in learned if group.split == TRAIN})
    except (JobError, ValidationError):
        return {"sources": None, "of": len(here)}
    return {"sources": sources, "of": len(here)}


def _chunks(uids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (uids[start : start + CHUNK] for start in range(0, len(uids), CHUNK))
