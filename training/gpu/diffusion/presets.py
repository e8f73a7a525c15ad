"""Settings that suit a GPU's size. An editor's own settings come before its preset's.

A preset says how a model is held, never how it edits: the same seed gives the same picture under any of them, but for
rounding. The table of docs/editors.md is ``memory_table``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training.memory import FAMILIES, GB, Plan, estimate, gb

GIB = 1024**3
# What torch can use of the card, and what it is.
GPUS: dict[str, tuple[int, str]] = {
    "24gb": (23 * GIB, "RTX 4090, A10, L4"),
    "48gb": (47 * GIB, "L40S, A6000"),
    "80gb": (78 * GIB, "A100, H100"),
    "141gb": (139 * GIB, "H200"),
}
CPU = {"device": "cpu", "dtype": "float32", "offload": "none", "batch": 1}
SMALL = ("instruct-pix2pix",)

_HELD: dict[tuple[str, str], tuple[str, int]] = {  # (preset, family): offload mode, batch
    ("24gb", "flux-kontext"): ("group", 4),
    ("24gb", "qwen-image-edit"): ("group", 4),
    ("24gb", "qwen-image-edit-plus"): ("group", 4),
    ("24gb", "instruct-pix2pix"): ("none", 12),
    ("48gb", "flux-kontext"): ("none", 4),
    ("48gb", "qwen-image-edit"): ("model", 2),
    ("48gb", "qwen-image-edit-plus"): ("model", 2),
    ("48gb", "instruct-pix2pix"): ("none", 12),
    ("80gb", "flux-kontext"): ("none", 12),
    ("80gb", "qwen-image-edit"): ("none", 6),
    ("80gb", "qwen-image-edit-plus"): ("none", 6),
    ("80gb", "instruct-pix2pix"): ("none", 12),
    ("141gb", "flux-kontext"): ("none", 12),
    ("141gb", "qwen-image-edit"): ("none", 12),
    ("141gb", "qwen-image-edit-plus"): ("none", 12),
    ("141gb", "instruct-pix2pix"): ("none", 12),
}
NAMES = ("cpu", *GPUS)


def preset(name: str, family: str) -> Mapping[str, Any]:
    """The settings of that preset for that family of models."""
    if name == "cpu":
        return CPU
    offload, batch = _HELD[name, family]
    dtype = "float16" if family in SMALL else "bfloat16"
    return {"device": "cuda", "dtype": dtype, "offload": offload, "batch": batch}


def for_device(memory: int | None) -> str:
    """The preset for a GPU with ``memory`` bytes: the largest that is not larger, or the smallest; None is no GPU."""
    if memory is None:
        return "cpu"
    fitting = [name for name, (size, _) in GPUS.items() if size <= memory]
    return fitting[-1] if fitting else next(iter(GPUS))


def memory_table() -> str:
    """The table of docs/editors.md: each preset's estimate at 1024 and 512 px, in GB."""
    lines = [
        "| preset | editor | offload | batch | 1024 px | 512 px | machine's memory |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, (size, _) in GPUS.items():
        for family, numbers in FAMILIES.items():
            held = preset(name, family)
            plans = [Plan(numbers, held["dtype"], held["offload"], held["batch"], side, 32) for side in (1024, 512)]
            large, small = (estimate(plan) for plan in plans)
            cells = (f"{name} ({size / GB:.0f} GB)", numbers.title, held["offload"], str(held["batch"]))
            figures = (gb(large.total), gb(small.total), gb(large.host) if large.host else "")
            lines.append("| " + " | ".join([*cells, *figures]) + " |")
    return "\n".join(lines)
