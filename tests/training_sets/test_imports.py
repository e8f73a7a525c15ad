"""Others' files as a data set and a labelled set: all of it, or nothing; splits, tasks, followers, refusals."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from annotation.models import Candidate, Case, Dataset
from tests import judging
from tests.conftest import png
from tests.freezing import run_of
from tests.training_sets import make
from training.models import LabelledSet, SetState
from training.rewards.groups import Dimension, Labels
from training.rewards.layouts import Item, Made
from training.sets import imports, keeping, placing, queries, services
from training.sets.card import card
from webapp.jobs.folder import JobError
from webapp.jobs.models import Job

pytestmark = pytest.mark.django_db
HEAD = "source,instruction,a,b,verdict,task,editor_a,editor_b\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven sources, each with two edits, as pair files beneath the incoming folder."""
    made = tmp_path / "incoming" / "votes"
    made.mkdir(parents=True)
    rows = []
    for number in range(7):
        for place, name in enumerate("sab"):
            (made / f"{name}{number}.png").write_bytes(png(10 * number + place))
        rows.append(
            f"s{number}.png,Add {number},a{number}.png,b{number}.png,{'b' if number else 'tie'},add,Flux X,other\n"
        )
    (made / "pairs.csv").write_text(HEAD + "".join(rows))
    return made


def start(**changes: Any) -> LabelledSet:
    return imports.start_import(**{"layout": "pairs", "folder": "votes", "name": "Votes", "by": None, **changes})


def test_an_import_makes_cases_candidates_and_labels(folder: Path, bob: Any) -> None:
    made = make.done(start(by=bob, notice="CC BY-NC 4.0"))
    data = made.dataset
    assert data is not None and (data.name, data.notice, data.created_by) == ("Votes", "CC BY-NC 4.0", bob)
    assert (made.state, made.groups, made.candidates) == (SetState.READY, 7, 14)
    assert [one["key"] for one in made.dimensions] == ["overall"]
    splits = made.facts["splits"]
    assert sum(splits.values()) == 7 and min(splits.values()) > 0
    assert "Only identical files of a source image were tied" in card(made)
    assert made.facts["editors"] == {"flux-x": 7, "other": 7}
    header, groups = placing.open_set(made)
    assert header.notice == "CC BY-NC 4.0"
    for group in groups:
        case = Case.objects.get(uid=group.key)
        assert (case.source.sha256, case.instruction, case.split) == (group.source, group.instruction, group.split)
        ((i, j, outcome),) = group.labels["overall"].pairs
        editors = {place: Candidate.objects.get(uid=group.candidates[place].key).editor.slug for place in (i, j)}
        better = editors[i] if outcome > 0 else editors[j] if outcome else ""
        assert better == ("" if case.instruction == "Add 0" else "other")
    job = made.job
    assert job is not None and not (job.folder / "staged").exists() and not (job.folder / "labels.jsonl").exists()
    assert (folder / "a1.png").read_bytes() == png(11)


def test_the_same_files_give_the_same_hash(folder: Path) -> None:
    first, other = make.done(start()), make.done(start(name="Again"))
    assert first.content_hash == other.content_hash and first.pk != other.pk  # of two data sets


def test_splits_of_the_files_are_kept_and_the_stricter_one_wins(folder: Path) -> None:
    (folder / "s1.png").write_bytes((folder / "s2.png").read_bytes())  # one picture under two names
    splits = ["train", "train", "test", "dev", "train", "train", "train"]
    rows = [f"s{n}.png,Do {n},a{n}.png,b{n}.png,a,{split}\n" for n, split in enumerate(splits)]
    (folder / "pairs.csv").write_text("source,instruction,a,b,verdict,split\n" + "".join(rows))
    made = make.done(start(task="add"))
    assert made.facts["splits"] == {"train": 4, "dev": 1, "test": 2}
    assert made.facts["left_out"] == {"moved": 1} and made.facts["tasks_unknown"] == {"": 7}
    assert Case.objects.get(key="s1").split == "test"


# All or nothing ------------------------------------------------------------------------------------------------------


def refused(made: LabelledSet, words: str) -> None:
    with pytest.raises(JobError, match=words):
        make.done(made)
    made.refresh_from_db()
    assert made.state == SetState.FAILED
    assert not Dataset.objects.exists() and not Candidate.objects.exists()
    assert made.job is not None and not (made.job.folder / "staged").exists()


def test_a_broken_picture_is_named_and_nothing_is_imported(folder: Path) -> None:
    (folder / "b3.png").write_bytes(b"no picture")
    refused(start(), r"b3\.png")


def test_a_verdict_that_is_none_is_named_with_its_line(folder: Path) -> None:
    (folder / "pairs.csv").write_text((folder / "pairs.csv").read_text().replace(",tie,", ",perhaps,"))
    refused(start(), "Nothing was imported. pairs.csv, line 2: verdict must be")


def test_an_unknown_task_without_a_choice_is_refused(folder: Path) -> None:
    (folder / "pairs.csv").write_text((folder / "pairs.csv").read_text().replace(",add,", ",polish,"))
    refused(start(), "“s0” names no task that is known here. Choose a task")


def test_a_set_that_fails_at_the_end_takes_its_data_set_along(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: Any) -> None:
        raise JobError("no space")

    monkeypatch.setattr(keeping, "keep", fail)
    refused(start(), "no space")


def test_an_attempt_after_a_crash_goes_on_with_its_own_data_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker died between the import and the set: nothing of it could be put away."""
    made, kept = start(), []

    def stay(self: Dataset) -> None:
        kept.append(self)

    monkeypatch.setattr(Dataset, "delete", stay)
    with monkeypatch.context() as dying:
        dying.setattr(keeping, "keep", lambda *_arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            make.done(made)
    assert made.job is not None
    run_of_again(made)
    made = make.done(made)
    assert made.state == SetState.READY and Dataset.objects.get() == made.dataset == kept[0]


@pytest.fixture
def killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> LabelledSet:
    """An import whose worker was killed after its data set was made; the job's lease ran out."""
    made = start()
    assert made.job is not None
    with monkeypatch.context() as dying:
        dying.setattr(imports, "_fill", lambda *_arguments: 1 / 0)
        dying.setattr(Dataset, "delete", lambda _self: None)
        dying.setattr(keeping, "fail", lambda _found: None)
        with pytest.raises(ZeroDivisionError):
            make.done(made)
    Job.objects.filter(pk=made.job.pk).update(state="failed", message="The worker is gone.")
    return LabelledSet.objects.select_related("job").get()


def test_a_killed_import_is_shown_as_failed_and_deleted_with_its_data_set(killed: LabelledSet, bob: Any) -> None:
    browser = Client()
    browser.force_login(bob)
    assert killed.state == SetState.MAKING and Dataset.objects.exists()
    page = browser.get(killed.get_absolute_url()).content.decode()
    assert "The job did not end well" in page and "The worker is gone." in page
    assert str(SetState.FAILED.label) in browser.get(reverse("labelled_sets")).content.decode()
    services.delete(labelled_set=killed)
    assert not Dataset.objects.exists() and not LabelledSet.objects.exists() and not Case.objects.exists()


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_set_whose_job_goes_on_is_being_made(killed: LabelledSet, state: str) -> None:
    Job.objects.update(state=state)
    assert queries.shown(queries.sets().get()).state == SetState.MAKING
    with pytest.raises(ValidationError, match="Cancel the job first"):
        services.delete(labelled_set=queries.sets().get())


def test_a_data_set_that_has_a_study_stays(killed: LabelledSet) -> None:
    judging.study(Dataset.objects.get())
    with pytest.raises(ValidationError, match="There is a study of the data set “Votes”"):
        services.delete(labelled_set=killed)
    assert Dataset.objects.exists() and LabelledSet.objects.exists()


def test_a_data_set_of_a_ready_set_stays(folder: Path) -> None:
    services.delete(labelled_set=make.done(start()))
    assert Dataset.objects.get().cases.count() == 7


def test_outputs_are_checked_once_also_after_a_crash(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = start()
    with monkeypatch.context() as dying:
        dying.setattr(imports, "start_checks", lambda **_more: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            make.done(made)
    for _attempt in range(2):
        run_of_again(made)
        assert make.done(made).state == SetState.READY
        assert Job.objects.filter(kind="check").count() == 1


def test_two_clicks_make_one_import(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start()
    monkeypatch.setattr(services, "slug_of", lambda name: "votes")
    monkeypatch.setattr(LabelledSet, "full_clean", lambda *_arguments, **_more: None)  # neither saw the other
    with pytest.raises(ValidationError, match="of this name already"):
        start()
    assert LabelledSet.objects.count() == Job.objects.count() == 1


def run_of_again(made: LabelledSet) -> None:
    """The lock of the attempt that died is free again."""
    assert made.job is not None
    shutil.rmtree(made.job.folder)
    run_of(made.job)._owner.close()


# Followers and other layouts -----------------------------------------------------------------------------------------


class Layout:
    NAME, LABEL, ABOUT = "mine", "Mine", "About"
    DIMENSIONS = (Dimension("overall", "Overall", 0, 5),)

    def __init__(self, **changes: Any) -> None:
        self.changes = changes

    def read(self, _folder: Path) -> Any:
        edits = (Made("Ed X!", png(2), 3), Made("Ed X!", png(3), 3), Made("", png(4)))
        values: dict[str, Any] = {
            "key": "k/1", "source": png(1), "instruction": "Do", "task": "add", "candidates": edits, "split": "test",
            "labels": {"overall": Labels(mos=(5, 3, 1))},
            "raters": {"overall": (("r1", 0, 5.0), ("r2", 2, 1.0))}, **self.changes,
        }  # fmt: skip
        yield Item(**values)


@pytest.fixture
def mine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def use(**changes: Any) -> LabelledSet:
        monkeypatch.setattr(imports, "layout", lambda _name: Layout(**changes))
        return start(layout="mine", then={"name": "bench", "protocol": 7})

    return use


def test_a_follower_is_told_in_the_transaction(mine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setitem(imports._followers, "bench", lambda found, then: told.append((found.pk, found.state, then)))
    made = make.done(mine())
    assert told == [(made.pk, SetState.READY, {"name": "bench", "protocol": 7})]
    assert made.facts["splits"]["test"] == 1
    (group,) = placing.open_set(made)[1]
    by_mos = dict(zip((entry.editor for entry in group.candidates), group.labels["overall"].mos, strict=True))
    assert by_mos["unknown"] == 1
    names = [(one.editor.slug, one.seed) for one in Candidate.objects.order_by("seed", "pk")]
    assert names == [("unknown", 0), ("ed-x", 3), ("ed-x", 4)]
    raters = list(keeping.rows_of(made, "raters.jsonl"))
    scores = {row["rater"]: group.labels["overall"].mos[row["candidate"]] for row in raters}
    assert scores == {"r1": 5, "r2": 1} and {row["group"] for row in raters} == {group.key}


def test_a_follower_that_fails_takes_everything_along(mine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: Any) -> None:
        raise JobError("no benchmark")

    monkeypatch.setitem(imports._followers, "bench", fail)
    refused(mine(), "no benchmark")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": {"overall": Labels(mos=(1, 2))}}, "labels of “k/1” do not fit"),
        ({"labels": {"overall": Labels(pairs=((0, 3, 1),))}}, "labels of “k/1” do not fit"),
        ({"raters": {"overall": (("r", 3, 1.0),)}}, "scores of “k/1” do not fit"),
        ({"labels": {}}, "Nothing to learn from"),
        ({"source": b"no picture"}, "k1-.*source"),
        ({"instruction": ""}, "cases.jsonl, line 1, instruction"),
    ],
)
def test_a_layout_is_not_trusted(mine: Any, changes: dict[str, Any], words: str) -> None:
    refused(mine(**changes), words)


# Before it starts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"folder": "../.."}, "Name a folder beneath the incoming folder"),
        ({"folder": "."}, "Name a folder beneath the incoming folder"),
        ({"folder": "a\0b"}, "no name of a folder"),
        ({"folder": "nowhere"}, "There is no folder “nowhere”"),
        ({"layout": "os"}, "There is no layout 'os'"),
        ({"task": "polish"}, "There is no task “polish”"),
        ({"name": "…"}, "at least one letter"),
    ],
)
def test_refusals_before_a_job_starts(folder: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        start(**changes)
    assert not LabelledSet.objects.exists()


def test_a_name_that_a_data_set_has_is_refused(folder: Path) -> None:
    Dataset.objects.create(slug="votes", name="Votes")
    with pytest.raises(ValidationError, match="There is a data set of this name already"):
        start()


def test_a_folder_behind_a_link_is_outside(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (folder.parent / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValidationError, match="beneath the incoming folder"):
        start(folder="link")


def test_the_form_starts_an_import(folder: Path, bob: Any) -> None:
    browser = Client()
    browser.force_login(bob)
    url = reverse("import_labelled_set")
    assert "scores/ and rank/" in browser.get(url).content.decode()
    values = {"layout": "pairs", "folder": "votes", "name": "Votes", "task": "add", "notice": "N"}
    response = browser.post(url, {**values, "folder": "gone"})
    assert "There is no folder “gone”" in response.content.decode()
    response = browser.post(url, values)
    made = LabelledSet.objects.get()
    assert response.headers["Location"] == made.get_absolute_url()
    assert "A job makes this set" in browser.get(made.get_absolute_url()).content.decode()
    assert json.dumps(made.origin["task"]) == '"add"' and make.done(made).notice == "N"
    assert "imported, layout Pairs" in browser.get(made.get_absolute_url()).content.decode()
