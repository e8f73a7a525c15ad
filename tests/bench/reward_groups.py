"""What a group of n candidates costs a reward model: in one pass under a mask, and pair by pair.

Three schemes, the same backbone, forward and backward of one loss over all n(n-1)/2 pairs and both dimensions:

- pairs: for each pair, each of its two candidates and each of the two dimensions, a pass of its own over rubric,
  source, instruction and candidate. That is four passes and eight encoded pictures a pair. One pair at a time, with
  its backward, so that its memory is one pair's.
- rows: each candidate once, with rubric, source and instruction of its own; all in one batch.
- group: rubric, source and instruction once, then the candidates under the mask.

The backbone is a toy of Qwen2.5-VL's class with random weights, all of them trained in fp32. Its pictures have 63
tokens and its rubric is the first quarter of the real one: text and picture keep the proportion that they have for
pictures of 448 × 336 pixels, about one to one. Seconds are the process's own on one core, without preprocessing. Each
scheme and n is a process of its own; its memory is the most that it held in the step beyond what it held before,
gradients among the latter. `python -m tests.bench.reward_groups`; where there is a GPU, real sizes too.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COUNTS = (2, 4, 7, 12)
SCHEMES = ("pairs", "rows", "group")
DIMENSIONS = ("quality", "instruction_following")
TARGETS = {4: "at least 9", 7: "at least 25"}
INSTRUCTION = "Replace the red car on the left by a blue bicycle."
TOY = {"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 2}
TOY |= {"num_attention_heads": 12, "num_key_value_heads": 12, "mrope_section": [8, 12, 12]}
TOY_VISION = {"depth": 4, "hidden_size": 256, "intermediate_size": 512, "num_heads": 4, "fullatt_block_indexes": [1, 3]}
VISION = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16}
VISION |= {"fullatt_block_indexes": [7, 15, 23, 31]}
REAL = {  # sizes of the published Qwen2.5-VL configurations; the weights are random
    "3B": {"hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16},
    "7B": {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28},
}
KEYS = {"3B": 2, "7B": 4}
VOCABULARY = 151_936
ENDS = {"bos_token_id": None, "eos_token_id": None}
SHORT, LONG = (252, 196), (448, 448)  # pixels: 63 and 256 tokens a picture
ENOUGH = 10.0  # seconds of repeats


def row(what: str, value: float | str, unit: str = "", target: str = "") -> None:
    value = value if isinstance(value, str) else float(f"{value:.4g}")
    print(json.dumps({"what": what, "value": value, "unit": unit, "target": target}), flush=True)


# A backbone ----------------------------------------------------------------------------------------------------------


def tokenizer_of_words() -> Any:
    """Words of the template as tokens, as a real vocabulary has them; all else is a byte a token."""
    import re

    from training.gpu.reward.vlm import template
    from training.gpu.tiny import qwen_tokenizer

    tokenizer = qwen_tokenizer()
    text = " ".join([template.rubric(DIMENSIONS), template.PREFIX, template.SUFFIX, INSTRUCTION])
    words = set(re.findall(r"[A-Za-z]{2,}", text))
    tokenizer.add_tokens(sorted({*words, *re.findall(r" [A-Za-z]+", text)}))
    return tokenizer


def read_of(text: dict[str, Any], vision: dict[str, Any], words: int, device: str, dtype: Any) -> Any:
    """Model and family with random weights, made where they are used; no folder is needed."""
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    from training.gpu.reward.vlm import template
    from training.gpu.reward.vlm.families import Qwen25
    from training.gpu.reward.vlm.loading import Read, first_rows
    from training.gpu.tiny import QWEN_WORDS
    from training.gpu.vlm.model import without_videos

    tokenizer = tokenizer_of_words()
    processor = without_videos(Qwen2_5_VLProcessor)(Qwen2VLImageProcessorPil(), tokenizer)
    rewards = template.add_tokens(tokenizer, template.reward_tokens(DIMENSIONS))
    numbers = [tokenizer.convert_tokens_to_ids(word) for word in QWEN_WORDS]
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": text["mrope_section"]}
    config = Qwen2_5_VLConfig(
        text_config={**text, **ENDS, "rope_parameters": rope, "vocab_size": max(words, len(tokenizer))},
        vision_config={**vision, "patch_size": 14, "window_size": 112, "out_hidden_size": text["hidden_size"]},
        **dict(zip(["vision_start_token_id", "vision_end_token_id", "image_token_id"], numbers[2:5], strict=True)),
    )
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    with torch.device(device):
        core = Qwen2_5_VLForConditionalGeneration(config)
    torch.set_default_dtype(before)
    read = Read(core, Qwen25(processor, config), rewards, template.level_ids(tokenizer))
    first_rows(read, DIMENSIONS)
    return read


def network_of(read: Any, rubric: str, **values: Any) -> Any:
    """A network whose heads are not zero, so that gradients reach all of it."""
    import torch

    from training.gpu.reward.network import RewardNetwork
    from training.gpu.reward.vlm import template
    from training.gpu.reward.vlm.backbone import SHRUNK, Told
    from training.gpu.reward.vlm.loading import assembled

    told = Told(
        model="toy",
        revision="",
        fingerprint="",
        family="qwen2_5_vl",
        weights="all",
        dimensions=DIMENSIONS,
        tokens=template.reward_tokens(DIMENSIONS),
        level_words=template.LEVEL_WORDS,
        rubric=rubric,
        prefix=template.PREFIX,
        suffix=template.SUFFIX,
        max_side=448,
        shrunk=SHRUNK,
        images=read.images,
        dtype="float32",
        stored="float32",
        lora_rank=0,
        lora_alpha=32,
        train_vision=True,
    )
    network = RewardNetwork(assembled(read, replace(told, **values)), (0.0, 0.0), (1.0, 1.0))
    torch.nn.init.normal_(network.weight, std=0.05, generator=torch.Generator().manual_seed(1))
    return network


def toy() -> Any:
    import torch

    from training.gpu.reward.vlm import template

    words = template.rubric(DIMENSIONS).split()
    return network_of(read_of(TOY, TOY_VISION, 0, "cpu", torch.float32), " ".join(words[: len(words) // 4]))


def example(count: int, size: tuple[int, int]) -> Any:
    import numpy as np
    from PIL import Image

    from training.gpu.reward.network import Example

    chance = np.random.default_rng(0)
    pictures = [
        Image.fromarray(chance.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)) for _ in range(count + 1)
    ]
    return Example("bench", INSTRUCTION, pictures[0], tuple(pictures[1:]))


# The schemes ---------------------------------------------------------------------------------------------------------


def loss_of(better: Any, worse: Any) -> Any:
    """The pair loss, summed; which of two is better does not matter to what it costs."""
    import torch

    return torch.nn.functional.softplus(worse - better).sum()


def all_pairs(mu: Any, count: int) -> Any:
    import torch

    first, second = torch.tensor(list(combinations(range(count), 2)), device=mu.device).T
    return loss_of(mu[first], mu[second])


def step_of(network: Any, scheme: str, whole: Any) -> Callable[[], None]:
    """Forward and backward of all pairs of the group; what the pictures need before the network is made once."""
    backbone, count = network.backbone, len(whole.candidates)
    alone = [backbone.prepare(replace(whole, candidates=(one,))) for one in whole.candidates]
    together = backbone.prepare(whole)

    def pairs() -> None:
        for pair in combinations(alone, 2):
            loss = 0
            for dimension in range(len(DIMENSIONS)):
                better, worse = (network(backbone.collate([one]))[0][:, dimension] for one in pair)
                loss = loss + loss_of(better, worse)
            loss.backward()

    def rows() -> None:
        all_pairs(network(backbone.collate(alone))[0], count).backward()

    def group() -> None:
        all_pairs(network(backbone.collate([together]))[0], count).backward()

    return {"pairs": pairs, "rows": rows, "group": group}[scheme]


def measure(scheme: str, count: int, file: Path) -> None:
    """In a process of its own: prints seconds, MB and tokens; writes the gradients."""
    import torch
    from safetensors.torch import save_file

    torch.set_num_threads(1)
    network, whole = toy(), example(count, SHORT)
    step = step_of(network, scheme, whole)
    for value in network.parameters():
        value.grad = torch.zeros_like(value)  # what is there anyway does not count
    before = resident()
    seconds = [clocked(step)]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
    gradients = {name: value.grad.clone() for name, value in network.named_parameters()}
    save_file(gradients, file)
    while sum(seconds) < ENOUGH:
        seconds.append(clocked(step))
    told = [network.backbone.prepare(replace(whole, candidates=whole.candidates[:n])).length for n in (1, 2)]
    size = sum(value.numel() for value in network.parameters())
    print(json.dumps({"seconds": fmean(seconds[1:] or seconds), "memory": memory, "lengths": told, "parameters": size}))


def clocked(step: Callable[[], None]) -> float:
    start = time.process_time()
    step()
    return time.process_time() - start


def resident() -> float:
    """MB held now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def child(*words: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.reward_groups", *words]
    made = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(made.stdout.splitlines()[-1])
    return found


def difference(left: Path, right: Path) -> float:
    """The largest difference of a gradient's numbers, relative to the largest number of that gradient. That of the
    heads' bias is left out: a pair loss does not change when all scores shift, so it is zero but for rounding."""
    from safetensors.torch import load_file

    one, other = load_file(left), load_file(right)
    sizes = {name: float(value.abs().max()) for name, value in one.items() if name != "bias"}
    # The language head is not in the loss: it must have none in either.
    return max(float((one[name] - other[name]).abs().max()) / (size or 1e-9) for name, size in sizes.items())


def compare(count: int, folder: Path) -> None:
    found = {scheme: child("measure", scheme, str(count), str(folder / scheme)) for scheme in SCHEMES}
    group = found["group"]
    if count == COUNTS[0]:
        candidate = group["lengths"][1] - group["lengths"][0]
        row("parameters of the toy", group["parameters"] / 1e6, "million")
        row("tokens of rubric, source and instruction", group["lengths"][0] - candidate)
        row("tokens of a candidate", candidate)
    for scheme in SCHEMES:
        row(f"n = {count}: seconds, {scheme}", found[scheme]["seconds"], "s")
        row(f"n = {count}: memory, {scheme}", found[scheme]["memory"], "MB")
    pairs, rows = found["pairs"], found["rows"]
    row(f"n = {count}: time, pairs / group", pairs["seconds"] / group["seconds"], "×", TARGETS.get(count, ""))
    row(f"n = {count}: time, rows / group", rows["seconds"] / group["seconds"], "×")
    row(f"n = {count}: memory, pairs / group", pairs["memory"] / group["memory"], "×")
    row(f"n = {count}: memory, rows / group", rows["memory"] / group["memory"], "×")
    for scheme in ("pairs", "rows"):
        apart = difference(folder / scheme, folder / "group")
        row(f"n = {count}: gradients, {scheme} and group, largest relative difference", apart, "", "under 1e-4")


# A GPU ---------------------------------------------------------------------------------------------------------------


def measure_gpu(name: str, device: str = "cuda", count: int = 7, repeats: int = 5) -> None:
    """LoRA on the language model, frozen tower, bfloat16, checkpointing; forward and backward of one group."""
    import torch

    from training.gpu.reward.vlm import template
    from training.rewards.config import Config

    size = REAL[name]
    text = {**size, "num_key_value_heads": KEYS[name], "mrope_section": [16, 24, 24]}
    read = read_of(text, VISION, VOCABULARY, device, torch.bfloat16)
    values = {"weights": "adapter", "dtype": "bfloat16", "stored": "bfloat16", "lora_rank": 16, "train_vision": False}
    network = network_of(read, template.rubric(DIMENSIONS), **values).to(device)
    network.backbone.configure(Config(checkpointing=True, train_vision=False))
    step = step_of(network, "group", example(count, LONG))
    step()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    torch.cuda.synchronize()
    rate = repeats / (time.perf_counter() - start)
    memory = torch.cuda.max_memory_allocated() / 1e9
    print(json.dumps({"rate": rate, "memory": memory, "device": torch.cuda.get_device_name()}))


def on_gpu() -> None:
    import torch

    for name in REAL:
        what = f"{name}, 448 pixels, n = 7, LoRA, frozen tower, bfloat16"
        if not torch.cuda.is_available():
            row(f"{what}: groups a second", "not run on a GPU")
            continue
        found = child("gpu", name)
        row(f"{what}: groups a second on {found['device']}", found["rate"], "1/s")
        row(f"{what}: memory on {found['device']}", found["memory"], "GB")


def main(words: Sequence[str]) -> None:
    if words and words[0] == "measure":
        measure(words[1], int(words[2]), Path(words[3]))
    elif words and words[0] == "gpu":
        measure_gpu(words[1])
    else:
        for count in [int(word) for word in words] or COUNTS:
            with tempfile.TemporaryDirectory() as folder:
                compare(count, Path(folder))
        on_gpu()


if __name__ == "__main__":
    main(sys.argv[1:])
