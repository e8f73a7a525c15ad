"""What a vision-language model as a judge refuses, and what of a vocabulary counts as a digit."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from scoring.judging.contract import JudgeError
from tests.gpu.tiny_judges import copied, folder_of, judge, request
from training.gpu.judges import check_settings, load_judge
from training.gpu.judges.transformers import START
from training.gpu.vlm.model import digit_tokens, start_tokens

# Tokens --------------------------------------------------------------------------------------------------------------


def test_digits_with_a_space_before_them_count_as_digits() -> None:
    class Vocabulary:
        def get_vocab(self) -> dict[str, int]:
            return {"4": 10, "Ġ4": 11, "▁4": 12, "44": 13, "4.": 14, "four": 15, "Ġ": 16, "²": 17, "0": 3}

    assert digit_tokens(Vocabulary()) == [3, 10, 11, 12]


def test_a_start_ends_where_the_digit_begins() -> None:
    """Also for a vocabulary whose digits carry the space before them."""

    class Spaced:
        def encode(self, text: str, add_special_tokens: bool) -> list[int]:
            assert not add_special_tokens
            head, _, digit = text.rpartition(" ")
            return [*map(ord, head), 1000 + int(digit)]

    class Bytes:
        def encode(self, text: str, add_special_tokens: bool) -> list[int]:
            return [*text.encode()]

    assert start_tokens(Bytes(), START) == [*START.encode()]
    assert start_tokens(Spaced(), START) == [*START.rstrip().encode()]


# Refusals ------------------------------------------------------------------------------------------------------------


def test_no_such_model_and_nothing_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def no_network(*_arguments: Any, **_named: Any) -> None:
        pytest.fail("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    with pytest.raises(JudgeError, match=r"weights of nobody/no-such-judge are not on this machine\. Fetch them with"):
        load_judge("transformers", {"model": "nobody/no-such-judge"})
    with pytest.raises(JudgeError, match="There is no folder"):
        judge(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(JudgeError, match=r"empty has no config\.json"):
        judge(tmp_path / "empty")
    judge(folder_of("qwen3_vl"))  # and one that is there asks nobody either


def test_a_model_of_the_hub_s_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = tmp_path / "models--someone--vlm" / "snapshots" / commit
    shutil.copytree(folder_of("qwen3_vl"), snapshot)
    (snapshot.parent.parent / "refs").mkdir()
    (snapshot.parent.parent / "refs" / "main").write_text(commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    asker = load_judge("transformers", {"model": "someone/vlm", "dtype": "float32", "max_tokens": 32})
    (reply,) = asker.judge([request(tmp_path, 1)])
    assert reply.model == "someone/vlm@0123456789ab"


def test_weights_that_would_be_unpickled(tmp_path: Path) -> None:
    folder = copied("qwen3_vl", tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(JudgeError, match="has no weights"):
        judge(folder)
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    with pytest.raises(JudgeError, match=r"\.bin files, which may run code"):
        judge(folder)


def test_weights_that_were_cut_off(tmp_path: Path) -> None:
    folder = copied("qwen3_vl", tmp_path)
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-100])
    with pytest.raises(JudgeError, match=r"model\.safetensors is not a readable safetensors file"):
        judge(folder)


def test_weights_that_are_not_complete(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = copied("qwen2_5_vl", tmp_path)
    tensors = load_file(folder / "model.safetensors")
    del tensors[next(name for name in sorted(tensors) if name.endswith("q_proj.weight"))]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(JudgeError, match="not complete: 1 tensors"):
        judge(folder)


@pytest.mark.parametrize("kind", ["bert", "qwen2", None, ["qwen3_vl"]])
def test_another_kind_of_model(kind: object, tmp_path: Path) -> None:
    folder = copied("qwen3_vl", tmp_path)
    (folder / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(JudgeError, match="does not know as a model that answers on pictures and text"):
        judge(folder)


def test_code_of_a_model_never_runs(tmp_path: Path) -> None:
    folder = copied("qwen3_vl", tmp_path)
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'owned')!r}, 'w')\nclass Evil: pass\n")
    for name in ("config.json", "preprocessor_config.json", "tokenizer_config.json"):
        values = json.loads((folder / name).read_text())
        autos = ("AutoConfig", "AutoModelForImageTextToText", "AutoProcessor", "AutoImageProcessor", "AutoTokenizer")
        values["auto_map"] = dict.fromkeys(autos, "evil.Evil")
        (folder / name).write_text(json.dumps(values))
    judge(folder)  # by the classes of transformers
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, "model_type": "evil"}))
    with pytest.raises(JudgeError, match="of the type 'evil'"):
        judge(folder)
    assert not (tmp_path / "owned").exists()


def test_without_a_chat_template(tmp_path: Path) -> None:
    folder = copied("qwen3_vl", tmp_path)
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(JudgeError, match="has no chat template"):
        judge(folder)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ messages[0].content[2].text }}", "shows 0 of two pictures"),
        ("{{ raise_exception('only system messages') }}", "does not work: only system messages"),
        ("{% if %}", "does not work"),
        ("{{ ''.__class__.__mro__ }}", "does not work"),  # run in a sandbox
    ],
)
def test_a_chat_template_that_is_of_no_use(template: str, words: str, tmp_path: Path) -> None:
    folder = copied("qwen3_vl", tmp_path)
    (folder / "chat_template.jinja").write_text(template)
    with pytest.raises(JudgeError, match=words):
        judge(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "preprocessor_config.json"])
def test_without_a_part(name: str, tmp_path: Path) -> None:
    folder = copied("qwen3_vl", tmp_path)
    (folder / name).write_text("{")
    with pytest.raises(JudgeError, match="copy cannot be loaded"):
        judge(folder)


def test_more_than_the_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    from training.gpu.diffusion import loading

    monkeypatch.setattr(loading, "memory_free", lambda: 500_000_000)
    with pytest.raises(JudgeError, match=r"needs about 1\.\d GB of memory for one request .* 0\.5 GB are there"):
        judge(folder_of("qwen3_vl"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_a_gpu_that_is_not_there(device: str) -> None:
    with pytest.raises(JudgeError, match=f"There is no device {device}: this machine has 0 GPUs"):
        judge(folder_of("qwen3_vl"), device=device)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "The setting model is missing"),
        ({"model": "owner/name", "mode": "fast"}, "has no setting mode. Its settings are: model, revision, dtype"),
        ({"model": ""}, "an absolute folder, or a Hub id"),
        ({"model": "name-alone"}, "an absolute folder, or a Hub id"),
        ({"model": "/a/../b"}, "an absolute folder, or a Hub id"),
        ({"model": "owner/../name"}, "an absolute folder, or a Hub id"),
        ({"model": 3}, "an absolute folder, or a Hub id"),
        ({"model": "owner/name", "dtype": "int8"}, "dtype must be one of auto, bfloat16, float16, float32"),
        ({"model": "owner/name", "device": "tpu"}, "device must be auto, cpu, cuda or cuda:N"),
        ({"model": "owner/name", "batch": 0}, "batch must be a whole number from 1 to 256"),
        ({"model": "owner/name", "batch": True}, "batch must be a whole number"),
        ({"model": "owner/name", "max_tokens": 10.5}, "max_tokens must be a whole number"),
        ({"model": "owner/name", "temperature": 3}, "temperature must be a number from 0 to 2"),
        ({"model": "owner/name", "temperature": math.nan}, "temperature must be a number from 0 to 2"),
        ({"model": "owner/name", "score_by": "guess"}, "score_by must be one of digits, text, digits-only"),
        ({"model": "owner/name", "max_side": 10}, "max_side must be a whole number from 32 to 4096"),
    ],
)
def test_settings_that_are_wrong_on_any_machine(given: dict[str, Any], words: str) -> None:
    with pytest.raises(JudgeError) as caught:
        check_settings("transformers", given)
    assert words in str(caught.value)
