"""The form of a run: what it starts, what it shows, and everything that it refuses."""

import json
import re
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from annotation.models import Case, Dataset, Editor
from tests.training_runs import rows
from tests.web import text_of
from training.posttraining.config import PRESETS, Config, preset
from training.runs import settings as told
from training.runs import spending
from training.runs.forms import initial_of
from webapp.accounts.models import User
from webapp.endpoints.models import Endpoint
from webapp.jobs.models import Job


def send(client: Client, data: Dataset, method: str = "post", **values: Any) -> Any:
    given = {
        "name": "Better", "base": "cpu", "dataset": data.slug, "split": "train", "preset": "fast", "watch": "on",
        "reward_1": rows.TRUTH, "held_out_1": rows.DEMO, **values,
    }  # fmt: skip
    return getattr(client, method)(
        reverse("new_run"), {key: value for key, value in given.items() if value is not None}
    )


def test_a_run_is_started(browser: Client, data: Dataset, alice: User) -> None:
    answer = send(browser, data, rounds="7", shared_noise="no", alpha="1.5", weight_1="2", note="Try.", tasks=["add"])
    job = Job.objects.get()
    assert answer["Location"] == job.get_absolute_url()
    assert (job.kind, job.queue, job.created_by, job.title) == ("posttrain", "gpu", alice, "Train Better from Cpu")
    config = Config.from_json(job.config["config"], "drawn")
    assert (config.rounds, config.shared_noise, config.size) == (7, False, 64)
    assert config == preset("fast", "drawn").__class__(
        **{**preset("fast", "drawn").to_json(), "rounds": 7, "shared_noise": False}
    )
    assert job.config["editor"] == {"module": "drawn", "settings": {"base": "rough"}}
    (reward,), (held,) = job.config["rewards"], job.config["held_out"]
    assert (reward["kind"], reward["weight"], held["kind"]) == ("truth", 2.0, "drawn")
    assert job.config["reward"]["alpha"] == 1.5 and job.config["reward"]["weights"] == {reward["name"]: 2.0}
    assert (job.config["watch"], job.config["acknowledged"], job.config["examples"]) == (True, 0, "")
    assert job.config["counts"] == {"train": 3, "look": 1, "examples": 0}
    for words in ("Demo data.", "true score of the drawn world", "Demo judge."):
        assert words in job.config["notice"]


@pytest.mark.parametrize("name", PRESETS)
def test_the_form_shows_the_presets_values_for_the_base(browser: Client, data: Dataset, name: str) -> None:
    page = text_of(send(browser, data, "get", preset=name))
    shown = told.shown_values(preset(name, "drawn"))
    assert f'placeholder="{shown["learning_rate"]}"' in page and f"as the preset: {shown['dtype']}" in page
    found = re.search(r'<script id="presets"[^>]*>(.*?)</script>', page)
    assert found and json.loads(found[1]) == json.loads(json.dumps(told.preset_values()))
    assert json.loads(re.search(r'<script id="modules"[^>]*>(.*?)</script>', page)[1]) == {"cpu": "drawn"}  # type: ignore[index]


def test_every_setting_has_words_and_a_place() -> None:
    assert set(told.NAMES) == set(told.LABELS) == set(Config().to_json()) - {"preset"}


def test_the_estimate_says_what_it_takes(browser: Client, data: Dataset) -> None:
    page = text_of(send(browser, data, "get", rounds="10", groups="4", group="6", look_every="5", look_cases="2"))
    assert 'Cases to learn from</dt><dd class="num">6' in page
    assert 'Fixed cases to look at</dt><dd class="num">2' in page
    assert 'Images made</dt><dd class="num">248' in page  # 10 · 4 · 6, and 4 looks at 2 cases
    assert 'Judgements for the reward</dt><dd class="num">240' in page
    assert 'Judgements of looks</dt><dd class="num">16' in page  # by both judges
    assert "Nothing speaks against it." in page
    assert Job.objects.count() == 0


def test_what_asked_services_may_cost_is_said(browser: Client, data: Dataset) -> None:
    sizes = {"rounds": "10", "groups": "4", "group": "6", "look_every": "5", "look_cases": "2"}
    Endpoint.objects.create(slug="eyes", name="Eyes", kind="chat", base_url="https://eyes.invalid/v1", model="m")
    page = text_of(send(browser, data, "get", reward_2="http:eyes", **sizes))
    assert "“Scoring service at Eyes” will be asked some 248 times. What that costs is not known here" in page
    assert "A run keeps no limit" not in text_of(send(browser, data, "get", **sizes))


def test_the_cost_of_a_judge_is_reckoned_from_its_answers(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = {"name": "Eyes", "kind": "endpoint", "passes": 2, "identity": {"judge": "demo"}}
    found = SimpleNamespace(judgements=240, looked=16)

    def told(cost: float | None) -> list[str]:
        monkeypatch.setattr(spending, "used_by", lambda _judge: SimpleNamespace(cost=cost))
        return spending.warnings([spec], [], found)  # type: ignore[arg-type]

    assert told(0.0) == []
    assert "some 512 times: about 25.60 by its answers" in told(0.05)[0]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"name": "…"}, "at least one Latin letter"),
        ({"name": "Cpu"}, "There is an editor called “Cpu” already"),
        ({"base": "gone"}, "Select a valid choice"),
        ({"dataset": "gone"}, "Select a valid choice"),
        ({"split": "dev"}, "Select a valid choice"),
        ({"tasks": ["gone"]}, "Select a valid choice"),
        ({"limit": "1"}, "greater than or equal to 2"),
        ({"split": "test"}, "There are 0 cases to learn from"),
        ({"reward_1": ""}, "Choose who gives the reward"),
        ({"reward_1": "judge:x:y"}, "Select a valid choice"),
        ({"weight_1": "0"}, "Every weight is 0"),
        ({"weight_1": "-1"}, "greater than or equal to 0"),
        ({"reward_2": "truth"}, "The same judge is chosen twice"),
        ({"held_out_1": "truth"}, "cannot be the held-out judge too"),
        ({"held_out_1": ""}, "The watch needs a held-out judge"),
        ({"alpha": "0"}, "This must be a number from 0.01"),
        ({"alpha": "x"}, "Enter a number"),
        ({"preservation": "2"}, "This must be a number from 0 to 1"),
        ({"preset": "mine"}, "Select a valid choice"),
        ({"rounds": "0"}, "This must be a whole number"),
        ({"steps": "4", "window": "4"}, "the last step is never trained"),
        ({"device": "tpu"}, "cuda:N"),
        ({"preset": "global-dpo"}, "learn from edits that are there"),
        ({"scored_by": "demo"}, "make their own edits"),
        ({"preset": "global-dpo", "scored_by": "demo"}, "cases to learn from"),
        ({"labelled_set": "gone"}, "Select a valid choice"),
    ],
)  # fmt: skip
def test_a_wrong_form_starts_nothing(browser: Client, data: Dataset, values: dict[str, Any], words: str) -> None:
    assert words in text_of(send(browser, data, **values))
    assert Job.objects.count() == 0


def test_without_a_development_part_nothing_starts(browser: Client, data: Dataset) -> None:
    Case.objects.filter(split="dev").update(split="test")
    for method in ("get", "post"):
        assert "has no case in its development part" in text_of(send(browser, data, method))
    assert Job.objects.count() == 0


def test_a_look_case_never_has_a_source_that_is_learned_from(browser: Client, data: Dataset) -> None:
    learned = Case.objects.filter(split="train").first()
    Case.objects.filter(split="dev").update(source=learned.source)  # type: ignore[union-attr]
    assert "whose source picture is not learned from" in text_of(send(browser, data))


def test_pictures_of_another_size_are_not_for_the_cpu_editor(browser: Client, data: Dataset) -> None:
    other = rows.dataset(side=96)
    assert "64 × 64 pixels alone, and 9 of these" in text_of(send(browser, other))


def test_an_editor_with_a_lora_is_no_base(browser: Client, data: Dataset) -> None:
    Editor.objects.update(settings={"base": "rough", "lora": {"file": "loras/x.safetensors"}})
    assert "Select a valid choice" in text_of(send(browser, data))
    assert "There is no editor yet that can be post-trained." in text_of(browser.get(reverse("new_run")))


def test_engineers_do_not_start_runs(data: Dataset, bob: User) -> None:
    client = Client()
    client.force_login(bob)
    assert send(client, data).status_code == 403
    assert Job.objects.count() == 0


def test_the_curve_follows_alpha_and_beta(browser: Client, data: Dataset) -> None:
    """At beta / alpha the reward is a half; wrong numbers draw nothing."""
    steep = browser.get(reverse("run_curve"), {"alpha": "8", "beta": "20"}).content
    flat = browser.get(reverse("run_curve"), {"alpha": "1", "beta": "2"}).content
    assert b"<polyline" in steep and b"<polyline" in flat and steep != flat
    assert b"<polyline" not in browser.get(reverse("run_curve"), {"alpha": "x"}).content
    assert b"<polyline" in browser.get(reverse("new_run")).content


def test_a_run_is_copied_into_the_form(browser: Client, data: Dataset) -> None:
    send(browser, data, rounds="7", shared_noise="no", beta="4", tasks=["add"], limit="3", window="2")
    job = Job.objects.get()
    initial = initial_of(job)
    assert {name: initial[name] for name in ("rounds", "shared_noise", "window", "beta", "name", "limit")} == {
        "rounds": 7, "shared_noise": "no", "window": 2, "beta": 4.0, "name": "Better 2", "limit": 3
    }  # fmt: skip
    assert "steps" not in initial and "alpha" not in initial
    page = text_of(browser.get(reverse("new_run"), {"like": str(job.uid)}))
    assert 'value="Better 2"' in page and 'name="rounds" value="7"' in page
    assert text_of(browser.get(reverse("new_run"), {"like": "x"}))
