"""What a run is started with: its cases, its examples, the job's folder; a clone; what has changed meanwhile."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse

from annotation.library import ensure_editor, settings_hash
from annotation.models import Candidate, Case, Dataset, Editor, StoredImage, Task
from scoring.asking.queries import choices_of
from scoring.models import Judge, Score
from tests import reward_models
from tests.training_runs import rows
from training.editors import delete_editor
from training.memory import GB
from training.models import LabelledSet
from training.posttraining.config import GIVEN, SFT, preset
from training.rewards.groups import Dimension, Entry, Group, Header, Labels, write_set
from training.runs import starting
from training.runs.data import Wanted, choose, line
from training.runs.estimate import estimate
from training.runs.job import KIND
from webapp.accounts.models import User
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobError
from webapp.jobs.machine import Gpu, Machine
from webapp.jobs.models import Job


@pytest.fixture
def data(db: None) -> Dataset:
    rows.demo_judge()
    return rows.dataset()


@pytest.fixture
def cpu(db: None) -> Editor:
    return rows.base()


def files(made: Dataset) -> None:
    """Something behind the pictures."""
    for image in StoredImage.objects.all():
        default_storage.save(image.original, ContentFile(image.sha256.encode()))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(row) for row in path.read_text().splitlines()]


def prepared(job: Job) -> Path:
    for name in ("inputs", "outputs"):
        (job.folder / name).mkdir(parents=True, exist_ok=True)
    KIND.prepare(job)
    return job.folder / "inputs"


# Cases ---------------------------------------------------------------------------------------------------------------


def test_cases_are_written_with_their_pictures(data: Dataset, cpu: Editor) -> None:
    files(data)
    case = data.cases.filter(split="train").first()
    assert case
    Case.objects.filter(pk=case.pk).update(mask=rows.picture("mask"), description="A circle. \u2028")
    default_storage.save("mask.png", ContentFile(b"mask"))
    job = starting.start_run(wish=rows.wish(data, cpu), by=None)
    inputs = prepared(job)
    found = lines(inputs / "cases.jsonl")
    assert [row["split"] for row in found] == ["train"] * 6 + ["look"] * 3
    assert [row["id"] for row in found] == list(range(9)) and len({row["key"] for row in found}) == 9
    first = next(row for row in found if row["key"] == case.key)
    assert first["instruction"] == case.instruction and first["params"] == {"scene": {}, "edit": {}}
    assert first["description"] == "A circle. \u2028"
    assert (inputs / first["source"]).read_bytes() == case.source.sha256.encode()
    assert (inputs / first["mask"]).read_bytes() == b"mask"
    assert not (inputs / "examples.jsonl").read_text()


def test_preparing_again_changes_nothing(data: Dataset, cpu: Editor) -> None:
    files(data)
    job = starting.start_run(wish=rows.wish(data, cpu), by=None)
    before = (prepared(job) / "cases.jsonl").read_bytes()
    Case.objects.update(instruction="another")  # after it began, the run keeps what it has
    assert (prepared(job) / "cases.jsonl").read_bytes() == before


def test_data_that_changed_while_the_job_waited_is_said(data: Dataset, cpu: Editor) -> None:
    files(data)
    job = starting.start_run(wish=rows.wish(data, cpu), by=None)
    Case.objects.filter(split="dev").update(instruction="another")
    with pytest.raises(JobError, match="The data has changed"):
        prepared(job)
    data.cases.all().delete()
    with pytest.raises(JobError, match="0 cases to learn from"):
        prepared(job)


def test_a_picture_that_is_gone_from_the_storage_is_said(data: Dataset, cpu: Editor) -> None:
    with pytest.raises(JobError, match="is gone from the storage"):
        prepared(starting.start_run(wish=rows.wish(data, cpu), by=None))


def test_the_same_choice_is_the_same_cases(data: Dataset) -> None:
    wanted = Wanted(dataset=str(data.uid), limit=3, look=2, seed=1)
    first, again = choose(wanted), choose(wanted)
    assert first.cases == again.cases and first.hash == again.hash
    assert (first.count("train"), first.count("look")) == (3, 2)
    others = [choose(replace(wanted, seed=seed)).hash for seed in range(2, 6)]
    assert len({first.hash, *others}) > 1


def test_the_hash_is_of_everything_that_is_learned_from(data: Dataset) -> None:
    wanted = Wanted(dataset=str(data.uid))
    before = choose(wanted)
    assert before.hash != "" and all(line(row).endswith("}\n") for row in before.cases)
    Case.objects.filter(split="dev").update(instruction="another")
    assert choose(wanted).hash != before.hash


def test_looks_leave_out_what_is_learned_from(data: Dataset) -> None:
    learned, looked = data.cases.filter(split="train").first(), data.cases.filter(split="dev").first()
    assert learned and looked
    Case.objects.filter(pk=looked.pk).update(source=learned.source)
    chosen = choose(Wanted(dataset=str(data.uid)))
    assert looked.key not in {row["key"] for row in chosen.cases} and chosen.count("look") == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dataset": "00000000-0000-0000-0000-000000000000"}, "The data set was deleted"),
        ({"split": "dev"}, "Learn from another part"),
        ({"split": "bench"}, "0 cases to learn from"),
        ({"tasks": ("lowlevel",)}, "0 cases to learn from"),
        ({"labelled_set": "00000000-0000-0000-0000-000000000000"}, "The training set was deleted"),
        ({"scored_by": "gone"}, "There is no judge “gone”"),
    ],
)
def test_a_choice_without_cases_is_refused(data: Dataset, change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        choose(replace(Wanted(dataset=str(data.uid)), **change))


# Given examples ------------------------------------------------------------------------------------------------------


def labelled(data: Dataset, labels: Labels, split: str = "train", tmp: Path | None = None) -> LabelledSet:
    """A set of two groups, on sources and candidates of their own."""
    made = reward_models.labelled_set(notice="Simulation.")
    groups = []
    for number in range(3):
        images = [rows.picture(f"set{number}-{place}") for place in range(4)]
        entries = tuple(Entry(f"c{place}", one.sha256) for place, one in enumerate(images[1:]))
        about = (f"g{number}", images[0].sha256, f"s{number}", "add a red circle", "add", split)
        groups.append(Group(*about, entries, {"quality": labels}))
    header = Header("Set", (Dimension("quality", "Quality", 1, 5),), "c" * 64)
    assert tmp
    write_set(tmp / "set.jsonl.gz", header, groups)
    default_storage.save(made.manifest, ContentFile((tmp / "set.jsonl.gz").read_bytes()))
    return made


def given(data: Dataset, made: LabelledSet, **fields: Any) -> Wanted:
    return Wanted(dataset=str(data.uid), labelled_set=str(made.uid), **fields)


def test_a_training_set_gives_ranks_and_scores(data: Dataset, tmp_path: Path) -> None:
    made = labelled(data, Labels(ranks=(1.0, 2.5, 2.5), mos=(5.0, 3.0, None)), tmp=tmp_path)
    chosen = choose(given(data, made))
    assert [(row["rank"], row["score"], row["name"]) for row in chosen.examples[:3]] == [
        (1.0, 1.0, "c0"), (2.5, 0.5, "c1"), (2.5, None, "c2")
    ]  # fmt: skip
    assert chosen.count("train") == 3 and chosen.count("look") == 3
    assert {row["case"] for row in chosen.examples} == {row["key"] for row in chosen.cases if row["split"] == "train"}
    assert choose(given(data, made, limit=2)).count("train") == 2


def test_pairs_alone_make_ranks_where_all_were_compared(data: Dataset, tmp_path: Path) -> None:
    made = labelled(data, Labels(pairs=((0, 1, 1), (0, 2, 1), (1, 2, 0))), tmp=tmp_path)
    chosen = choose(given(data, made))
    assert [row["rank"] for row in chosen.examples[:3]] == [1.0, 2.5, 2.5]


@pytest.mark.parametrize(
    ("labels", "fields", "words"),
    [
        (Labels(pairs=((0, 1, 1),)), {}, "cases to learn from"),  # of three candidates two were compared
        (Labels(), {}, "cases to learn from"),
        (Labels(ranks=(1.0, 2.0, 3.0)), {"dimension": "beauty"}, "no dimension “beauty”"),
        (Labels(ranks=(1.0, 2.0, 3.0)), {"tasks": ("remove",)}, "cases to learn from"),
    ],
)
def test_a_set_without_labels_is_refused(
    data: Dataset, tmp_path: Path, labels: Labels, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        choose(given(data, labelled(data, labels, tmp=tmp_path), **fields))


def test_a_set_that_is_being_made_or_has_lost_pictures_is_refused(data: Dataset, tmp_path: Path) -> None:
    made = labelled(data, Labels(ranks=(1.0, 2.0, 3.0)), tmp=tmp_path)
    StoredImage.objects.filter(original="set0-1.png").delete()
    with pytest.raises(ValidationError, match="1 pictures of the training set are not in the library"):
        choose(given(data, made))
    LabelledSet.objects.update(state="making")
    with pytest.raises(ValidationError, match="not ready yet"):
        choose(given(data, made))


def test_fine_tuning_needs_scores(data: Dataset, cpu: Editor, tmp_path: Path) -> None:
    made = labelled(data, Labels(ranks=(1.0, 2.0, 3.0)), tmp=tmp_path)
    config = replace(preset("sft-topk", "drawn"), objective=SFT, data=GIVEN)
    wish = rows.wish(data, cpu, config=config, data=given(data, made))
    assert starting.check(wish).problems == [
        "Fine-tuning on the best needs scores, and these edits have ranks alone. Choose the preset global-dpo."
    ]
    pairs = replace(wish, config=preset("global-dpo", "drawn"))
    job = starting.start_run(wish=pairs, by=None)
    assert (job.config["examples"], job.config["counts"]["examples"]) == ("examples.jsonl", 9)
    assert "Simulation." in job.config["notice"]


def test_scored_candidates_are_examples(data: Dataset, cpu: Editor) -> None:
    """Two candidates of each of two cases have scores; those that were set aside do not count."""
    judge = Judge.objects.get()
    usual = {one.task.pk: one.usual for one in choices_of(list(Task.objects.all()))}
    maker = ensure_editor(slug="maker", name="Maker")
    cases = list(data.cases.filter(split="train").order_by("key")[:3])
    for number, case in enumerate(cases):
        for seed in range(3 if number else 1):
            image = rows.picture(f"cand{number}-{seed}")
            aside = {"fault": "black"} if seed == 2 else {}
            about = {"image": image, "seed": seed, "settings_hash": settings_hash({})}
            candidate = Candidate.objects.create(case=case, editor=maker, **about, **aside)
            told = {"status": "parsed", "value": 1.0 + seed, "version": usual[case.task_id], "judge": judge}
            Score.objects.create(candidate=candidate, **told)
    wish = rows.wish(data, cpu, config=preset("global-dpo", "drawn"), data=Wanted(str(data.uid), scored_by="demo"))
    assert starting.check(wish).problems == []
    chosen = choose(wish.wanted)
    assert {row["key"] for row in chosen.cases if row["split"] == "train"} == {cases[1].key, cases[2].key}
    assert [(row["score"], row["rank"], row["name"]) for row in chosen.examples[:2]] == [
        (0.2, 2.0, "maker/0"), (0.4, 1.0, "maker/1")
    ]  # fmt: skip
    assert len(chosen.examples) == 4


# Memory --------------------------------------------------------------------------------------------------------------


def test_a_gpu_that_is_too_small_is_said_with_what_would_fit(data: Dataset, db: None) -> None:
    large = ensure_editor(slug="kontext", name="Kontext", module="flux_kontext")
    config, chosen = preset("fast", "flux_kontext"), choose(Wanted(str(data.uid)))

    def problem(*machines: Machine) -> str:
        return estimate(large, config, chosen, (1, 1), machines).problem

    small, big = (Machine("w", gpus=(Gpu("G", size * GB, 0),), gpus_known=True) for size in (24, 80))
    assert "largest GPU has 24.0 GB" in problem(small)
    assert problem(small, big) == "" and problem(Machine("w")) == "" and problem() == ""
    assert "needs a GPU" in problem(Machine("w", gpus_known=True))
    found = estimate(large, config, chosen, (1, 1), [])
    assert found.memory and found.memory > 24 and found.hours is None


def test_editors_that_cannot_be_trained_are_refused(data: Dataset) -> None:
    other = ensure_editor(slug="classic", name="Classic", module="classical")
    assert "cannot be post-trained" in starting.check(rows.wish(data, other)).problems[0]
    loaded = rows.base(lora={"file": "loras/x.safetensors"})
    assert "has a LoRA already" in starting.check(rows.wish(data, loaded)).problems[0]


def test_truth_is_for_the_drawn_world_alone(data: Dataset, cpu: Editor) -> None:
    Case.objects.update(params={})
    assert any("nobody knows the true score" in words for words in starting.check(rows.wish(data, cpu)).problems)


def test_truth_as_a_held_out_judge_is_called_so(data: Dataset, cpu: Editor) -> None:
    wish = rows.wish(data, cpu, rewards={rows.DEMO: 1.0}, held_out=(rows.TRUTH,))
    notice = starting.start_run(wish=wish, by=None).config["notice"]
    assert "Looked at with the true score" in notice and "Rewarded" not in notice and "Demo judge." in notice


# Clones --------------------------------------------------------------------------------------------------------------


def test_a_clone_is_checked_again_and_asks_its_own_questions(data: Dataset, cpu: Editor, alice: User) -> None:
    job = starting.start_run(wish=rows.wish(data, cpu), by=alice)
    Job.objects.filter(pk=job.pk).update(config={**job.config, "acknowledged": 40})
    job.refresh_from_db()
    made = jobs.clone(job=job, by=alice)
    assert (made.cloned_from, made.config["acknowledged"], made.config["name"]) == (job, 0, "Better")
    assert made.config["data_hash"] == job.config["data_hash"]
    ensure_editor(slug="better", name="Better")
    assert jobs.clone(job=job, by=alice).config["name"] == "Better 2"
    Case.objects.filter(split="dev").delete()
    with pytest.raises(ValidationError, match="no case in its development part"):
        jobs.clone(job=job, by=alice)


def test_only_admins_clone_a_run(data: Dataset, cpu: Editor, alice: User, bob: User) -> None:
    job = starting.start_run(wish=rows.wish(data, cpu), by=alice)
    client = Client()
    client.force_login(bob)
    page = client.post(reverse("job_clone", args=[job.uid]), follow=True).content.decode()
    assert "Only an admin may start such a job." in page and "Run again as a new job" not in page
    client.force_login(alice)
    assert client.post(reverse("job_clone", args=[job.uid])).status_code == 302
    assert Job.objects.count() == 2
    cpu.delete()
    assert "was deleted" in client.post(reverse("job_clone", args=[job.uid]), follow=True).content.decode()


def test_a_base_that_a_run_needs_is_not_deleted(data: Dataset, cpu: Editor) -> None:
    job = starting.start_run(wish=rows.wish(data, cpu), by=None)
    with pytest.raises(ValidationError, match="not done yet"):
        delete_editor(editor=cpu)
    Job.objects.filter(pk=job.pk).update(state="succeeded")
    delete_editor(editor=cpu)
