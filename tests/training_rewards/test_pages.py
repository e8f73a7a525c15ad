"""Pages of reward models: the list, the form with its estimate, a training live, a version and what is done with it."""

import io
import json
import re
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from scoring.models import Judge
from tests import judging
from tests import reward_models as rows
from tests.web import text_of
from training.models import LabelledSet, RewardModel, SetState
from training.reward_models import forms, starting
from training.reward_models.progress import progress_of
from training.rewards.config import PRESETS, Config
from webapp.accounts.models import User
from webapp.jobs.models import Job


@pytest.fixture
def labelled(db: None) -> LabelledSet:
    return rows.labelled_set(notice="Demo data.")


@pytest.fixture
def browser(bob: User) -> Client:
    client = Client()
    client.force_login(bob)
    return client


def train(client: Client, method: str = "post", **values: Any) -> Any:
    given = {"set": "set", "name": "Mine", "preset": "editloop", "backbone": "drawn", **values}
    return getattr(client, method)(reverse("new_reward_model"), given)


# Training ------------------------------------------------------------------------------------------------------------


def test_a_training_is_started(browser: Client, bob: User, labelled: LabelledSet) -> None:
    answer = train(browser, steps="120", fused="yes", anchor="1", note="Try.", stages="point 0.4\npair 0.6 gaps")
    job = Job.objects.get()
    assert answer["Location"] == job.get_absolute_url()
    assert (job.kind, job.queue, job.created_by, job.title) == ("reward-train", "gpu", bob, "Train Mine on Set")
    assert {name: job.config[name] for name in ("set", "init", "name", "note", "labelled_set")} == {
        "set": "set.jsonl",
        "init": "",
        "name": "Mine",
        "note": "Try.",
        "labelled_set": str(labelled.uid),
    }
    config = Config.from_json(job.config["config"])
    assert (config.steps, config.fused, config.anchor, config.backbone) == (120, True, 1.0, "drawn")
    assert [(one.objective, one.share, one.large_gaps_first) for one in config.stages] == [
        ("point", 0.4, False), ("pair", 0.6, True)
    ]  # fmt: skip


@pytest.mark.parametrize("preset", PRESETS)
def test_what_is_left_empty_has_the_presets_value(browser: Client, labelled: LabelledSet, preset: str) -> None:
    train(browser, preset=preset)
    assert Config.from_json(Job.objects.get().config["config"]) == PRESETS[preset]


@pytest.mark.parametrize("preset", PRESETS)
def test_the_form_shows_the_presets_values(browser: Client, labelled: LabelledSet, preset: str) -> None:
    """Without a script they are those of the preset that was sent; with one, of every preset at once."""
    page = text_of(train(browser, "get", preset=preset))
    shown = forms.shown_values(PRESETS[preset])
    assert f'placeholder="{shown["anchor"]}"' in page and f"as the preset: {shown['ranking']}" in page
    found = re.search(r'<script id="presets"[^>]*>(.*?)</script>', page)
    assert found and json.loads(found[1]) == forms.preset_values()


def test_the_estimate_says_what_it_takes(browser: Client, labelled: LabelledSet) -> None:
    page = text_of(train(browser, "get", steps="100", batch="10", eval_every="30"))
    assert 'Passes over them</dt><dd class="num">20.0' in page
    assert 'Pictures seen, at most</dt><dd class="num">5,200' in page  # (100·10 + 4 looks × 10) × (1 + 4)
    assert 'Looks at the dev part</dt><dd class="num">4 × 10' in page
    assert "Nothing speaks against it." in page
    assert Job.objects.count() == 0


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"set": "other"}, "Select a valid choice"),
        ({"name": "…"}, "at least one Latin letter"),
        ({"name": "New"}, "Use another name"),
        ({"preset": "mine"}, "Select a valid choice"),
        ({"steps": "0"}, "This must be a whole number"),
        ({"anchor": "-1"}, "This must be a number"),
        ({"learning_rate": "x"}, "Enter a number"),
        ({"stages": "dance 1"}, "“dance 1” is no stage"),
        ({"stages": "pair 0.4"}, "must add up to 1"),
        ({"cache_features": "yes", "train_vision": "yes"}, "untick one of the two"),
        ({"backbone": "transformers"}, "Name the vision-language model"),
        ({"device": "tpu"}, "cuda:N"),
    ],
)
def test_a_wrong_form_starts_nothing(
    browser: Client, labelled: LabelledSet, values: dict[str, str], words: str
) -> None:
    assert words in text_of(train(browser, **values))
    assert Job.objects.count() == 0


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"facts": {"splits": {"train": 1, "dev": 3, "test": 3}}}, "too few groups in its train part"),
        ({"facts": {"splits": {"train": 9, "dev": 0, "test": 3}}}, "no groups in its dev part"),
        ({"facts": {}}, "too few groups"),
        ({"dimensions": []}, "has no dimension"),
    ],
)
def test_a_set_that_nothing_can_be_learned_from_is_refused(
    browser: Client, db: None, fields: dict[str, Any], words: str
) -> None:
    rows.labelled_set(**fields)
    assert words in text_of(train(browser))
    assert words in text_of(train(browser, "get"))
    assert Job.objects.count() == 0


def test_a_set_that_is_being_made_is_no_choice(browser: Client, labelled: LabelledSet) -> None:
    LabelledSet.objects.update(state=SetState.MAKING)
    assert "Select a valid choice" in text_of(train(browser))
    assert starting.problems_of(LabelledSet.objects.get(), Config()) == [
        "The training set is not ready yet. Wait until its job is done."
    ]


def test_without_a_set_the_page_says_where_one_comes_from(browser: Client) -> None:
    page = text_of(browser.get(reverse("new_reward_model")))
    assert "There is no training set yet." in page and reverse("labelled_sets") in page


def kept_set(labelled: LabelledSet, pictures: list[str], tmp_path: Path) -> None:
    """A manifest of one group with these pictures, in the storage."""
    from django.core.files.base import ContentFile
    from django.core.files.storage import default_storage

    from training.rewards.groups import Dimension, Entry, Group, Header, write_set

    entries = tuple(Entry(str(place), one) for place, one in enumerate(pictures[1:]))
    group = Group("g", pictures[0], "s", "Do it.", "add", "train", entries, {})
    header = Header("Set", tuple(Dimension(**one) for one in rows.DIMENSIONS), "c" * 64)
    write_set(tmp_path / "set.jsonl.gz", header, [group])
    default_storage.save(labelled.manifest, ContentFile((tmp_path / "set.jsonl.gz").read_bytes()))


def test_the_network_suits_the_pictures(labelled: LabelledSet, tmp_path: Path) -> None:
    from annotation.models import StoredImage

    data = judging.dataset(cases=1, editors=2)
    case = data.cases.get()
    names = [case.source.sha256, *(one.image.sha256 for one in case.candidates.all())]
    kept_set(labelled, names, tmp_path)
    assert starting.usual_backbone(labelled) == "transformers"  # 64 × 48 pixels
    assert starting.missing_pictures(labelled) == 0
    StoredImage.objects.update(width=64, height=64)
    assert starting.usual_backbone(labelled) == "drawn"


def test_pictures_that_are_gone_are_said_before_a_worker_is_kept_busy(
    browser: Client, labelled: LabelledSet, tmp_path: Path
) -> None:
    kept_set(labelled, ["a" * 64, "b" * 64, "c" * 64], tmp_path)
    assert "3 of the first pictures" in text_of(train(browser))
    assert Job.objects.count() == 0


def test_a_model_that_no_worker_can_hold_is_refused(
    labelled: LabelledSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.reward_models import estimate
    from training.reward_models.estimate import Estimate
    from webapp.jobs.machine import Gpu, Machine

    config = Config(backbone="transformers", model=str(tmp_path), dtype="bfloat16", batch=2, device="cuda")
    assert estimate.needed_by(config, 4) is None  # nothing is there: the job says so
    needed = estimate.needs.Needs("vlm", "bfloat16", {"weights": 6 * 10**9, "work": 4 * 10**9})
    monkeypatch.setattr(estimate, "needed_by", lambda *_given: needed)
    small, large = (Machine("w", gpus=(Gpu("G", size * 10**9, 0),), gpus_known=True) for size in (8, 80))
    found: Estimate = estimate.estimate(labelled, config, [small])
    assert "needs about 10.0 GB" in found.problem and found.total == 10
    assert estimate.estimate(labelled, config, [small, large]).problem == ""
    assert "has none" in estimate.estimate(labelled, config, [Machine("w", gpus_known=True)]).problem
    monkeypatch.setattr(estimate, "workers", lambda: [small])
    assert "needs about" in starting.problems_of(labelled, config)[0]


def test_the_memory_of_a_training_is_more_than_that_of_a_judge(tmp_path: Path) -> None:
    from training.gpu.vlm import needs, weights
    from training.gpu.vlm.settings import Settings
    from training.reward_models.estimate import needed_by

    folder = vlm_folder(tmp_path)
    lora = Config(backbone="transformers", model=str(folder), batch=1, max_side=448)
    whole = Config(backbone="transformers", model=str(folder), batch=1, max_side=448, lora_rank=0)
    judge = needs.needs(weights.find(Settings(str(folder))), Settings(str(folder), dtype="float32"))
    some, every = needed_by(lora, 7), needed_by(whole, 7)
    assert some and every
    assert some.parts["weights"] == every.parts["weights"] == judge.parts["weights"]
    assert every.parts["training"] == 3 * every.parts["weights"]  # gradient and two moments, float32
    assert 0 < some.parts["training"] < every.parts["training"] / 10
    twice, saved = (needed_by(Config(**{**lora.to_json(), "stages": lora.stages, **more}), 7) for more in (
        {"batch": 2}, {"checkpointing": True}
    ))  # fmt: skip
    assert twice and saved and twice.parts["work"] == pytest.approx(2 * some.parts["work"], rel=1e-3)
    assert saved.parts["work"] < some.parts["work"] / 3


def vlm_folder(folder: Path) -> Path:
    """A vision-language model's folder: a configuration, and a safetensors file whose header alone is read."""
    text = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4}
    config = {
        "model_type": "qwen2_5_vl",
        "text_config": {**text, "vocab_size": 100},
        "vision_config": {"patch_size": 14},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "preprocessor_config.json").write_text("{}")
    shape, size = [100, 100], 40_000
    head = json.dumps({"w": {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}}).encode()
    (folder / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + b"\0" * size)
    return folder


# The page of a training ----------------------------------------------------------------------------------------------


@pytest.fixture
def job(browser: Client, labelled: LabelledSet) -> Job:
    train(browser)
    return Job.objects.get()


def test_the_page_of_a_training_is_there_before_its_first_step(browser: Client, job: Job) -> None:
    page = text_of(browser.get(job.get_absolute_url()))
    assert "No step yet." in page and "Nothing to draw yet." in page and "Demo data." in page
    assert "css/reward_models" in page


def test_curves_figures_and_examples_come_as_the_training_goes_on(browser: Client, job: Job) -> None:
    data = judging.dataset(cases=1, editors=2)
    better, worse = data.cases.get().candidates.all()
    rows.write_events(job.folder, rows.events(steps=40)[:23])
    part = reverse("job_part", args=[job.uid])
    early = text_of(browser.get(part))
    assert "Step <strong>20</strong>, loss <strong>0.7500</strong>." in early
    assert "step <strong>20</strong>, held-out NLL <strong>0.6000</strong>" in early
    told = {"group": "g", "dimension": "quality", "better": str(better.uid), "worse": str(worse.uid)}
    gone = {**told, "better": "00000000-0000-0000-0000-000000000000"}
    wrong = {"event": "worst", "rows": [{**told, "predicted": 0.021, "margin": 1.3}, gone, {"better": "x"}]}
    rows.write_events(job.folder, [*rows.events(steps=40)[23:], wrong])
    late = text_of(browser.get(part))
    assert "Best look: step <strong>30</strong>, held-out NLL <strong>0.5000</strong>" in late and "4 looks." in late
    for words in ("Visual quality", "Following", "Pixel difference", "0.610", "above both", "ECE", "0.040"):
        assert words in late, words
    assert late.count("<article>") == 1
    for words in ("Edit 0", reverse("image", args=[better.image.uid]), "chance of 0.021", "prefers the other by 1.30"):
        assert words in late, words
    assert late.count("<polyline") > early.count("<polyline") - 1 >= 8


def test_steps_that_are_said_twice_count_once(job: Job) -> None:
    """A job that went on from an earlier place says some steps again."""
    first, again = rows.events(steps=20), rows.events(steps=40)
    for row in again:
        row["loss"] = 9.0
    found = progress_of([*first, *again[10:], {"event": "train", "step": "x"}, {"event": "other"}])
    assert [row["step"] for row in found.train] == list(range(1, 41))
    assert found.train[5]["loss"] < 1 and found.train[30]["loss"] == 9
    assert [row["step"] for row in found.held] == [10, 20, 30, 40]


def test_the_page_takes_few_queries_however_long_the_training_is(browser: Client, job: Job) -> None:
    rows.write_events(job.folder, rows.events(steps=400))
    with CaptureQueriesContext(
        connection,
    ) as queries:
        page = text_of(browser.get(reverse("job_part", args=[job.uid])))
    assert len(queries) <= 7  # session, user, job, set, model; twice the set at most
    assert len(page) < 120_000


def test_a_finished_training_leads_to_its_version(browser: Client, job: Job, labelled: LabelledSet) -> None:
    made = rows.model(labelled_set=labelled, job=job)
    page = text_of(browser.get(job.get_absolute_url()))
    assert page.count(made.get_absolute_url()) == 2 and "Open Mine v1" in page


# The registry --------------------------------------------------------------------------------------------------------


def test_the_list_shows_versions_with_their_figures(browser: Client, labelled: LabelledSet, job: Job) -> None:
    rows.model(labelled_set=labelled, notice="Simulation.", note="The good one.")
    page = text_of(browser.get(reverse("reward_models")))
    for words in ("Mine v1", "0.780", "[0.730, 0.830]", "Simulation.", "The good one.", "Train Mine on Set", "Set"):
        assert words in page, words
    assert reverse("labelled_sets") in page  # the tabs


def test_an_empty_list_says_what_to_do(browser: Client) -> None:
    assert "No reward models yet" in text_of(browser.get(reverse("reward_models")))


def test_the_list_is_paged_and_takes_as_many_queries_for_many(browser: Client, labelled: LabelledSet) -> None:
    def counted() -> int:
        with CaptureQueriesContext(connection) as queries:
            text_of(browser.get(reverse("reward_models")))
        return len(queries)

    rows.model(labelled_set=labelled)
    counted()
    one = counted()
    known = RewardModel.objects.get()
    fields = {name: getattr(known, name) for name in ("config", "metrics", "dimensions", "fingerprint")}
    RewardModel.objects.bulk_create(
        RewardModel(slug="many", name="Many", number=n, folder=str(n), labelled_set=labelled, **fields)
        for n in range(1, 60)
    )
    assert counted() == one <= 5
    page = text_of(browser.get(reverse("reward_models")))
    assert page.count("<tr>") == 51 and "Older" in page


def test_the_page_of_a_version(browser: Client, labelled: LabelledSet, bob: User) -> None:
    rows.model(labelled_set=labelled, notice="Demo data.", by=bob, config=Config(anchor=1.0).to_json())
    second = rows.model(number=2, labelled_set=labelled, notice="Demo data.", by=bob)
    with CaptureQueriesContext(connection) as queries:
        page = text_of(browser.get(second.get_absolute_url()))
    assert len(queries) <= 8
    for words in (
        'demo-bar">Demo data.', "Test part: looked at once", "0.780", "[0.730, 0.830]", "0.610", "above both", "0.600",
        "NLL 0.550", "ECE", "Pixel difference in quality: less change is better.", "1 to 5", "kept: 225",
        labelled.content_hash, second.fingerprint[:16], "anchor 1.0", "Make it a judge", "Keep the note", "Delete",
    ):  # fmt: skip
        assert words in page, words
    assert "true score" not in page


def test_clear_pairs_stand_below_their_dimension(browser: Client, labelled: LabelledSet) -> None:
    """They have no correlations: a dash stands there, and where an older training counted no ties."""
    metrics = rows.metrics()
    clear = {"accuracy": 0.913, "low": 0.88, "high": 0.95, "pairs": 41, "ties": 2}
    metrics["test"]["quality"]["clear"] = clear
    metrics["test"]["alignment"]["clear"] = {"accuracy": None, "low": None, "high": None, "pairs": 0}
    for name, accuracy in (("constant", 0.5), ("pixel-difference", 0.64)):
        metrics["baselines"][name]["test"]["quality"]["clear"] = {**clear, "accuracy": accuracy}
    made = rows.model(labelled_set=labelled, metrics=metrics)
    page = text_of(browser.get(made.get_absolute_url()))

    def cells(label: str) -> list[str]:
        row = page[page.index(f"{label}, clear pairs") :]
        found = re.findall(r"<td[^>]*>(.*?)</td>", row[: row.index("</tr>")])
        return [re.sub(r"<[^>]+>", "", cell).strip() for cell in found]

    assert cells("Visual quality") == ["0.913", "[0.880, 0.950] above both", "0.500", "0.640", "41", "2", "–", "–"]
    assert cells("Following") == ["–"] * 8


def test_best_of_n_is_there_where_the_truth_is_and_called_so(browser: Client, labelled: LabelledSet) -> None:
    best = {"4": {"picked": 3.22, "random": 2.8, "best": 3.5}}
    made = rows.model(labelled_set=labelled, metrics={**rows.metrics(), "best_of_n": best})
    page = text_of(browser.get(made.get_absolute_url()))
    assert "by the true score of the drawn world" in page and "3.22" in page and "2.80" in page


def test_a_version_without_figures_says_so(browser: Client, labelled: LabelledSet) -> None:
    made = rows.model(labelled_set=labelled, metrics={})
    assert "left no held-out figures" in text_of(browser.get(made.get_absolute_url()))
    assert "–" in text_of(browser.get(reverse("reward_models")))


def test_the_files_are_downloaded(browser: Client, labelled: LabelledSet) -> None:
    made = rows.model(labelled_set=labelled)
    answer = browser.get(reverse("reward_model_file", args=["mine", 1]))
    assert answer["Content-Disposition"] == 'attachment; filename="mine-v1.zip"'
    with ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as file:  # type: ignore[attr-defined]
        assert json.loads(file.read("mine-v1/reward.json"))["fingerprint"] == "f" * 64
    RewardModel.objects.filter(pk=made.pk).update(folder="gone")
    assert browser.get(reverse("reward_model_file", args=["mine", 1])).status_code == 404


def test_a_version_becomes_a_judge_by_page(browser: Client, labelled: LabelledSet, bob: User) -> None:
    made = rows.model(labelled_set=labelled, notice="Demo data.")
    where = reverse("reward_model_judge", args=["mine", 1])
    answer = browser.post(where, {"name": "Mine as a judge", "dimension": "quality"})
    judge = Judge.objects.get()
    assert answer["Location"] == judge.get_absolute_url()
    assert (judge.kind, judge.created_by, judge.notice) == ("reward", bob, "Demo data.")
    page = text_of(browser.get(made.get_absolute_url()))
    assert "Used by:" in page and "Mine as a judge" in page
    for values, words in (
        ({"name": "Mine as a judge", "dimension": "quality"}, "a judge of this name already"),
        ({"name": "Another", "dimension": "beauty"}, "beauty is not one of the available choices"),
    ):
        assert words in text_of(browser.post(where, values, follow=True))
    assert Judge.objects.count() == 1
    assert "A reward model of this installation" in text_of(browser.get(judge.get_absolute_url()))


def test_a_note_is_kept_by_its_owner(browser: Client, labelled: LabelledSet, bob: User) -> None:
    made = rows.model(labelled_set=labelled, by=bob)
    where = reverse("reward_model_note", args=["mine", 1])
    assert browser.post(where, {"note": " The best. "}).status_code == 302
    made.refresh_from_db()
    assert made.note == "The best."
    assert "at most 500 characters" in text_of(browser.post(where, {"note": "x" * 501}, follow=True))
    assert "Null characters are not allowed" in text_of(browser.post(where, {"note": "a\0b"}, follow=True))
    made.refresh_from_db()
    assert made.note == "The best."


def test_a_version_is_deleted_by_page(browser: Client, labelled: LabelledSet, bob: User) -> None:
    made = rows.model(labelled_set=labelled, by=bob)
    where = reverse("delete_reward_model", args=["mine", 1])
    judge = Judge.objects.create(slug="j", name="J", kind="reward", settings={"model": "mine", "number": 1})
    assert "used by the judge J" in text_of(browser.post(where, follow=True))
    judge.delete()
    assert browser.post(where)["Location"] == reverse("reward_models")
    assert not RewardModel.objects.exists()
    assert browser.get(made.get_absolute_url()).status_code == 404


def test_somebody_elses_version_is_left_alone(browser: Client, labelled: LabelledSet, alice: User) -> None:
    made = rows.model(labelled_set=labelled, by=alice)
    for name in ("reward_model_note", "delete_reward_model"):
        assert browser.post(reverse(name, args=["mine", 1]), {"note": "x"}).status_code == 403
    page = text_of(browser.get(made.get_absolute_url()))
    assert "Keep the note" not in page and RewardModel.objects.get().note == ""
