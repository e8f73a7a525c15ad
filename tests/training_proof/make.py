"""Proofs for tests: rows with images that are there, and annotators who like the trained editor or not."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from annotation.library import ensure_editor
from annotation.models import Assignment, Candidate, Dataset, Editor, Study
from tests import judging
from tests.judging import judge, rated, shown
from training.models import Proof, TrainedEditor
from training.proof.starting import Wish, start_proof
from webapp.accounts.models import User
from webapp.jobs.models import Job


def two() -> tuple[Editor, Editor]:
    """The editors of ``judging.dataset``: base and trained."""
    return ensure_editor(slug="editor-0", name="Editor 0"), ensure_editor(slug="editor-1", name="Editor 1")


def people(count: int) -> list[User]:
    start = User.objects.count()
    return [User.objects.create(username=f"judge-{start + n}", role="annotator") for n in range(count)]


def wish(data: Dataset, **more: Any) -> Wish:
    return Wish(**{"dataset": data, "cases": data.cases.count(), "raters": 1, "later": True, **more})


def proof(data: Dataset | None = None, by: Any = None, **more: Any) -> Proof:
    """An open proof; where none is given, of a new data set."""
    data = data or judging.dataset(cases=4, editors=2)
    base, trained = two()
    return start_proof(base=base, trained=trained, wish=wish(data, **more), by=by, seed=1)


def card(of: Dataset, learned: Sequence[str] = (), looked: Sequence[str] = (), **fields: Any) -> TrainedEditor:
    """The trained editor's card, of a run that learned from the sources of these cases and was looked at with those."""
    base, trained = two()
    job = Job.objects.create(kind="posttrain", queue="gpu", title="Run", state="succeeded", config={})
    sources = dict(of.cases.values_list("key", "source__sha256"))
    rows = [{"key": key, "source": f"images/{sources[key]}.png", "split": "train"} for key in learned]
    rows += [{"key": key, "source": f"images/{sources[key]}.png", "split": "look"} for key in looked]
    (job.folder / "inputs").mkdir(parents=True)
    (job.folder / "inputs" / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return TrainedEditor.objects.create(editor=trained, base=base, job=job, config={}, **fields)


def sides(assignment: Assignment) -> dict[str, str]:
    """Letter by editor: "base" or "trained"."""
    slugs = dict(Candidate.objects.filter(pk__in=assignment.order).values_list("pk", "editor__slug"))
    return {"trained" if slugs[key] == "editor-1" else "base": letter for letter, key in shown(assignment).items()}


def choice(letter: str, remark: str = "", flag: str | None = None) -> dict[str, Any]:
    return {"choice": letter, "flag": flag, "remark": remark}


def for_trained(assignment: Assignment) -> dict[str, Any]:
    return choice(sides(assignment)["trained"])


def by_case(choices: dict[str, str]) -> Callable[[Assignment], dict[str, Any]]:
    """Answers "trained", "base", "tie" or "both_bad" by the key of the case."""

    def answer(assignment: Assignment) -> dict[str, Any]:
        wanted = choices[assignment.unit.item.case.key]
        return choice(sides(assignment).get(wanted, wanted))

    return answer


def scored(base: int, trained: int) -> Callable[[Assignment], dict[str, Any]]:
    return lambda assignment: rated({"overall": trained if "trained" in sides(assignment) else base})


def let(study: Study | None, user: User, answer: Callable[[Assignment], dict[str, Any]], limit: int = 10_000) -> int:
    assert study is not None
    if not study.members.filter(user=user).exists():
        from annotation.studies import add_member

        add_member(study=study, user=user)
    return judge(study, user, answer, limit)


def row(data: Dataset, by: User) -> Proof:
    """A proof of any two editors, for the tests of access."""
    base, trained = Editor.objects.order_by("pk")[:2]
    return Proof.objects.create(base=base, trained=trained, dataset=data, settings={"cases": []}, created_by=by)
