"""The judges that run as models on the GPU queue: forms, what their answers depend on, what does not fit. No torch."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from scoring.asking.backends import backend
from scoring.asking.judges import create_judge
from scoring.judging.contract import JudgeError
from training import judges
from training.gpu.judges import check_settings, drawn
from training.gpu.vlm import needs
from training.gpu.vlm import settings as vlm
from training.gpu.vlm.weights import find
from webapp.jobs.kinds import GPU
from webapp.jobs.machine import Gpu, Machine

GB = 10**9
GIVEN = {
    "model": "Qwen/Qwen3-VL-8B-Instruct",
    "revision": "main",
    "score_by": "digits-only",
    "temperature": 0.7,
    "max_tokens": 300,
    "max_side": 512,
    "dtype": "bfloat16",
    "device": "cuda:1",
    "batch": 16,
}


@pytest.mark.django_db
def test_it_works() -> None:
    """Registered, on the queue of the GPU; settings that are given are kept as they are."""
    for kind in ("drawn", "transformers"):
        found = backend(kind)
        assert found is not None
        assert found.queue == GPU
        assert found.priced({}) is True  # a local model costs nothing
        assert found.endpoints({}) == []
    made = create_judge(name="Qwen 8B", kind="transformers", settings=dict(GIVEN))
    assert made.settings == GIVEN
    assert made.notice == ""
    check_settings(made.kind, made.settings)


@pytest.mark.django_db
def test_defaults_are_kept_and_stay() -> None:
    """Nothing but a model: the defaults are written down. Kept settings through the form again are the same."""
    made = create_judge(name="Qwen", kind="transformers", settings={"model": "Qwen/Qwen3-VL-8B-Instruct"})
    expected = {**vlm.DEFAULTS, "model": "Qwen/Qwen3-VL-8B-Instruct"}
    assert made.settings == {name: value for name, value in expected.items() if value != ""}
    kept = json.loads(json.dumps(made.settings))
    again = create_judge(name="Qwen again", kind="transformers", settings=kept)
    assert again.settings == made.settings
    assert {name: type(value) for name, value in again.settings.items()} == {
        name: type(value) for name, value in made.settings.items()
    }
    check_settings(again.kind, json.loads(json.dumps(again.settings)))


def test_what_a_page_posts_is_what_code_gives() -> None:
    """A posted form is text; both give the same settings, and the first page shows the defaults."""
    posted = judges.TransformersForm(data={name: str(value) for name, value in GIVEN.items()})
    assert posted.is_valid(), posted.errors
    assert posted.cleaned_data == GIVEN
    empty = judges.TransformersForm()
    assert {name: empty[name].value() for name in vlm.DEFAULTS} == vlm.DEFAULTS


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("model", "", "required"),
        ("model", "alone", "must be an absolute folder, or a Hub id"),
        ("model", "/models/../etc", "must be an absolute folder, or a Hub id"),
        ("revision", "x" * 101, "at most 100"),
        ("score_by", "guess", "valid choice"),
        ("dtype", "int4", "valid choice"),
        ("temperature", "2.5", "must be a number from 0 to 2"),
        ("temperature", "nan", "Enter a number"),
        ("max_tokens", "5", "must be a whole number from 32 to 32000"),
        ("max_tokens", "many", "Enter a whole number"),
        ("max_side", "100000", "must be a whole number from 32 to 4096"),
        ("device", "tpu", "must be auto, cpu, cuda or cuda:N"),
        ("batch", "0", "must be a whole number from 1 to 256"),
    ],
)
@pytest.mark.django_db
def test_every_field_is_checked(name: str, value: str, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        create_judge(name="Wrong", kind="transformers", settings={**GIVEN, name: value})
    assert len(caught.value.messages) == 1
    assert caught.value.messages[0].startswith(f"{name}: ")
    assert words in caught.value.messages[0]


# What answers depend on ----------------------------------------------------------------------------------------------


def identity(**changes: Any) -> dict[str, Any]:
    found = asdict(judges.TRANSFORMERS.identity({**GIVEN, **changes}))
    assert json.loads(json.dumps(found)) == found  # it goes into a job's configuration
    return found


@pytest.mark.parametrize(
    "change",
    [
        {"model": "Qwen/Qwen3-VL-4B-Instruct"},
        {"revision": "v2"},
        {"score_by": "text"},
        {"temperature": 0.0},
        {"max_tokens": 301},
        {"max_side": 513},
        {"dtype": "float16"},
    ],
)
def test_what_changes_an_answer_changes_the_identity(change: dict[str, Any]) -> None:
    assert identity(**change) != identity()


@pytest.mark.parametrize("change", [{"device": "cpu"}, {"batch": 1}])
def test_how_it_is_run_does_not(change: dict[str, Any]) -> None:
    assert identity(**change) == identity()


def test_the_identity_names_every_setting() -> None:
    """A setting that is added later is in one of the two lists, or this fails."""
    found = identity()
    assert {*found["settings"], "model", *vlm.ON_MACHINE} == set(vlm.CHECKS) == {*vlm.DEFAULTS, "model"}
    assert (found["provider"], found["model"]) == ("transformers", GIVEN["model"])
    assert found["preprocessing"]
    # A default that was written down, and one that was not: the same judge.
    short = {"model": GIVEN["model"]}
    assert judges.TRANSFORMERS.identity(short) == judges.TRANSFORMERS.identity({**vlm.DEFAULTS, **short})


def test_wrong_settings_have_no_identity() -> None:
    with pytest.raises(ValidationError, match="has no setting mode"):
        judges.TRANSFORMERS.identity({**GIVEN, "mode": "fast"})


# The demo judge ------------------------------------------------------------------------------------------------------


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(drawn, "WEIGHTS", tmp_path)
    (tmp_path / "SHA256SUMS").write_text(f"{'ab' * 32}  judge.safetensors\n")
    return tmp_path


@pytest.mark.django_db
def test_the_demo_judge_says_that_it_is_none(weights: Path) -> None:
    made = create_judge(name="Demo", kind="drawn", settings={})
    assert made.settings == {}
    assert made.notice == "Demo judge, not a VLM."
    found = judges.DRAWN.identity({})
    assert found.model == "drawn-judge abababababab"
    assert found.preprocessing == drawn.PREPROCESSING
    (weights / "SHA256SUMS").write_text(f"{'cd' * 32}  judge.safetensors\n")
    assert judges.DRAWN.identity({}).model != found.model


@pytest.mark.django_db
def test_a_demo_judge_without_weights_is_refused(weights: Path) -> None:
    (weights / "SHA256SUMS").unlink()
    with pytest.raises(ValidationError, match="weights of the demo judge are not there"):
        create_judge(name="Demo", kind="drawn", settings={})


def test_the_demo_judge_has_no_settings(weights: Path) -> None:
    with pytest.raises(ValidationError, match="has no settings"):
        judges.DRAWN.identity({"steps": 3})


# Memory --------------------------------------------------------------------------------------------------------------

QWEN_8B = {  # the shape of such a model, as its configuration tells it
    "model_type": "qwen3_vl",
    "text_config": {
        "hidden_size": 4096,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "intermediate_size": 12288,
        "vocab_size": 151936,
        "dtype": "bfloat16",
    },
    "vision_config": {"patch_size": 16, "spatial_merge_size": 2},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the header of 8 milliard numbers; a hole stands for the numbers."""
    (tmp_path / "config.json").write_text(json.dumps(QWEN_8B))
    size = 8 * GB * 2
    header = json.dumps({"w": {"dtype": "BF16", "shape": [8, GB], "data_offsets": [0, size]}}).encode()
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + size)
    return tmp_path


def gpu(total: int) -> Machine:
    return Machine(worker="w1", gpus=(Gpu("H", total, 0),), gpus_known=True, memory_total=64 * GB)


def test_the_estimate_is_the_sum_of_its_parts(folder: Path) -> None:
    settings = vlm.parse({"model": str(folder), "max_tokens": 1000, "max_side": 1024})
    found = needs.needs(find(settings), settings)
    tokens = 2 * 32 * 32 + needs.WORDS + 1000
    assert found.dtype == "bfloat16"
    assert found.parts["weights"] == 16 * GB
    assert found.parts["cache"] == tokens * 36 * 2 * 8 * 128 * 2
    assert found.total == sum(found.parts.values())
    larger = vlm.parse({"model": str(folder), "dtype": "float32"})
    assert needs.needs(find(larger), larger).parts["weights"] == 32 * GB


def test_a_model_that_reads_in_tiles_counts_its_tiles() -> None:
    assert needs.picture_tokens({"image_seq_length": 256}, 448) == 256 * needs.TILES
    assert needs.picture_tokens({"vision_config": {"patch_size": 14, "spatial_merge_size": 2}}, 280) == 100


def test_where_it_fits_nothing_is_said(folder: Path) -> None:
    settings = {"model": str(folder)}
    assert judges.problem(settings, [gpu(24 * GB)]) == ""
    assert judges.problem(settings, [gpu(12 * GB), gpu(24 * GB)]) == ""
    assert judges.problem(settings, []) == ""
    assert judges.problem(settings, [Machine(worker="w", gpus_known=False)]) == ""  # a card that cannot be asked
    assert judges.problem({"model": "Qwen/Qwen3-VL-8B-Instruct"}, [gpu(GB)]) == ""  # its weights are not here
    assert judges.problem(settings, [Machine(worker="w", gpus_known=True, memory_total=64 * GB)]) == ""  # on the CPU


def test_where_it_does_not_fit_it_is_said(folder: Path) -> None:
    found = judges.problem({"model": str(folder)}, [gpu(16 * GB), gpu(12 * GB)])
    assert "needs about 19.1 GB of GPU memory" in found
    assert "for one request (weights 16.0, cache 0.8, work 1.3, reserve 1.0), and 16.0 GB are there" in found
    none = Machine(worker="w1", gpus_known=True, memory_total=64 * GB)
    words = "It needs a GPU, and the worker w1 has none."
    assert judges.problem({"model": str(folder), "device": "cuda"}, [none]) == words
    small = Machine(worker="w1", gpus_known=True, memory_total=8 * GB)
    assert "8.0 GB are there" in judges.problem({"model": str(folder), "device": "cpu"}, [small])


@pytest.mark.parametrize("config", ["{}", '{"text_config": 3, "vision_config": []}', '{"hidden_size": -1}'])
def test_an_odd_configuration_is_estimated_by_its_weights(folder: Path, config: str) -> None:
    (folder / "config.json").write_text(config)
    settings = vlm.parse({"model": str(folder), "dtype": "bfloat16"})
    assert needs.needs(find(settings), settings).parts["weights"] == 16 * GB


@pytest.mark.parametrize("config", ["", "[]", "{"])
def test_a_folder_that_is_no_model(folder: Path, config: str) -> None:
    (folder / "config.json").write_text(config)
    with pytest.raises(JudgeError, match=r"config\.json"):
        find(vlm.parse({"model": str(folder)}))
