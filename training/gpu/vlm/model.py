"""A vision-language model that is loaded: pictures and text in, text and the digits' probabilities out.

Rows of a batch are padded on the left, so that each ends where its answer begins; the padding is masked, and positions
are counted from each row's own first token. A row therefore gets the same logits alone and in a batch, up to rounding.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageTextToText,
    AutoTokenizer,
    GenerationConfig,
    LogitsProcessor,
)

from scoring.judging.contract import JudgeError
from training.gpu.vlm import weights
from training.gpu.vlm.needs import check_memory, needs
from training.gpu.vlm.settings import Settings

DIGITS = "0123456789"
SPACES = "Ġ▁Ċ "  # how vocabularies write white space at the start of a token
LOAD_ERRORS = (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, ImportError, SafetensorError)
HERE: Mapping[str, Any] = {"local_files_only": True, "trust_remote_code": False}


class CannotPrepare(Exception):
    """The processor does not take a prompt of the batch, such as one with a picture of one pixel's height."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One user message. ``key`` seeds the sampling at a temperature above 0."""

    pictures: Sequence[Image.Image]
    text: str
    key: str


@dataclass(frozen=True, slots=True)
class Written:
    """What the model wrote. ``tokens``: the text of each token, without what ends the answer; ``digits``: for each of
    them the log-probability of every token that is a digit, as (digit, value); ``whole``: it came to an end."""

    text: str
    tokens: tuple[str, ...]
    digits: tuple[tuple[tuple[str, float], ...], ...]
    tokens_in: int
    tokens_out: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Model:
    """``digits``: numbers of the tokens that are one digit, with or without a space before it."""

    model: Any
    processor: Any
    device: torch.device
    name: str
    digits: Any
    ends: frozenset[int]

    def write(self, prompts: Sequence[Prompt], most: int, temperature: float = 0.0, start: str = "") -> list[Written]:
        """Up to ``most`` tokens for each prompt; ``start`` is put at the start of each answer. At temperature 0 the
        likeliest tokens; above it each prompt is sampled by its own key, whatever the batch. Raises
        CannotPrepare, and torch's OutOfMemoryError.
        """
        inputs = self._inputs(prompts, start)
        watch = Watch(self.digits)
        processors: list[Any] = [watch]
        if temperature > 0:
            processors.append(Sampler(temperature, [prompt.key for prompt in prompts], self.device))
        with torch.inference_mode():
            whole = self.model.generate(**inputs, max_new_tokens=most, logits_processor=processors)
        begin = inputs["input_ids"].shape[1]
        seen = torch.stack(watch.seen, dim=1).tolist()  # rows × steps × digits
        counts = inputs["attention_mask"].sum(1).tolist()
        rows = zip(whole[:, begin:].tolist(), seen, counts, strict=True)
        return [self._written(tokens, digits, count) for tokens, digits, count in rows]

    def _written(self, tokens: list[int], digits: list[list[float]], tokens_in: int) -> Written:
        end = next((place for place, token in enumerate(tokens) if token in self.ends), len(tokens))
        tokenizer, names = self.processor.tokenizer, self._digit_names()
        pieces = tokenizer.batch_decode([[token] for token in tokens[:end]])
        text = tokenizer.decode(tokens[:end], skip_special_tokens=True)
        # One step more than there are tokens: where the answer ended, a digit could have stood as well.
        steps = tuple(tuple(zip(names, step, strict=True)) for step in digits[: end + 1])
        return Written(text, tuple(pieces), steps, tokens_in, min(end + 1, len(tokens)), end < len(tokens))

    def _digit_names(self) -> list[str]:
        return [token.strip(SPACES) for token in self.processor.tokenizer.convert_ids_to_tokens(self.digits.tolist())]

    def _inputs(self, prompts: Sequence[Prompt], start: str) -> dict[str, Any]:
        """The model's inputs, rows × tokens, padded on the left."""
        try:
            made = self.processor.apply_chat_template(
                [[self._message(prompt)] for prompt in prompts],
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                processor_kwargs={"padding": True, "padding_side": "left"},
            )
        except (ValueError, TypeError, IndexError, ZeroDivisionError) as error:
            raise CannotPrepare(str(error)) from error
        inputs = dict(made.to(self.device, dtype=self.model.dtype))
        return with_start(inputs, start_tokens(self.processor.tokenizer, start)) if start else inputs

    def _message(self, prompt: Prompt) -> dict[str, Any]:
        pictures = [{"type": "image", "image": picture} for picture in prompt.pictures]
        text = defused(prompt.text, self.processor.tokenizer)
        return {"role": "user", "content": [*pictures, {"type": "text", "text": text}]}


def defused(text: str, tokenizer: Any) -> str:
    """The text without control tokens, each broken by a space: whoever wrote an instruction must neither end the
    message nor add pictures. transformers has ``sanitize_control_tokens``, which not all of its processors heed."""
    for token in tokenizer.added_tokens_decoder.values():
        if token.special and len(token.content) > 1:
            text = text.replace(token.content, f"{token.content[0]} {token.content[1:]}")
    return text


def start_tokens(tokenizer: Any, start: str) -> list[int]:
    """The tokens of a start that a digit follows, as they would be with the digit there: some vocabularies have the
    space and the digit in one token."""
    rows = [tokenizer.encode(start + digit, add_special_tokens=False) for digit in DIGITS]
    common = 0
    while all(len(row) > common + 1 for row in rows) and len({row[common] for row in rows}) == 1:
        common += 1
    return list(rows[0][:common])


def with_start(inputs: dict[str, Any], tokens: list[int]) -> dict[str, Any]:
    """The inputs with those tokens at the end of every row."""
    rows = inputs["input_ids"].shape[0]

    def longer(value: Any, added: list[int]) -> Any:
        return torch.cat([value, value.new_tensor([added] * rows)], dim=1)

    changed = {"input_ids": longer(inputs["input_ids"], tokens)}
    changed["attention_mask"] = longer(inputs["attention_mask"], [1] * len(tokens))
    for name in {"mm_token_type_ids", "token_type_ids"} & set(inputs):
        changed[name] = longer(inputs[name], [0] * len(tokens))
    return {**inputs, **changed}


class Watch(LogitsProcessor):
    """Keeps the digits' log-probabilities of every step, by the model's own logits. The whole vocabulary's would take
    gigabytes."""

    def __init__(self, tokens: Any) -> None:
        self.tokens, self.seen = tokens, []  # type: ignore[var-annotated]

    def __call__(self, _input_ids: Any, scores: Any) -> Any:
        logits = scores.float()
        self.seen.append(logits[:, self.tokens] - logits.logsumexp(-1, keepdim=True))
        return scores


class Sampler(LogitsProcessor):
    """Sampling by the largest of logits / temperature + Gumbel noise, which is a draw from the softmax. Each row has
    noise of its own, so that no other row of the batch changes what is drawn."""

    def __init__(self, temperature: float, keys: Sequence[str], device: torch.device) -> None:
        self.temperature = temperature
        seeds = [int.from_bytes(sha256(key.encode()).digest()[:7], "big") for key in keys]
        self.generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def __call__(self, _input_ids: Any, scores: Any) -> Any:
        size, device = scores.shape[1], scores.device
        draws = [torch.rand(size, generator=one, device=device, dtype=torch.float64) for one in self.generators]
        gumbel = -torch.log(-torch.log(torch.stack(draws).clamp(1e-300, 1 - 1e-16)))
        return scores / self.temperature + gumbel.to(scores.dtype)


# Loading -------------------------------------------------------------------------------------------------------------


def load(settings: Settings) -> Model:
    """The model of those settings. Raises JudgeError with a sentence for the user."""
    import_module("transformers.utils.logging").disable_progress_bar()  # the job's log is for people
    device = device_of(settings)
    found = weights.find(settings)
    kind = processor_class(found)
    check_memory(needs(found, settings), *_free(device))
    try:
        processor = read_processor(kind, found.folder)
        model, report = _read(found, settings, device)
    except torch.OutOfMemoryError:
        raise JudgeError(f"The GPU's memory does not hold {found.name}. Use a smaller model or dtype.") from None
    except LOAD_ERRORS as error:
        raise JudgeError(f"{found.name} cannot be loaded ({type(error).__name__}): {error!s:.500}") from error
    if missing := report["missing_keys"]:
        raise JudgeError(f"The weights of {found.name} are not complete: {len(missing)} tensors are missing.")
    tokenizer = processor.tokenizer
    ends = _ends(model, tokenizer)
    pad = next((one for one in (tokenizer.pad_token_id, *sorted(ends)) if one is not None), 0)
    # What a folder says of sampling would come between the model's logits and the answer.
    model.generation_config = GenerationConfig(do_sample=False, eos_token_id=sorted(ends) or None, pad_token_id=pad)
    digits = torch.tensor(digit_tokens(tokenizer), dtype=torch.long, device=device)
    return Model(model.eval(), processor, device, weights.told_apart(found), digits, ends)


def _free(device: torch.device) -> tuple[int, str]:
    """Bytes that are free there now, and what to call them."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0], "GPU memory"
    from training.gpu.diffusion.loading import memory_free  # which imports diffusers: seconds, for this alone

    return memory_free(), "memory"


def device_of(settings: Settings) -> torch.device:
    """Raises JudgeError where the settings name a device that is not here."""
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if settings.device == "auto":
        return torch.device("cuda" if there else "cpu")
    device = torch.device(settings.device)
    if device.type == "cuda" and (device.index or 0) >= there:
        raise JudgeError(f"There is no device {settings.device}: this machine has {there} GPUs. Set it to auto.")
    return device


def processor_class(found: weights.Found) -> Any:
    """The class of transformers that prepares text and pictures for such a model. Raises JudgeError where the model is
    none that answers on text and pictures."""
    auto = import_module("transformers.models.auto.modeling_auto")
    kind = found.config.get("model_type")
    if not isinstance(kind, str) or kind not in auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        raise JudgeError(
            f"{found.name} is of the type {kind!r}, which transformers does not know as a model that answers on "
            f"pictures and text. Choose one such as Qwen3-VL, Qwen2.5-VL or InternVL (in its -hf form)."
        )
    name = import_module("transformers.models.auto.processing_auto").PROCESSOR_MAPPING_NAMES.get(kind)
    if not isinstance(name, str):
        raise JudgeError(f"{found.name} is of the type {kind!r}, for which transformers has no processor.")
    return getattr(import_module("transformers"), name)


def _read(found: weights.Found, settings: Settings, device: torch.device) -> tuple[Any, Any]:
    config = AutoConfig.from_pretrained(found.folder, **HERE)
    placed = {"device_map": {"": device}} if device.type == "cuda" else {}  # not first into the machine's memory
    model, report = AutoModelForImageTextToText.from_pretrained(
        found.folder,
        config=config,
        dtype=settings.dtype if settings.dtype == "auto" else getattr(torch, settings.dtype),
        use_safetensors=True,
        output_loading_info=True,
        **HERE,
        **placed,
    )
    return model, report


def read_processor(kind: Any, folder: Path) -> Any:
    """A processor of that class for pictures alone. Raises what transformers raises, and JudgeError without a chat
    template that shows pictures."""
    images = AutoImageProcessor.from_pretrained(folder, backend="pil", **HERE)  # one arithmetic on all machines
    tokenizer = AutoTokenizer.from_pretrained(folder, **HERE)
    told, _rest = kind.get_processor_dict(folder, local_files_only=True)
    accepted = set(inspect.signature(kind.__init__).parameters) - set(kind.get_attributes()) - {"self", "kwargs"}
    own = {name: value for name, value in told.items() if name in accepted}
    own.setdefault("chat_template", tokenizer.chat_template)
    processor = without_videos(kind)(images, tokenizer, **own)
    if not processor.chat_template:
        raise JudgeError(f"{folder.name} has no chat template: it was not made to follow instructions.")
    _try_template(processor, folder.name)
    return processor


def _try_template(processor: Any, name: str) -> None:
    """Raises JudgeError for a template that fails, or leaves out pictures: the same would happen to every request."""
    pictures = [{"type": "image"}] * 2
    message = {"role": "user", "content": [*pictures, {"type": "text", "text": "Judge."}]}
    try:
        text = processor.apply_chat_template([message], add_generation_prompt=True)
    except Exception as error:  # templates raise what they like
        raise JudgeError(f"The chat template of {name} does not work: {error!s:.300}") from error
    token = getattr(processor, "image_token", None)
    if token and text.count(token) != len(pictures):
        raise JudgeError(f"The chat template of {name} shows {text.count(token)} of two pictures.")


@cache
def without_videos(kind: Any) -> Any:
    """The class without its processor of videos, which needs torchvision and is never used here."""

    class Pictures(kind):
        def __init__(self, image_processor: Any, tokenizer: Any, **own: Any) -> None:
            super().__init__(image_processor=image_processor, tokenizer=tokenizer, **own)

    Pictures.__name__ = kind.__name__
    return Pictures


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens that end an answer: by the folder's generation settings, and by its tokenizer."""
    told = getattr(model.generation_config, "eos_token_id", None)
    listed = told if isinstance(told, list) else [told]
    return frozenset(token for token in (*listed, tokenizer.eos_token_id) if isinstance(token, int))


def digit_tokens(tokenizer: Any) -> list[int]:
    """The numbers of all tokens that are one digit, but for white space before it."""
    return sorted(
        number
        for token, number in tokenizer.get_vocab().items()
        if len(bare := token.strip(SPACES)) == 1 and bare in DIGITS
    )
