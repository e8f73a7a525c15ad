"""Labelled sets and benchmarks for tests: rows made directly, manifests written with the product's own writer."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from annotation.models import Candidate, Dataset
from scoring.models import Judge, Prompt, PromptVersion, Score
from tests import judging
from training.models import Benchmark, LabelledSet
from training.models.rewards import SetState
from training.rewards.groups import Dimension, Entry, Group, Header, Labels, write_set

OVERALL = Dimension("overall", "Overall", 0, 10)


def groups_of(data: Dataset, split: str = "test", step: float = 1.0) -> list[Group]:
    """A group a case; people's scores are the candidates' numbers in their case."""
    found = []
    for case in data.cases.select_related("source").order_by("pk"):
        candidates = list(case.candidates.select_related("editor", "image").order_by("pk"))
        entries = tuple(Entry(str(one.uid), one.image.sha256, one.editor.slug) for one in candidates)
        mos = tuple(step * place for place in range(len(candidates)))
        sha = case.source.sha256
        labels = {"overall": Labels(mos=mos)}
        raters = {
            "overall": tuple((f"r{r}", place, mos[place] + 0.1 * r) for r in range(3) for place in range(len(mos)))
        }
        found.append(
            Group(str(case.uid), sha, sha, case.instruction, str(case.task_id), split, entries, labels, raters)
        )
    return found


def labelled_set(
    data: Dataset, groups: Sequence[Group], folder: Path, slug: str = "held-out", **more: Any
) -> LabelledSet:
    path = folder / f"{slug}.jsonl.gz"
    write_set(path, Header(slug, (OVERALL,), "a" * 64), groups)
    name = default_storage.save(f"labelled-sets/{slug}/set.jsonl.gz", ContentFile(path.read_bytes()))
    values = {
        "origin": {"kind": "studies"},
        "facts": {"splits": {"train": 0, "dev": 0, "test": len(groups)}, "tasks": {"add": {}}},
        "notice": "Demo data.",
        **more,
    }
    return LabelledSet.objects.create(
        slug=slug, name=slug.title(), state=SetState.READY, dataset=data, dimensions=[asdict(OVERALL)], manifest=name,
        content_hash="a" * 64, groups=len(groups), candidates=sum(len(group.candidates) for group in groups), **values,
    )  # fmt: skip


def dataset(cases: int = 4, editors: int = 3) -> Dataset:
    return judging.dataset(cases=cases, editors=editors)


def judge(slug: str = "judge", notice: str = "A demo judge.") -> Judge:
    return Judge.objects.create(slug=slug, name=slug.title(), kind="drawn", notice=notice)


def version() -> PromptVersion:
    """The newest version of a prompt that is for every task, made once."""
    prompt, _made = Prompt.objects.get_or_create(slug="every-task", defaults={"name": "Every task"})
    found = PromptVersion.objects.filter(prompt=prompt).first()
    return found or PromptVersion.objects.create(prompt=prompt, number=1, preamble="Look.", rubric="0 to 5.")


def score(by: Judge, ver: PromptVersion, candidates: Sequence[Candidate], values: Sequence[float]) -> None:
    Score.objects.bulk_create(
        Score(candidate=one, version=ver, judge=by, status="parsed", value=value, read=1, keys=["k"])
        for one, value in zip(candidates, values, strict=True)
    )


def candidates_of(data: Dataset) -> list[Candidate]:
    return list(Candidate.objects.filter(case__dataset=data).order_by("case", "pk"))


def benchmark(made: LabelledSet, **protocol: Any) -> Benchmark:
    return Benchmark.objects.create(
        labelled_set=made, protocol={"tuples": "subsets", "splits": [], "resamples": 50, **protocol}
    )
