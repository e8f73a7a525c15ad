"""Tiny vision-language models of the real classes, made from configuration and saved as the published folders are.

``random`` ones answer nonsense. ``taught`` ones have learnt one answer by heart, in some seconds: they are for what
comes after a readable answer.
"""

import atexit
import json
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from scoring.judging.contract import Request, cache_key
from training.gpu.tiny import END, QWEN_WORDS, _bytes, _numbered, qwen_tokenizer

KINDS = ("qwen3_vl", "qwen2_5_vl", "internvl")
EACH = pytest.mark.parametrize("kind", KINDS)
# The form of a chat that these families have, with the pictures' places; ours, and short.
TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% for part in message.content -%}
{%- if part.type == 'image' -%}PICTURE{%- else -%}{{ part.text }}{%- endif -%}
{%- endfor %}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
{% endif -%}"""
PIECES = (
    '{"answers": [{"question": 1, "answer": "yes", "why": "Seen."}], ',
    '"reasoning": "It is there.", ',
    '"score": ',
)
ANSWER = "".join(PIECES) + "%s}"
TAUGHT, STEPS = ("3", "4", "4"), 60  # a third of what it learns gives 3
PLACES = {"internvl": "<IMG_CONTEXT>"}
INTERNVL_WORDS = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
}
TEXT_SIZE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}


@cache
def _root() -> Path:
    import torch

    torch.set_num_threads(1)  # the models are so small that threads only wait for each other
    folder = Path(tempfile.mkdtemp(prefix="judges"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def folder_of(kind: str, scale: float = 8.0) -> Path:
    """The folder of that kind's model with random weights. Do not write there.

    ``scale`` makes something of weights that begin as almost nothing: the answer has to depend on what is asked.
    """
    import torch

    folder = _root() / f"{kind}-{scale:g}"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, tokenizer, images = MAKERS[kind]()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(scale)
    save(model, tokenizer, images, kind, folder)
    return folder


def save(model: Any, tokenizer: Any, images: Any, kind: str, folder: Path) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    images.save_pretrained(folder)
    place = PLACES.get(kind, "<|vision_start|><|image_pad|><|vision_end|>")
    (folder / "chat_template.jinja").write_text(TEMPLATE.replace("PICTURE", place))
    if kind == "internvl":
        own = {"image_seq_length": 4, "processor_class": "InternVLProcessor"}
        (folder / "processor_config.json").write_text(json.dumps(own))


def with_pieces(tokenizer: Any) -> Any:
    """Whole pieces of the answer as tokens, so that it is learnt in a moment; all else is a byte a token."""
    tokenizer.add_tokens(list(PIECES))
    return tokenizer


def _qwen_images() -> Any:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    return Qwen2VLImageProcessorPil(size={"shortest_edge": 16 * 16, "longest_edge": 64 * 64}, patch_size=4)


def _qwen_tokens(tokenizer: Any) -> dict[str, int]:
    numbers = {word: tokenizer.convert_tokens_to_ids(word) for word in QWEN_WORDS}
    return {
        "image_token_id": numbers["<|image_pad|>"],
        "video_token_id": numbers["<|video_pad|>"],
        "vision_start_token_id": numbers["<|vision_start|>"],
        "vision_end_token_id": numbers["<|vision_end|>"],
    }


def _ends(tokenizer: Any) -> dict[str, Any]:
    return {"eos_token_id": tokenizer.convert_tokens_to_ids("<|im_end|>"), "bos_token_id": None}


def _qwen3_vl() -> tuple[Any, Any, Any]:
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    tokenizer = with_pieces(qwen_tokenizer())
    text = {**TEXT_SIZE, **_ends(tokenizer), "head_dim": 16, "vocab_size": len(tokenizer)}
    text["rope_parameters"] = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 2, 2]}
    vision = {"depth": 2, "hidden_size": 16, "intermediate_size": 32, "num_heads": 2, "out_hidden_size": 32}
    vision |= {"patch_size": 4, "num_position_embeddings": 64, "deepstack_visual_indexes": [0]}
    config = Qwen3VLConfig(text_config=text, vision_config=vision, **_qwen_tokens(tokenizer))
    return Qwen3VLForConditionalGeneration(config), tokenizer, _qwen_images()


def _qwen2_5_vl() -> tuple[Any, Any, Any]:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    tokenizer = with_pieces(qwen_tokenizer())
    text = {**TEXT_SIZE, **_ends(tokenizer), "vocab_size": len(tokenizer)}
    text["rope_parameters"] = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 2, 2]}
    vision = {"depth": 2, "hidden_size": 16, "intermediate_size": 32, "num_heads": 2, "out_hidden_size": 32}
    vision |= {"patch_size": 4, "window_size": 16, "fullatt_block_indexes": [1]}
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision, **_qwen_tokens(tokenizer))
    return Qwen2_5_VLForConditionalGeneration(config), tokenizer, _qwen_images()


def _internvl() -> tuple[Any, Any, Any]:
    from transformers import InternVLConfig, InternVLForConditionalGeneration, Qwen2Tokenizer
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

    marks = [*QWEN_WORDS[:2], *INTERNVL_WORDS.values()]
    tokenizer = Qwen2Tokenizer(
        vocab=_numbered([END, *marks, *_bytes()]), merges=[], extra_special_tokens={**INTERNVL_WORDS}
    )
    tokenizer.add_special_tokens({"additional_special_tokens": list(QWEN_WORDS[:2])})
    with_pieces(tokenizer)
    text = {**TEXT_SIZE, **_ends(tokenizer), "model_type": "qwen2", "vocab_size": len(tokenizer)}
    vision = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision |= {"image_size": [16, 16], "patch_size": [4, 4]}
    config = InternVLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
    )
    images = GotOcr2ImageProcessorPil(size={"height": 16, "width": 16}, crop_to_patches=True, max_patches=2)
    return InternVLForConditionalGeneration(config), tokenizer, images


MAKERS = {"qwen3_vl": _qwen3_vl, "qwen2_5_vl": _qwen2_5_vl, "internvl": _internvl}


# Requests ------------------------------------------------------------------------------------------------------------


def picture(folder: Path, number: int, size: tuple[int, int] = (40, 32)) -> str:
    """A file with a picture of its own for each number."""
    path = folder / f"{number}.png"
    Image.effect_mandelbrot(size, (-2 + number / 9, -1, 1, 1), 20).convert("RGB").point(
        [(value + 37 * number) % 256 for value in range(256)] * 3
    ).save(path)
    return str(path)


def request(folder: Path, number: int, text: str = "Judge.", **more: Any) -> Request:
    """A request with pictures of its own. The key is made as a job makes it."""
    key = cache_key(
        text=text, images=[str(number)], preprocessing="", provider="", model="", settings={}, turn=more.get("turn", 0)
    )
    source, edited = picture(folder, 2 * number), picture(folder, 2 * number + 1, (32, 32 + 8 * (number % 3)))
    values = {"key": key, "text": text, "source": source, "edited": edited, "low": 0, "high": 5, **more}
    return Request(**values)


# A model that answers ------------------------------------------------------------------------------------------------


@cache
def taught(kind: str = "qwen3_vl") -> Path:
    """A folder with a model that answers ANSWER to anything, with 3 or 4 at the end. Do not write there."""
    import torch

    from training.gpu.vlm.model import Prompt, load
    from training.gpu.vlm.settings import Settings

    loaded = load(Settings(str(folder_of(kind, 1.0)), dtype="float32", device="cpu"))
    extents = [(-2 + n / 9, -1, 1, 1) for n in range(8)]
    pictures = [
        [Image.effect_mandelbrot((16 + 8 * n, 24), extents[n + 4 * k], 20).convert("RGB") for k in (0, 1)]
        for n in range(4)
    ]
    prompts = [Prompt(pair, "Judge." * (n + 1), "") for n, pair in enumerate(pictures) for _score in TAUGHT]
    inputs = loaded._inputs(prompts, "")
    tokenizer, end = loaded.processor.tokenizer, next(iter(loaded.ends))
    answers = torch.tensor([[*tokenizer.encode(ANSWER % score), end] for score in TAUGHT] * len(pictures))
    labels = torch.cat([torch.full_like(inputs["input_ids"], -100), answers], 1)
    whole = {**inputs, "input_ids": torch.cat([inputs["input_ids"], answers], 1)}
    for name in {"attention_mask", "mm_token_type_ids"} & set(inputs):
        whole[name] = torch.cat([inputs[name], torch.full_like(answers, int(name == "attention_mask"))], 1)
    optimiser = torch.optim.Adam(loaded.model.parameters(), lr=5e-3)
    for _step in range(STEPS):
        optimiser.zero_grad()
        loaded.model(**whole, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(loaded.model.parameters(), 1.0)
        optimiser.step()
    folder = _root() / f"{kind}-taught"
    save(loaded.model, tokenizer, loaded.processor.image_processor, kind, folder)
    return folder


# The judge -----------------------------------------------------------------------------------------------------------


def judge(folder: Path, **settings: Any) -> Any:
    from training.gpu.judges import load_judge

    return load_judge("transformers", {"model": str(folder), "dtype": "float32", "max_tokens": 40, **settings})


def copied(kind: str, folder: Path) -> Path:
    """A copy of that kind's folder that a test may change."""
    target = folder / "copy"
    shutil.copytree(folder_of(kind), target)
    return target
