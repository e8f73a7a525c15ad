"""The list of runs and the page of a trained editor."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.models import Editor
from tests import judging
from tests.training_runs import rows
from tests.web import text_of
from training.models import EditorBenchmark, Proof, TrainedEditor
from training.runs import registry
from webapp.accounts.models import User
from webapp.jobs.models import Job


@pytest.fixture
def browser(bob: User) -> Client:
    client = Client()
    client.force_login(bob)
    return client


@pytest.fixture
def trained(alice: User) -> TrainedEditor:
    rows.base()
    job = rows.run(alice, "succeeded", notice="Demo judge.")
    rows.write_events(job, rows.events())
    rows.write_lora(job)
    looks = {"last": rows.look(10, 0.2, 0.1), "best": rows.look(5, 0.1, 0.15)}
    summary = {"rounds": 10, "best_round": 5, "stopped": "all rounds were done", "looks": looks, "images": 960}
    Job.objects.filter(pk=job.pk).update(summary=summary)
    return registry.register(job=Job.objects.get(pk=job.pk), summary=summary)


def test_the_list_shows_runs(browser: Client, trained: TrainedEditor) -> None:
    running = rows.run(name="Second", notice="Simulation.")
    Job.objects.filter(pk=running.pk).update(summary={"last_look": rows.look(5, 0.3, -0.2)}, done=5, total=80)
    page = text_of(browser.get(reverse("runs")))
    for words in (
        "Better", "Second", "Running", "Done", "5 / 80", "Cpu", "fast", "Judge A", "-0.200", "[-0.300, -0.100]",
        "0.100", "Judge B", "Simulation.", trained.get_absolute_url(), "Compare the chosen ones",
        reverse("proofs"), reverse("editor_benchmarks"),
    ):  # fmt: skip
        assert words in page, words
    assert reverse("new_run") not in page  # bob is no admin


def test_an_empty_list_says_what_to_do(browser: Client, alice: User) -> None:
    page = text_of(browser.get(reverse("runs")))
    assert "No runs yet" in page and reverse("new_run") not in page
    browser.force_login(alice)
    assert reverse("new_run") in text_of(browser.get(reverse("runs")))


def test_the_list_is_paged_and_takes_as_many_queries_for_many(browser: Client, trained: TrainedEditor) -> None:
    def counted() -> int:
        with CaptureQueriesContext(connection) as queries:
            text_of(browser.get(reverse("runs")))
        return len(queries)

    counted()
    one = counted()
    config = rows.config()
    Job.objects.bulk_create(
        Job(kind="posttrain", queue="gpu", title=f"Run {n}", config=config, summary={"last_look": rows.look(5, 0.1, 0)})
        for n in range(60)
    )
    assert counted() == one <= 6
    page = text_of(browser.get(reverse("runs")))
    assert page.count("<tr>") == 51 and "Older" in page


def test_the_card_of_a_trained_editor(browser: Client, trained: TrainedEditor) -> None:
    with CaptureQueriesContext(connection) as queries:
        page = text_of(browser.get(trained.get_absolute_url()))
    assert len(queries) <= 10
    config = trained.config
    for words in (
        'demo-bar">Demo judge. Drawn world.', "Trained from Cpu.", "d" * 16, "6 cases, 3 fixed ones", "Judge A",
        f"rank {config['lora_rank']}, α {config['lora_alpha']}", "trained on", "held out", "fast, grpo", "kept: 5",
        "all rounds were done", "960", "judge a", "[0.050, 0.250]", "Curves of the run", "Before and after",
        "Download the LoRA", "It takes part in no benchmark of editors yet.", "Nobody has been asked yet",
        "These cases chose the round", "lora_rank",
    ):  # fmt: skip
        assert words in page, words
    assert "Keep the note" not in page


def test_the_card_shows_benchmarks_and_what_people_said(browser: Client, trained: TrainedEditor) -> None:
    data = judging.dataset(cases=2, editors=1)
    benchmark = EditorBenchmark.objects.create(
        slug="bench", name="Bench <1>", style="dream", dataset=data, base=trained.base, asked={"dino": "d", "clip": "c"}
    )
    benchmark.editors.set([trained.base, trained.editor])
    Proof.objects.create(
        base=trained.base, trained=trained.editor, dataset=data, job=trained.job, state="stopped", message="No image."
    )
    with CaptureQueriesContext(connection) as queries:
        page = text_of(browser.get(trained.get_absolute_url()))
    assert len(queries) <= 25
    for words in ("Bench <1>", "Better against Cpu", "No image.", reverse("new_proof", args=["better"])):
        assert words in page, words
    assert "It is not known for certain what “Better” learned from." in page  # its list of cases is gone
    assert trained.job is not None
    assert "Better against Cpu" in text_of(browser.get(trained.job.get_absolute_url()))


def test_the_lora_is_downloaded(browser: Client, trained: TrainedEditor) -> None:
    answer = browser.get(reverse("trained_editor_file", args=[trained.editor.slug]))
    assert answer["Content-Disposition"] == 'attachment; filename="better.safetensors"'
    assert trained.job
    data = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    assert data == (trained.job.folder / registry.LORA).read_bytes()


def test_a_file_that_is_gone_is_said(browser: Client, trained: TrainedEditor) -> None:
    Editor.objects.filter(pk=trained.editor.pk).update(settings={"lora": {"file": "loras/gone.safetensors"}})
    assert "The LoRA's file is gone" in text_of(browser.get(trained.get_absolute_url()))
    assert browser.get(reverse("trained_editor_file", args=["better"])).status_code == 404


def test_a_card_outlives_its_run(browser: Client, trained: TrainedEditor) -> None:
    Job.objects.all().delete()
    page = text_of(browser.get(trained.get_absolute_url()))
    assert "[0.050, 0.250]" in page and "Curves of the run" not in page


def test_the_editors_page_leads_to_the_card(browser: Client, trained: TrainedEditor, alice: User) -> None:
    page = text_of(browser.get(trained.editor.get_absolute_url()))
    assert trained.get_absolute_url() in page and "Post-train it" not in page
    assert "Trained from it" in text_of(browser.get(trained.base.get_absolute_url()))
    browser.force_login(alice)
    page = text_of(browser.get(trained.base.get_absolute_url()))
    assert f"{reverse('new_run')}?base=cpu" in page
    assert "Post-train it" not in text_of(browser.get(trained.editor.get_absolute_url()))


def test_only_admins_and_whoever_ran_it_change_the_note(browser: Client, trained: TrainedEditor, alice: User) -> None:
    where = trained.get_absolute_url()
    assert browser.post(where, {"note": "Mine."}).status_code == 403
    browser.force_login(alice)
    assert browser.post(where, {"note": "The good one."}).status_code == 302
    assert "The good one." in text_of(browser.get(where)) and "Keep the note" in text_of(browser.get(where))
    assert "at most 500 characters" in text_of(browser.post(where, {"note": "x" * 501}))
    assert TrainedEditor.objects.get().note == "The good one."


def test_only_admins_and_whoever_ran_it_delete_it(browser: Client, trained: TrainedEditor, alice: User) -> None:
    where = reverse("delete_editor", args=["better"])
    assert where not in text_of(browser.get(trained.editor.get_absolute_url()))
    assert browser.post(where).status_code == 403 and TrainedEditor.objects.exists()
    browser.force_login(alice)
    data = judging.dataset(cases=1, editors=1)
    made = EditorBenchmark.objects.create(slug="bench", name="Bench", style="dream", dataset=data)
    made.editors.set([trained.editor])
    assert "takes part in a benchmark of editors" in text_of(browser.post(where, follow=True))
    made.editors.clear()
    assert browser.post(where)["Location"] == reverse("editors") and not TrainedEditor.objects.exists()


def test_no_such_editor(browser: Client, db: None) -> None:
    rows.base()  # an editor that nothing was trained for
    assert browser.get(reverse("trained_editor", args=["cpu"])).status_code == 404


def test_the_navigation_has_one_entry(browser: Client) -> None:
    page = text_of(browser.get(reverse("runs")))
    assert f'<a href="{reverse("runs")}" aria-current="page">Post-training</a>' in page
