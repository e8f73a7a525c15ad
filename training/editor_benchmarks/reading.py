"""A benchmark's images and scores as arrays of editors × cases × seeds, by a fixed number of queries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import numpy as np
from django.db.models import QuerySet
from numpy.typing import NDArray

from annotation.library import settings_hash
from annotation.models import Candidate, Case, Editor, Mark, Study, Task
from scoring.asking.keeping import FINAL
from scoring.asking.queries import OVERALL
from scoring.models import PromptVersion, Score
from scoring.stats.grouped import Codes, Flags, Floats
from training.editor_benchmarks.styles import CONSISTENCY, JOINT, QUALITY, SCORE, measures_of, versions_of
from training.models import EditorBenchmark, Likeness, Style
from training.posttraining.editor_figures import case_means, joint, on_scale

# What is there of a sample, in the order in which it comes into being.
MISSING, ASIDE, OPEN, REFUSED, SCORED = range(5)
CHUNK = 5000


class CaseRow(NamedTuple):
    pk: int
    uid: UUID
    source: int
    task: str


@dataclass(frozen=True)
class Counts:
    """Samples of one editor. ``missing``: no image; ``aside``: an output check found no edit in it; ``open``: not
    scored yet; ``refused``: the judge gave no score, and is not asked again. What has no score is in no mean."""

    samples: int
    missing: int
    aside: int
    open: int
    refused: int
    scored: int


@dataclass(frozen=True)
class Read:
    """``candidate``: keys, 0 where there is none; ``state``: of MISSING … SCORED; ``values``: by measure, NaN without a
    score; all of shape (editors, cases, seeds). ``asking``: what is to be scored, candidates by version."""

    editors: list[Editor]
    cases: list[CaseRow]
    tasks: list[Task]
    versions: Mapping[str, PromptVersion]
    candidate: NDArray[np.int64]
    state: NDArray[np.int8]
    values: Mapping[str, Floats]
    asking: dict[int, list[int]]

    @property
    def task(self) -> Codes:
        """Of each case, the place of its task."""
        places = {row.pk: place for place, row in enumerate(self.tasks)}
        return np.array([places[case.task] for case in self.cases], dtype=np.int64)

    @property
    def source(self) -> Codes:
        return np.array([case.source for case in self.cases], dtype=np.int64)

    def means(self, measure: str) -> Floats:
        """(editors, cases)."""
        return case_means(self.values[measure])

    def counts(self, place: int) -> Counts:
        state = self.state[place]
        return Counts(state.size, *(int((state == one).sum()) for one in (MISSING, ASIDE, OPEN, REFUSED, SCORED)))

    def place_of(self, editor_id: int | None) -> int | None:
        return next((place for place, row in enumerate(self.editors) if row.pk == editor_id), None)


def cases_of(benchmark: EditorBenchmark) -> QuerySet[Case]:
    rows = Case.objects.filter(dataset=benchmark.dataset_id)
    if benchmark.split:
        rows = rows.filter(split=benchmark.split)
    if benchmark.style == Style.HP:
        rows = rows.filter(task__in=list(benchmark.asked["versions"]))
    return rows


def read(benchmark: EditorBenchmark) -> Read:
    """Six queries."""
    editors = list(benchmark.editors.order_by("slug"))
    rows = cases_of(benchmark).order_by("pk").values_list("pk", "uid", "source", "task")
    cases = [CaseRow(*row) for row in rows]
    tasks = list(Task.objects.filter(pk__in={case.task for case in cases}).order_by("position"))
    shape = (len(editors), len(cases), benchmark.seeds)
    candidate, state = np.zeros(shape, np.int64), np.zeros(shape, np.int8)
    for place, pk, aside in _candidates(benchmark, editors, cases):
        candidate[place], state[place] = pk, ASIDE if aside else OPEN
    versions = versions_of(benchmark)
    values = {name: np.full(shape, np.nan) for name in measures_of(benchmark)}
    found = Read(editors, cases, tasks, versions, candidate, state, values, {})
    if benchmark.style == Style.DREAM:
        return _alike(benchmark, found)
    return _judged(benchmark, found)


Place = tuple[int, int, int]


def _candidates(
    benchmark: EditorBenchmark, editors: list[Editor], cases: list[CaseRow]
) -> Iterator[tuple[Place, int, bool]]:
    """The images that count: made with the editor's settings of now, or, where no program makes them, the newest."""
    at = {editor.pk: place for place, editor in enumerate(editors)}
    hashes = {editor.pk: settings_hash(editor.settings) for editor in editors if editor.module}
    column = {case.pk: place for place, case in enumerate(cases)}
    rows = Candidate.objects.filter(case__in=cases_of(benchmark), editor__in=editors, seed__gte=0)
    rows = rows.filter(seed__lt=benchmark.seeds).order_by("pk")
    fields = ("pk", "case_id", "editor_id", "seed", "settings_hash", "fault", "fault_kept")
    for pk, case, editor, seed, made, fault, kept in rows.values_list(*fields).iterator(chunk_size=CHUNK):
        if case in column and hashes.get(editor, made) == made:
            yield (at[editor], column[case], int(seed)), pk, bool(fault) and not kept


def _judged(benchmark: EditorBenchmark, found: Read) -> Read:
    """Fill in the judge's scores; where several are asked of a sample, it is scored when all are there."""
    keys = {version.pk for version in found.versions.values()}
    rows = Score.objects.filter(judge=benchmark.judge_id, version__in=keys, candidate__editor__in=found.editors)
    rows = rows.filter(candidate__case__in=cases_of(benchmark)).order_by()
    told = {
        (candidate, version): (status, value)
        for candidate, version, status, value in rows.values_list("candidate", "version", "status", "value")
    }
    for row, column, seed in zip(*np.nonzero(found.state == OPEN), strict=True):
        place, candidate = (row, column, seed), int(found.candidate[row, column, seed])
        asked = _asked(benchmark, found.versions, found.cases[column].task)
        scores = {name: told.get((candidate, version.pk), ("", None)) for name, version in asked.items()}
        for name, (status, value) in scores.items():
            if status not in FINAL:
                found.asking.setdefault(asked[name].pk, []).append(candidate)
            elif value is not None:
                prompt = asked[name].prompt
                found.values[name][place] = (
                    value if name == SCORE else float(on_scale(np.array(value), prompt.low, prompt.high))
                )
        found.state[place] = _state(list(scores.values()))
    if JOINT in found.values:
        found.values[JOINT][...] = joint(found.values[CONSISTENCY], found.values[QUALITY])
    return found


def _asked(benchmark: EditorBenchmark, versions: Mapping[str, PromptVersion], task: str) -> Mapping[str, PromptVersion]:
    """The versions that score a sample of the task, by measure; none where one of them was deleted."""
    if benchmark.style == Style.HP:
        return {SCORE: versions[task]} if task in versions else {}
    return versions if len(versions) == len(benchmark.asked["versions"]) else {}


def _state(scores: list[tuple[str, float | None]]) -> int:
    if not scores or any(status not in FINAL for status, _value in scores):
        return OPEN
    return REFUSED if any(value is None for _status, value in scores) else SCORED


def _alike(benchmark: EditorBenchmark, found: Read) -> Read:
    """Fill in the cosines of DreamBench++."""
    names = {name: benchmark.asked["dino" if name.startswith("dino") else "clip"] for name in found.values}
    rows = Likeness.objects.filter(candidate__editor__in=found.editors, candidate__case__in=cases_of(benchmark))
    rows = rows.filter(model__in=set(names.values())).order_by()
    told = {
        (candidate, measure): value
        for candidate, measure, model, value in rows.values_list("candidate", "measure", "model", "value")
        if names[measure] == model
    }
    for place in zip(*np.nonzero(found.state == OPEN), strict=True):
        candidate = int(found.candidate[place])
        for name, values in found.values.items():
            values[place] = told.get((candidate, name), np.nan)
        if all((candidate, name) in told for name in names):
            found.state[place] = SCORED
        else:
            found.asking.setdefault(0, []).append(candidate)
    return found


# People --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Human:
    """People's mean of each sample on the benchmark's scale, NaN where nobody judged it; shape as in Read."""

    values: Floats
    judged: Flags
    simulated: bool


def human_of(benchmark: EditorBenchmark, found: Read, low: float, high: float) -> Human:
    """Overall scores of the same images in any study, each drawn from its study's scale. Two queries.

    Every person's score of an image counts alike; the image's figure is their mean.
    """
    rows = Mark.objects.filter(dimension=OVERALL, score__isnull=False).counted()
    rows = rows.filter(candidate__editor__in=found.editors)
    rows = rows.filter(candidate__case__in=cases_of(benchmark)).order_by()
    marks = list(rows.values_list("candidate", "judgement__study", "score"))
    studies = Study.objects.in_bulk({study for _candidate, study, _score in marks}) if marks else {}
    scales = {pk: study.protocol.dimension(OVERALL) for pk, study in studies.items()}
    said: dict[int, list[float]] = {}
    for candidate, study, score in marks:
        scale = scales[study]
        assert score is not None  # by the filter
        said.setdefault(candidate, []).append(low + (score - scale.low) * (high - low) / (scale.high - scale.low))
    values = np.full(found.state.shape, np.nan)
    for place in zip(*np.nonzero(found.candidate), strict=True):
        if mine := said.get(int(found.candidate[place])):
            values[place] = float(np.mean(mine))
    return Human(values, np.isfinite(values), any(study.is_simulated for study in studies.values()))
