"""Edits that are there already, as examples to learn from: groups of a training set, or candidates that have scores."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from annotation.models import Case, StoredImage, Task
from scoring.asking.queries import choices_of
from scoring.models import Judge, Score
from scoring.models.answers import HAS_SCORE
from training.models import LabelledSet, SetState
from training.rewards import groups as sets
from training.sets.placing import open_set
from webapp.jobs.folder import JobError

CHUNK = 500


@dataclass(frozen=True, slots=True)
class Example:
    """An edit. ``image``: its SHA-256; ``original``: its name in the storage, where it is known here. ``score`` in
    0..1 or None; ``rank``: 1 is best, or None."""

    image: str
    score: float | None
    rank: float | None
    name: str
    original: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """The edits of one case. ``source``: SHA-256 of its picture."""

    key: str
    source: str
    instruction: str
    task: str
    entries: tuple[Example, ...]


# A training set ------------------------------------------------------------------------------------------------------


def of_set(found: LabelledSet, dimension: str = "") -> Iterator[Group]:
    """The groups of its train part that have at least two edits with a rank or a score. Raises ValidationError."""
    if found.state != SetState.READY:
        raise ValidationError(_("The training set is not ready yet. Wait until its job is done."))
    try:
        header, rows = open_set(found)
        wanted = [one for one in header.dimensions if dimension in ("", one.key)]
        if not wanted:
            words = _("The training set “%(set)s” has no dimension “%(name)s”.")
            raise ValidationError(words % {"set": found.name, "name": dimension})
        for group in rows:
            if group.split == sets.TRAIN and (entries := _entries(group, wanted)):
                # The name of a set's group could be that of a case that is looked at.
                yield Group(f"set/{group.key}", group.source, group.instruction, group.task, entries)
    except JobError as error:
        raise ValidationError(str(error)) from None


def _entries(group: sets.Group, dimensions: Sequence[sets.Dimension]) -> tuple[Example, ...]:
    scores, ranks = [], []
    for one in dimensions:
        if labels := group.labels.get(one.key):
            scores.append(_scores(labels, one, len(group.candidates)))
            ranks.append(_ranks(labels, one, len(group.candidates)))
    found = [
        Example(entry.image, _mean([row[place] for row in scores]), _mean([row[place] for row in ranks]), entry.key)
        for place, entry in enumerate(group.candidates)
    ]
    known = tuple(one for one in found if one.score is not None or one.rank is not None)
    return with_ranks(known) if len(known) > 1 else ()


def with_ranks(entries: tuple[Example, ...]) -> tuple[Example, ...]:
    """Where nobody has ranked: ranks by score, equal scores share the mean rank. 1 is best."""
    scores = [one.score for one in entries if one.score is not None]
    if any(one.rank is not None for one in entries):
        return entries
    return tuple(replace(one, rank=None if one.score is None else _rank(one.score, scores)) for one in entries)


def _rank(score: float, scores: Sequence[float]) -> float:
    return sum(other > score for other in scores) + (sum(other == score for other in scores) + 1) / 2


def _mean(values: Iterable[float | None]) -> float | None:
    """Over the dimensions; None where one of them is not known: its mean would be another's."""
    known = list(values)
    return None if not known or None in known else fmean(one for one in known if one is not None)


def _scores(labels: sets.Labels, one: sets.Dimension, count: int) -> list[float | None]:
    mos = labels.mos or (None,) * count
    return [None if value is None else (value - one.low) / (one.high - one.low) for value in mos]


def _ranks(labels: sets.Labels, one: sets.Dimension, count: int) -> list[float | None]:
    """As people ranked; where they chose between pairs alone, by how many others are better, if all were compared."""
    if labels.ranks:
        return list(labels.ranks)
    pairs = sets.pairs_of(labels, one.high - one.low) if labels.pairs else []
    if len(pairs) < count * (count - 1) // 2:
        return [None] * count
    better = [0.0] * count
    for pair in pairs:
        better[pair.first] += (1 - pair.outcome) / 2
        better[pair.second] += (1 + pair.outcome) / 2
    return [1 + value for value in better]


def originals(hashes: Collection[str]) -> dict[str, str]:
    """Names in the storage by SHA-256. Raises ValidationError where a picture is gone."""
    wanted = sorted(hashes)
    found: dict[str, str] = {}
    for start in range(0, len(wanted), CHUNK):
        rows = StoredImage.objects.filter(sha256__in=wanted[start : start + CHUNK])
        found.update(rows.values_list("sha256", "original"))
    if missing := len(wanted) - len(found):
        words = _("%(n)d pictures of the training set are not in the library any more. Import them again.")
        raise ValidationError(words % {"n": missing})
    return found


# A data set with scores ----------------------------------------------------------------------------------------------


def of_scores(cases: QuerySet[Case], judge: str, tasks: Sequence[Task]) -> dict[str, Group]:
    """By key of the case: its candidates that the judge has scored by its task's scorer. Raises ValidationError."""
    found = Judge.objects.filter(slug=judge).first()
    if found is None:
        raise ValidationError(_("There is no judge “%(name)s”.") % {"name": judge})
    versions = {one.task.pk: one.usual for one in choices_of(tasks) if one.usual}
    rows = Score.objects.filter(HAS_SCORE, judge=found, version__in=versions.values(), candidate__case__in=cases)
    rows = rows.filter(candidate__fault="") | rows.filter(candidate__fault_kept=True)
    entries: dict[int, list[Example]] = {}
    chosen: dict[int, Case] = {}
    named = rows.select_related("candidate__image", "candidate__editor", "candidate__case__source", "version__prompt")
    for row in named.order_by("candidate__case", "candidate").iterator(chunk_size=CHUNK):
        case, candidate = row.candidate.case, row.candidate
        if versions.get(case.task_id) == row.version and row.value is not None:
            chosen[case.pk] = case
            entries.setdefault(case.pk, []).append(_scored(row, candidate.image))
    return {chosen[pk].key: _group(chosen[pk], some) for pk, some in entries.items() if len(some) > 1}


def _group(case: Case, entries: Sequence[Example]) -> Group:
    return Group(case.key, case.source.sha256, case.instruction, case.task_id, with_ranks(tuple(entries)))


def _scored(row: Score, image: StoredImage) -> Example:
    prompt, candidate = row.version.prompt, row.candidate
    score = ((row.value or 0.0) - prompt.low) / (prompt.high - prompt.low)
    return Example(image.sha256, score, None, f"{candidate.editor.slug}/{candidate.seed}", image.original)
