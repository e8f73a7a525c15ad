"""The settings of a diffusers editor: what there is, what is allowed, and what a preset fills in. No torch here.

An editor's own values come first, then its preset's, then the defaults. An unknown name or a wrong value is refused
with the choice that there is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from training.gpu.diffusion import presets
from training.gpu.editors import EditorError
from training.memory import BYTES, FAMILIES, OFFLOADS, Family, Plan

DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]{1,2})?")
MAX_PIXELS = 4096
LORA_SETTINGS = ("file", "scale", "alpha", "merge")


@dataclass(frozen=True, slots=True)
class Check:
    words: str
    test: Callable[[Any], bool]


def whole(low: int, high: int) -> Check:
    def test(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

    return Check(f"a whole number from {low} to {high}", test)


def number(low: float, high: float) -> Check:
    def test(value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high

    return Check(f"a number from {low:g} to {high:g}", test)


def one_of(*names: str) -> Check:
    return Check(f"one of {', '.join(names)}", lambda value: value in names)


def text(most: int) -> Check:
    return Check(f"a text of at most {most} characters", lambda value: isinstance(value, str) and len(value) <= most)


YES_NO = Check("true or false", lambda value: isinstance(value, bool))
CHECKS: dict[str, Check] = {
    "preset": one_of("auto", *presets.NAMES),
    "model": Check("a folder or a Hub id", lambda value: isinstance(value, str) and 0 < len(value) <= 500),
    "revision": text(100),
    "device": Check(
        "auto, cpu, cuda or cuda:N", lambda value: isinstance(value, str) and bool(DEVICE.fullmatch(value))
    ),
    "device_map": one_of("none", "balanced"),
    "dtype": one_of(*BYTES),
    "offload": one_of(*OFFLOADS),
    "attention": text(50),
    "compile": YES_NO,
    "batch": whole(1, 64),
    "size": whole(32, MAX_PIXELS),
    "steps": whole(1, 1000),
    "guidance": number(0, 100),
    "image_guidance": number(1, 100),
    "true_cfg": number(1, 100),
    "negative_prompt": text(2000),
    "words": whole(16, 512),
    "condition_size": whole(32, 1024),
    "lora": Check(f"an object with file and, if wanted, {', '.join(LORA_SETTINGS[1:])}", lambda v: isinstance(v, dict)),
}
COMMON: dict[str, Any] = {
    "preset": "auto",
    "revision": "",
    "device": "auto",
    "device_map": "none",
    "dtype": "bfloat16",
    "offload": "none",
    "attention": "default",
    "compile": False,
    "batch": 1,
    "lora": None,
}


@dataclass(frozen=True, slots=True)
class Spec:
    """What one editor is. ``part`` is the component that edits, and that a LoRA changes; ``own`` its further settings
    with their defaults, among them ``size`` and ``steps``."""

    name: str
    family: str
    pipeline: str
    model: str
    own: Mapping[str, Any]
    part: str = "transformer"

    @property
    def numbers(self) -> Family:
        return FAMILIES[self.family]


@dataclass(frozen=True, slots=True)
class Lora:
    """``alpha`` is for a file that does not say it; None takes the file's word, and the rank where it has none."""

    file: str
    scale: float = 1.0
    alpha: float | None = None
    merge: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """Checked and complete. ``own`` holds what only some editors have."""

    preset: str
    model: str
    revision: str
    device: str
    device_map: str
    dtype: str
    offload: str
    attention: str
    compile: bool
    batch: int
    size: int
    steps: int
    lora: Lora | None
    own: Mapping[str, Any] = field(default_factory=dict)


def parse(spec: Spec, settings: Mapping[str, Any], gpu_memory: int | None) -> Settings:
    """Complete settings for this machine: ``gpu_memory`` is its GPU's whole memory in bytes, None where it has none.

    Raises EditorError for a name that does not exist, a value that is not allowed, or two that contradict each other.
    """
    check(spec, settings)
    name = settings.get("preset", "auto")
    if name == "auto":
        device = settings.get("device", "auto")
        name = presets.for_device(None if device == "cpu" else gpu_memory)
    values = {
        **COMMON,
        "model": spec.model,
        **spec.own,
        **presets.preset(name, spec.family),
        **settings,
        "preset": name,
    }
    if values["device"] == "auto":
        values["device"] = "cpu" if gpu_memory is None else "cuda"
    if "offload" not in settings and (values["device"] == "cpu" or values["device_map"] != "none"):
        values["offload"] = "none"  # the preset's would contradict what was asked for
    values["lora"] = _lora(values["lora"])
    _agree(values)
    own = {key: values.pop(key) for key in spec.own if key not in ("size", "steps")}
    return Settings(**values, own=own)


def check(spec: Spec, settings: Mapping[str, Any]) -> None:
    """Refuse names and values that are wrong whatever the machine. Raises EditorError."""
    names = sorted({*COMMON, "model", *spec.own})
    if unknown := sorted(set(settings) - set(names)):
        raise EditorError(f"{spec.name} has no setting {', '.join(unknown)}. Its settings are: {', '.join(names)}.")
    for name, value in settings.items():
        if not CHECKS[name].test(value) and not (name == "lora" and value is None):
            raise EditorError(f"The setting {name} of {spec.name} must be {CHECKS[name].words}; it is {value!r:.100}.")
    _lora(settings.get("lora"))
    _agree({"device": "cuda", "device_map": "none", "offload": "none", **settings})


def _lora(value: Mapping[str, Any] | None) -> Lora | None:
    if value is None:
        return None
    if unknown := sorted(set(value) - set(LORA_SETTINGS)):
        raise EditorError(f"lora has no setting {', '.join(unknown)}. It has: {', '.join(LORA_SETTINGS)}.")
    if not isinstance(value.get("file"), str) or not value["file"].endswith(".safetensors"):
        raise EditorError("lora.file must be the path of a .safetensors file; nothing else is loaded.")
    for name, test in (("scale", number(-10, 10)), ("alpha", number(0.001, 100_000)), ("merge", YES_NO)):
        if name in value and not test.test(value[name]):
            raise EditorError(f"lora.{name} must be {test.words}; it is {value[name]!r:.100}.")
    return Lora(**value)


def _agree(values: Mapping[str, Any]) -> None:
    if values["device"] == "cpu" and values["offload"] != "none":
        raise EditorError(f"Offload {values['offload']!r} moves weights between a GPU and memory; the device is cpu.")
    if values["device"] == "cpu" and values["device_map"] != "none":
        raise EditorError("device_map 'balanced' spreads a model over several GPUs; the device is cpu.")
    if values["device_map"] != "none" and values["offload"] != "none":
        raise EditorError("device_map 'balanced' and offload exclude each other: choose one.")


def plan(spec: Spec, settings: Settings, *, family: Family | None = None, rank: int = 0) -> Plan:
    """What to ask ``training.memory`` about. ``family`` replaces the published numbers by a folder's own."""
    held = 0 if settings.lora is None or settings.lora.merge else rank
    numbers = family or spec.numbers
    gpu = settings.device != "cpu"
    return Plan(numbers, settings.dtype, settings.offload, settings.batch, settings.size, held, gpu)
