"""Groups of small pictures, and the plain model of transformers beside the backbone: what its tests share."""

from collections.abc import Sequence
from typing import Any

from PIL import Image

from tests.gpu.tiny_judges import folder_of
from training.gpu.reward.network import Example
from training.gpu.reward.vlm import build
from training.gpu.reward.vlm.backbone import TransformersBackbone
from training.rewards.config import Config

DIMENSIONS = ("quality", "instruction_following")
SIZES = ((24, 24), (40, 24), (16, 48), (32, 32))
SCALE = 2.0  # of the tiny weights: large enough that pictures matter, small enough for fp32


def picture(number: int) -> Image.Image:
    """One of its own for each number, in sizes that differ."""
    noise = Image.effect_mandelbrot(SIZES[number % len(SIZES)], (-2 + number / 9, -1, 1, 1), 20).convert("RGB")
    return noise.point([(value + 37 * number) % 256 for value in range(256)] * 3)


def group(start: int, count: int, instruction: str = "Make it blue.") -> Example:
    return Example(f"g{start}", instruction, picture(start), tuple(picture(start + 1 + n) for n in range(count)))


def alone(example: Example) -> list[Example]:
    """Each candidate as a group of its own."""
    return [Example(example.key, example.instruction, example.source, (one,)) for one in example.candidates]


def made(kind: str, dimensions: Sequence[str] = DIMENSIONS, **values: Any) -> TransformersBackbone:
    """A backbone on tiny random weights; ``lora_rank`` 0 unless told."""
    folder = folder_of(kind, SCALE)
    told = {"backbone": "transformers", "model": str(folder), "lora_rank": 0, "device": "cpu", "max_side": 48}
    config = Config.from_json({**told, **values})
    backbone = build(config, dimensions)
    backbone.configure(config)
    return backbone


def states(backbone: TransformersBackbone, examples: Sequence[Example]) -> Any:
    return backbone(backbone.collate([backbone.prepare(one) for one in examples]))


def plain_states(backbone: TransformersBackbone, example: Example) -> Any:
    """A group of one candidate through the model as transformers runs it: no mask, no positions, its own features."""
    row = backbone.prepare(example).tensors
    ids, core = row["ids"][None], backbone.core
    inputs = {"input_ids": ids, "pixel_values": row["pixels"]}
    if backbone.told.family != "internvl":
        inputs |= {"image_grid_thw": row["shapes"], "mm_token_type_ids": (ids == core.config.image_token_id).int()}
    hidden = core.model(**inputs, use_cache=False).last_hidden_state[0]
    return hidden[-len(backbone.dimensions) :]


def gradients(backbone: TransformersBackbone, hidden: Any) -> dict[str, Any]:
    """Of a fixed sum of the states, by parameter; what was there before is cleared."""
    import torch

    weights = torch.linspace(-1, 1, hidden.numel()).reshape(hidden.shape)
    backbone.zero_grad(set_to_none=True)
    (hidden * weights).sum().backward()
    return {name: value.grad.clone() for name, value in backbone.named_parameters() if value.grad is not None}


def largest_difference(left: dict[str, Any], right: dict[str, Any]) -> float:
    """Over all gradients, relative to the largest number of each."""
    assert set(left) == set(right) and left
    return max(float((left[name] - right[name]).abs().max() / (left[name].abs().max() + 1e-6)) for name in left)


def randomised(backbone: TransformersBackbone) -> TransformersBackbone:
    """With trained numbers that are not where they began: LoRA begins as nothing."""
    import torch

    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for value in backbone.trained().values():
            value.add_(torch.randn(value.shape, generator=generator) * 0.05)
    return backbone
