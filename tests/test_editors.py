"""Editors as people make them: pages, settings, LoRA files, copies; and whether one fits the workers' memory."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from safetensors.torch import save

from annotation.models import Candidate, Editor
from tests import make
from training import editors, fit, generation, grid, queries
from training.gpu.editors import editor_names
from training.programs import program, programs
from webapp.endpoints.models import Endpoint
from webapp.jobs import presence
from webapp.jobs import services as jobs
from webapp.jobs.machine import Gpu, Machine
from webapp.jobs.models import Job
from webapp.live import streams

GIB = 1024**3
KEY = "worker:gpu:test-editors"


def lora(rank: int = 4) -> bytes:
    layers = {"transformer.x.lora_A.weight": torch.ones(rank, 8), "transformer.x.lora_B.weight": torch.zeros(8, rank)}
    return save(layers, metadata={"who": "test"})


def upload(data: bytes, name: str = "mine.safetensors") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data)


def queries_of(client: Client, url: str) -> int:
    with CaptureQueriesContext(connection) as found:
        assert client.get(url).status_code == 200
    return len(found)


def make_editor(client: Client, module: str, **values: Any) -> Any:
    return client.post(reverse("new_editor", args=[module]), {"name": "Mine", **values})


@pytest.fixture
def worker(db: None) -> Iterator[Any]:
    """Puts a worker with the given GPU (bytes, or none) and memory on the queue of model work."""
    redis = streams.client()

    def listen(gpu: int | None, memory: int = 256 * GIB, *, known: bool = True) -> None:
        gpus = (Gpu("a card", gpu, 0),) if gpu else ()
        found = Machine(host="h", gpus=gpus, gpus_known=known, memory_total=memory, memory_free=memory)
        redis.set(KEY, found.to_json(), ex=60)

    yield listen
    redis.delete(KEY)


# Pages ---------------------------------------------------------------------------------------------------------------


def test_an_editor_is_made_and_seen(client: Client, bob: Any) -> None:
    client.force_login(bob)
    listed = client.get(reverse("editors")).content.decode()
    assert all(str(found.title) in listed for found in programs())
    answer = make_editor(client, "drawn", set_base="rough", set_steps="4", name="Rough in four")
    made = Editor.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, reverse("editor", args=["rough-in-four"]))
    assert (made.slug, made.module, made.settings) == ("rough-in-four", "drawn", {"base": "rough", "steps": 4})
    assert "drawn world" in made.notice
    page = client.get(answer["Location"]).content.decode()
    assert "Rough in four" in page
    assert "&quot;steps&quot;: 4" in page
    assert "base rough, steps 4" in client.get(reverse("editors")).content.decode()


@pytest.mark.parametrize("module", editor_names())
def test_every_program_has_a_form_that_its_own_check_understands(module: str, client: Client, bob: Any) -> None:
    """An untouched form means the defaults, wherever the module has defaults for everything."""
    client.force_login(bob)
    assert client.get(reverse("new_editor", args=[module])).status_code == 200
    Endpoint(slug="shop", name="Shop", kind="images", base_url="https://example.org/v1", model="m").save()
    needed = {"folder": {"set_folder": "run"}, "openai_images": {"set_endpoint": "shop"}}.get(module, {})
    answer = make_editor(client, module, **needed)
    assert answer.status_code == 302, answer.content.decode()
    assert Editor.objects.get().settings == {name.removeprefix("set_"): value for name, value in needed.items()}


def test_all_fields_of_a_diffusers_editor_arrive_as_their_kind(client: Client, bob: Any) -> None:
    client.force_login(bob)
    make_editor(
        client,
        "flux_kontext",
        set_model="var/tiny/kontext",
        set_preset="24gb",
        set_guidance="3.5",
        set_steps="20",
        set_offload="group",
        set_compile="on",
        set_negative_prompt="blurred",
    )
    assert Editor.objects.get().settings == {
        "model": "var/tiny/kontext",
        "preset": "24gb",
        "guidance": 3.5,
        "steps": 20,
        "offload": "group",
        "compile": True,
        "negative_prompt": "blurred",
    }


@pytest.mark.parametrize(
    ("module", "values", "words"),
    [
        ("flux_kontext", {"set_steps": "0"}, "steps of flux_kontext must be a whole number from 1"),
        ("flux_kontext", {"set_steps": "many"}, "Enter a whole number"),
        ("flux_kontext", {"set_offload": "model", "set_device": "cpu"}, "the device is cpu"),
        ("drawn", {"set_base": "best"}, "not one of the available choices"),
        ("drawn", {"set_steps": "51"}, "from 1 to 50"),
        ("folder", {"set_folder": "run", "set_pattern": "{seed}.png"}, "must name a file by"),
        ("folder", {}, "This field is required"),
        ("openai_images", {"set_endpoint": "none"}, "not one of the available choices"),
        ("drawn", {"lora_scale": "2"}, "A strength was given and no LoRA"),
        ("drawn", {"name": ""}, "This field is required"),
        ("drawn", {"name": "修"}, "at least one Latin letter"),
    ],
)
def test_wrong_settings_are_refused(module: str, values: dict[str, str], words: str, client: Client, bob: Any) -> None:
    client.force_login(bob)
    answer = make_editor(client, module, **values)
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert not Editor.objects.exists()


def test_a_name_that_is_taken_is_refused(client: Client, bob: Any) -> None:
    client.force_login(bob)
    make_editor(client, "drawn")
    assert "There is an editor of this name already." in make_editor(client, "classical").content.decode()
    assert Editor.objects.get().module == "drawn"


def test_a_program_that_does_not_exist_has_no_page(client: Client, bob: Any) -> None:
    client.force_login(bob)
    assert client.get(reverse("new_editor", args=["os"])).status_code == 404
    with pytest.raises(ValidationError, match="no editor program"):
        editors.create_editor(name="x", module="os", settings={})


def test_lists_and_pages_ask_the_database_seldom(client: Client, bob: Any, tmp_path: Path) -> None:
    client.force_login(bob)
    data = make.dataset(tmp_path, cases=2, editors=3)
    few = queries_of(client, reverse("editors"))
    for number in range(20):
        editors.create_editor(name=f"e {number}", module="classical", settings={})
    assert queries_of(client, reverse("editors")) == few <= 5
    assert queries_of(client, reverse("editor", args=["editor-1"])) <= 9
    assert queries_of(client, reverse("generate", args=[data.uid])) <= 8


# LoRA files ----------------------------------------------------------------------------------------------------------


def test_a_lora_is_kept_by_its_content_and_copied(client: Client, bob: Any, tmp_path: Path) -> None:
    client.force_login(bob)
    make_editor(client, "flux_kontext", lora=upload(lora()), lora_scale="0.5", lora_alpha="8")
    first = Editor.objects.get()
    kept = first.settings["lora"]
    assert (kept["scale"], kept["alpha"]) == (0.5, 8.0)
    assert default_storage.open(kept["file"]).read() == lora()
    page = client.get(reverse("new_editor", args=["flux_kontext"]), {"copy": first.slug}).content.decode()
    assert kept["file"] in page
    make_editor(client, "flux_kontext", name="Copy", lora_kept=kept["file"], lora_scale="1")
    assert Editor.objects.get(slug="copy").settings == {"lora": {"file": kept["file"], "scale": 1.0}}
    told = editors.local_program(first, tmp_path)
    assert Path(told["settings"]["lora"]["file"]).read_bytes() == lora()
    assert first.settings["lora"]["file"] == kept["file"]  # what is stored names no machine's folder


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"not one", "not a readable safetensors file"),
        (lora()[:-1], "cut off"),
        (save({"a": torch.ones(2)}), "1 tensors and none of them is a layer of a LoRA"),
    ],
)
def test_a_file_that_is_no_lora_is_refused(data: bytes, words: str, client: Client, bob: Any) -> None:
    client.force_login(bob)
    assert words in make_editor(client, "drawn", lora=upload(data)).content.decode()
    assert not Editor.objects.exists()


def test_a_lora_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    monkeypatch.setattr(editors, "MOST_LORA", 10)
    with pytest.raises(ValidationError, match="larger than"):
        editors.keep_lora(upload(lora()))


@pytest.mark.parametrize("name", ["/etc/passwd", "loras/../secret.safetensors", f"loras/{'0' * 64}.safetensors"])
def test_a_copy_takes_only_a_lora_that_is_kept(name: str, client: Client, bob: Any) -> None:
    client.force_login(bob)
    assert "is not there" in make_editor(client, "drawn", lora_kept=name).content.decode()
    assert not Editor.objects.exists()


def test_half_a_file_of_an_upload_that_died_is_written_anew(db: None) -> None:
    name = editors.keep_lora(upload(lora()))
    default_storage.delete(name)
    default_storage.save(name, ContentFile(b"half"))
    assert editors.keep_lora(upload(lora())) == name
    assert default_storage.open(name).read() == lora()


def test_a_job_is_given_the_lora_by_a_path(tmp_path: Path, db: None) -> None:
    data = make.dataset(tmp_path, cases=1, editors=0)
    settings = {"base": "rough", "lora": {"file": editors.keep_lora(upload(lora())), "scale": 1.0}}
    editor = editors.create_editor(name="L", module="drawn", settings=settings)
    job = generation.start_generation(dataset=data, editors=[editor], seeds=1, by=None)
    (item,) = grid.items(data, job.config, tmp_path)
    assert Path(item["editor"]["settings"]["lora"]["file"]).read_bytes() == lora()


# Deleting ------------------------------------------------------------------------------------------------------------


def test_an_unused_editor_can_be_deleted(client: Client, bob: Any) -> None:
    client.force_login(bob)
    make_editor(client, "drawn")
    client.post(reverse("delete_editor", args=["mine"]))
    assert not Editor.objects.exists()


def test_an_editor_that_made_something_stays(client: Client, bob: Any, tmp_path: Path) -> None:
    client.force_login(bob)
    make.dataset(tmp_path, cases=1, editors=1)
    answer = client.post(reverse("delete_editor", args=["editor-0"]), follow=True)
    assert "Candidates were made with this editor" in answer.content.decode()
    assert (Editor.objects.count(), Candidate.objects.count()) == (1, 1)


def test_an_editor_that_a_job_waits_for_stays(tmp_path: Path, db: None) -> None:
    data = make.dataset(tmp_path, cases=1, editors=0)
    editor = editors.create_editor(name="e", module="classical", settings={})
    generation.start_generation(dataset=data, editors=[editor], seeds=1, by=None)
    with pytest.raises(ValidationError, match="A job that is not done yet"):
        editors.delete_editor(editor=editor)


# Memory --------------------------------------------------------------------------------------------------------------


def kontext(**settings: Any) -> Editor:
    return editors.create_editor(name=f"k {Editor.objects.count()}", module="flux_kontext", settings=settings)


def test_a_job_that_cannot_fit_is_refused_and_says_what_would(worker: Any, tmp_path: Path) -> None:
    data = make.dataset(tmp_path, cases=1, editors=0)
    editor = kontext(preset="80gb")
    worker(24 * GIB)
    with pytest.raises(ValidationError, match=r"needs about \d+.\d GB of GPU memory.*it would fit with") as refused:
        generation.start_generation(dataset=data, editors=[editor], seeds=1, by=None)
    assert "25.8 GB are free" in str(refused.value)
    assert not Job.objects.exists()


@pytest.mark.parametrize(("gpu", "chosen"), [(80 * GIB, {}), (24 * GIB, {}), (80 * GIB, {"preset": "24gb"})])
def test_a_job_that_fits_is_started(gpu: int, chosen: dict[str, Any], worker: Any, tmp_path: Path) -> None:
    worker(gpu)
    data = make.dataset(tmp_path, cases=1, editors=0)
    generation.start_generation(dataset=data, editors=[kontext(**chosen)], seeds=1, by=None)
    assert Job.objects.count() == 1


def test_what_is_offloaded_must_fit_the_machine(worker: Any) -> None:
    worker(24 * GIB, memory=16 * GIB)
    assert "in the machine's memory" in fit.problem(kontext())


def test_a_worker_without_a_gpu(worker: Any) -> None:
    worker(None, memory=16 * GIB)
    assert "has none" in fit.problem(kontext(preset="24gb"))
    assert "GB of memory" in fit.problem(kontext())  # on the CPU, with 16 GB
    assert fit.problem(Editor(slug="c", name="c", module="classical", settings={})) == ""


@pytest.mark.parametrize("gpu", [None, 8 * GIB])
def test_gpus_that_are_not_known_are_no_reason_to_refuse(gpu: int | None, worker: Any) -> None:
    """No nvidia-smi, one that is slow, a slice of a GPU, a worker's first seconds."""
    worker(gpu, memory=16 * GIB, known=False)
    assert fit.problem(kontext(preset="80gb")) == ""
    assert fit.problem(kontext()) == ""
    assert "GB of memory" in fit.problem(kontext(preset="cpu"))  # what the editor itself wants is known


@pytest.mark.parametrize("model", ["/only/on/the/worker/tiny", "somebody/another-kontext", "x" * 400])
def test_a_model_that_cannot_be_seen_from_here_is_not_taken_for_the_published_one(model: str, worker: Any) -> None:
    worker(None, memory=16 * GIB)
    unseen = kontext(model=model, preset="cpu")
    assert fit.problem(unseen) == ""
    assert fit.table(kontext(model=model)) == []
    assert "GB of memory" in fit.problem(kontext(preset="cpu"))


DAMAGED = ['{"weight_map": {"a": ', "[]", '{"weight_map": [1]}', '{"weight_map": {"a": []}}', "[" * 100_000, "{}"]


@pytest.mark.parametrize("index", DAMAGED)
def test_a_damaged_folder_spoils_only_its_own_editor(
    index: str, client: Client, bob: Any, tmp_path: Path, worker: Any
) -> None:
    worker(24 * GIB)
    (tmp_path / "broken" / "transformer").mkdir(parents=True)
    parts = {"_class_name": "FluxKontextPipeline", "transformer": ["diffusers", "FluxTransformer2DModel"]}
    (tmp_path / "broken" / "model_index.json").write_text(json.dumps(parts))
    (tmp_path / "broken" / "transformer" / "config.json").write_text("{}")
    (tmp_path / "broken" / "transformer" / "x.safetensors.index.json").write_text(index)
    client.force_login(bob)
    data, broken = make.dataset(tmp_path, cases=1, editors=0), kontext(model=str(tmp_path / "broken"))
    page = client.get(reverse("generate", args=[data.uid]))
    assert page.status_code == 200
    assert "x.safetensors.index.json" in page.content.decode()
    assert client.get(broken.get_absolute_url()).status_code == 200
    with pytest.raises(ValidationError, match=r"x\.safetensors\.index\.json"):
        generation.start_generation(dataset=data, editors=[broken], seeds=1, by=None)


def test_a_folder_without_a_component_is_said_and_spoils_nothing(
    client: Client, bob: Any, tmp_path: Path, worker: Any
) -> None:
    worker(24 * GIB)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "model_index.json").write_text("{}")
    client.force_login(bob)
    data = make.dataset(tmp_path, cases=1, editors=0)
    kontext(model=str(tmp_path / "empty"), preset="24gb")
    page = client.get(reverse("generate", args=[data.uid])).content.decode()
    assert "empty has no component &#x27;text_encoder&#x27;" in page


def test_the_workers_are_asked_once_for_all_editors(worker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    worker(24 * GIB)
    for size in (256, 512, 768):
        kontext(preset="80gb", size=size)
    asked, ask = [], presence.machines

    def counted(queue: str) -> list[Machine] | None:
        asked.append(queue)
        return ask(queue)

    monkeypatch.setattr(presence, "machines", counted)
    found = queries.estimates()
    assert [bool(line.problem) for line in found] == [True, True, True]
    assert asked == ["gpu"]
    monkeypatch.setattr(presence, "machines", lambda queue: None)  # Redis is away: nothing can be said
    assert [line.problem for line in queries.estimates()] == ["", "", ""]


def test_without_a_worker_nothing_can_be_said(db: None) -> None:
    streams.client().delete(KEY)
    assert fit.problem(kontext(preset="80gb")) == ""


def test_the_page_shows_what_each_card_would_take(worker: Any, client: Client, bob: Any, tmp_path: Path) -> None:
    worker(24 * GIB)
    client.force_login(bob)
    editor = kontext(preset="80gb", batch=12)
    page = client.get(editor.get_absolute_url()).content.decode()
    assert "would fit with" in page
    assert '<th scope="row">80gb</th>' in page
    assert '<th scope="row">24gb</th>' not in page  # its own preset alone
    data = make.dataset(tmp_path, cases=1, editors=0)
    assert "would fit with" in client.get(reverse("generate", args=[data.uid])).content.decode()
    assert len(fit.table(kontext())) == 4


def test_programs_without_a_word_about_them_are_listed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.programs.editor_names", lambda: ["drawn", "own"])
    assert [found.module for found in programs()] == ["drawn", "own"]
    assert program("own") is not None


def test_an_editor_of_a_job_that_can_be_resumed_stays(tmp_path: Path, db: None) -> None:
    data = make.dataset(tmp_path, cases=1, editors=0)
    editor = editors.create_editor(name="e", module="classical", settings={})
    job = generation.start_generation(dataset=data, editors=[editor], seeds=1, by=None)
    jobs.cancel(job=job)
    with pytest.raises(ValidationError, match="can be resumed"):
        editors.delete_editor(editor=editor)
