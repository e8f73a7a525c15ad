"""Benchmarks of editors for tests: rows made directly."""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from annotation.models import Candidate, Dataset, Editor
from scoring.models import Judge, Prompt, PromptVersion, Score
from tests import judging
from training.models import EditorBenchmark, Style

_number = count()


def version(slug: str = "overall-add", task: str | None = "add", **more: Any) -> PromptVersion:
    values = {"name": slug, "task_id": task, "dimension": "overall", "low": 0, "high": 5, **more}
    prompt, _made = Prompt.objects.get_or_create(slug=slug, defaults=values)
    return PromptVersion.objects.get_or_create(prompt=prompt, number=1, defaults={"preamble": "P", "rubric": "R"})[0]


def newest(one: PromptVersion) -> PromptVersion:
    return one.prompt.versions.order_by("-number")[0]


def gedit() -> dict[str, PromptVersion]:
    """The newest versions: the shipped ones may be there."""
    return {name: newest(version(f"gedit-{name}", None, dimension=name, low=0, high=9)) for name in ("sc", "pq")}


def judge(notice: str = "A demo judge.", kind: str = "drawn") -> Judge:
    slug = f"judge-{next(_number)}"
    return Judge.objects.create(slug=slug, name=slug.title(), kind=kind, notice=notice)


def dataset(cases: int = 4, editors: int = 2, **more: Any) -> Dataset:
    return judging.dataset(cases=cases, editors=editors, **more)


def editors_of(data: Dataset) -> list[Editor]:
    return list(Editor.objects.filter(candidates__case__dataset=data).distinct().order_by("slug"))


def benchmark(data: Dataset, style: str = Style.HP, **more: Any) -> EditorBenchmark:
    """Of all the editors of a data set's candidates; the first one is the base."""
    editors = editors_of(data)
    asked: dict[str, Any] = {"versions": {"add": str(version().uid)}, "active": [], "left_out": []}
    if style == Style.GEDIT:
        asked = {"versions": {name: str(one.uid) for name, one in gedit().items()}}
    if style == Style.DREAM:
        asked = {"dino": "/models/dino", "clip": "/models/clip"}
    number = next(_number)
    values = {
        "slug": f"bench-{number}",
        "name": f"Bench {number}",
        "base": editors[0],
        "asked": asked,
        **({} if style == Style.DREAM or "judge" in more else {"judge": judge()}),
        **more,
    }
    made = EditorBenchmark.objects.create(dataset=data, style=style, **values)
    made.editors.set(editors)
    return made


def candidates(data: Dataset, editor: Editor) -> list[Candidate]:
    return list(Candidate.objects.filter(case__dataset=data, editor=editor).order_by("case_id", "seed"))


def score(
    made: EditorBenchmark,
    editor: Editor,
    values: Sequence[float | None],
    by: PromptVersion | None = None,
    status: Mapping[bool, str] | None = None,
) -> None:
    """Scores of an editor's images in the order of the cases; None: the judge refused."""
    told = status or {True: "parsed", False: "refused"}
    Score.objects.bulk_create(
        Score(
            candidate=one,
            version=by or version(),
            judge=made.judge,
            status=told[value is not None],
            value=value,
            read=1,
            keys=["k"],
        )
        for one, value in zip(candidates(made.dataset, editor), values, strict=False)
    )
