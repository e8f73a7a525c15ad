"""The settings of a vision-language model as a judge: what there is and what is allowed. No torch: pages ask it too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scoring.judging.contract import JudgeError
from training.gpu.diffusion.settings import DEVICE, Check, number, one_of, text, whole
from training.gpu.diffusion.weights import HUB_ID

DTYPES = ("auto", "bfloat16", "float16", "float32")
# digits: by the digits' probabilities where the answer writes its score; text: the number that it writes; digits-only:
# by the digits' probabilities straight after the prompt, without an answer in words.
DIGITS, TEXT, DIGITS_ONLY = "digits", "text", "digits-only"


@dataclass(frozen=True, slots=True)
class Settings:
    """Checked and complete. ``max_side``: pixels of a picture's longer side at most; ``max_tokens``: of an answer;
    ``batch``: requests at once. ``revision`` is of a Hub id; empty is the one that the cache calls its main one."""

    model: str
    revision: str = ""
    dtype: str = "auto"
    device: str = "auto"
    batch: int = 4
    max_tokens: int = 1024
    temperature: float = 0.0
    score_by: str = DIGITS
    max_side: int = 1024


DEFAULTS: Mapping[str, Any] = {name: value for name, value in asdict(Settings("")).items() if name != "model"}
ON_MACHINE = ("device", "batch")  # how it is run; the others change what it answers


def is_model(value: object) -> bool:
    """Whether it could be one: an absolute folder, or a Hub id. Nothing is looked up."""
    if not isinstance(value, str) or len(value) > 500 or "\0" in value or ".." in value:
        return False
    return Path(value).is_absolute() or bool(HUB_ID.fullmatch(value))


CHECKS: Mapping[str, Check] = {
    "model": Check("an absolute folder, or a Hub id of the form owner/name", is_model),
    "revision": text(100),
    "dtype": one_of(*DTYPES),
    "device": Check(
        "auto, cpu, cuda or cuda:N", lambda value: isinstance(value, str) and bool(DEVICE.fullmatch(value))
    ),
    "batch": whole(1, 256),
    "max_tokens": whole(32, 32_000),
    "temperature": number(0, 2),
    "score_by": one_of(DIGITS, TEXT, DIGITS_ONLY),
    "max_side": whole(32, 4096),
}


def parse(settings: Mapping[str, Any]) -> Settings:
    """Raises JudgeError for a name that does not exist, a value that is not allowed, or no model."""
    if unknown := sorted(set(settings) - set(CHECKS)):
        raise JudgeError(f"This judge has no setting {', '.join(unknown)}. Its settings are: {', '.join(CHECKS)}.")
    if "model" not in settings:
        raise JudgeError("The setting model is missing: a folder on the worker's machine, or a Hub id.")
    for name, value in settings.items():
        if not CHECKS[name].test(value):
            raise JudgeError(f"The setting {name} must be {CHECKS[name].words}; it is {value!r:.100}.")
    return Settings(**settings)
