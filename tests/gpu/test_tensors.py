"""Headers of safetensors files: read without torch, and hostile."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from training.gpu.tensors import WrongTensors, lora_rank, read_header


def written(path: Path, header: Any, numbers: bytes = b"") -> Path:
    words = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(words)) + words + numbers)
    return path


def test_a_real_file_is_read_as_the_library_wrote_it(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    save_file(
        {"x.lora_A.weight": torch.zeros(4, 16), "x.lora_B.weight": torch.zeros(32, 4), "x.alpha": torch.tensor(8.0)},
        file,
        metadata={"who": "we"},
    )
    header = read_header(file)
    assert {name: tensor.shape for name, tensor in header.tensors.items()} == {
        "x.lora_A.weight": (4, 16),
        "x.lora_B.weight": (32, 4),
        "x.alpha": (),
    }
    assert sum(tensor.count for tensor in header.tensors.values()) == 64 + 128 + 1
    assert header.metadata == {"who": "we"}
    assert lora_rank(file) == 4


def test_a_convolution_has_its_rank_in_its_first_two_sides(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    save_file({"down": torch.zeros(8, 64, 3, 3), "up": torch.zeros(64, 8, 1, 1)}, file)
    assert lora_rank(file) == 8


WHOLE = {"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}}


@pytest.mark.parametrize(
    ("header", "numbers", "words"),
    [
        (WHOLE, b"1", "cut off"),
        (WHOLE, b"123", "cut off"),
        ([1], b"", "no object"),
        (b"{", b"", ""),
        (b"[" * 100_000, b"", ""),
        ({"a": {"shape": [2]}}, b"", "no shape or place"),
        ({"a": {"shape": [-2], "data_offsets": [0, 2]}}, b"12", "no shape or place"),
        ({"a": {"shape": ["2"], "data_offsets": [0, 2]}}, b"12", "no shape or place"),
        ({"a": {"shape": [2], "data_offsets": [2]}}, b"12", "no shape or place"),
        ({"a": 1}, b"", "no shape or place"),
        ({"__metadata__": [1], **WHOLE}, b"12", "metadata"),
    ],
)
def test_damaged_files_are_refused(header: Any, numbers: bytes, words: str, tmp_path: Path) -> None:
    file = written(tmp_path / "a.safetensors", header, numbers)
    with pytest.raises(WrongTensors, match=words):
        read_header(file)
    assert lora_rank(file) == 0


@given(data=st.binary(max_size=64))
def test_any_bytes_are_refused_in_words(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "any.safetensors"
    file.write_bytes(data)
    with pytest.raises(WrongTensors):
        read_header(file)
    with pytest.raises(WrongTensors):
        read_header(file.with_name("missing"))
