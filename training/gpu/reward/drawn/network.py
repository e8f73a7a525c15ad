"""The network of the drawn world's reward models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from drawnworld.families import IMPRESSION
from drawnworld.questions import FAMILIES, SMALL_WORDS
from training.gpu.drawn_judge.network import QUERIES, WIDTH, DrawnJudge
from training.gpu.drawn_judge.pictures import NotDrawn, scene_pixels, source_pixels
from training.gpu.drawn_judge.words import (
    MOST_INSTRUCTION,
    MOST_QUESTION,
    PAD,
    encode,
    numbers,
    split,
    split_question,
    unknown_words,
)
from training.gpu.editors import CannotEdit
from training.gpu.reward.network import LEVELS, Backbone, Example, Prepared

PREPROCESSING = "drawn-64/1"
FILE = "drawn.safetensors"
USED: tuple[str, ...] = ("words", "fine", "near", "coarse", "row_place", "column_place", "word_place", "blocks", "norm")
USED += ("queries", "reads", "join")  # the judge's parts that are trained on; the others only answer questions
FIRST_QUESTIONS = {"alignment": "done", "following": "done", "quality": "clean", "preservation": "rest-kept"}


@dataclass(frozen=True, slots=True)
class Batch:
    """g groups with n candidates in all. ``source`` (g, 3, 64, 64) and ``edited`` (n, 3, 64, 64) in 0..1, ``words``
    (g, longest), ``group`` (n,): whose candidate it is."""

    source: Tensor
    edited: Tensor
    words: Tensor
    group: Tensor


class DrawnBackbone(Backbone):
    """``tokens`` (dimensions, width): what each dimension asks the memory of an edit. They start as the vectors of the
    judge's own questions, and are not bound to them."""

    kind = "drawn"
    width = WIDTH

    def __init__(self, judge: DrawnJudge, dimensions: tuple[str, ...], pretrained: str) -> None:
        super().__init__()
        self.dimensions, self.pretrained = dimensions, pretrained
        self.judge = judge.train()
        for name, parameter in judge.named_parameters():
            parameter.requires_grad_(name.partition(".")[0] in USED)
        self.tokens = nn.Parameter(first_tokens(judge, dimensions))
        self.level_weight = nn.Parameter(torch.zeros(len(dimensions), LEVELS, WIDTH))
        self.level_bias = nn.Parameter(torch.zeros(len(dimensions), LEVELS))

    def prepare(self, example: Example) -> Prepared:
        words = _words(example.instruction)
        pictures = [("source", source_pixels, example.source)]
        pictures += [(f"candidate {place}", scene_pixels, one) for place, one in enumerate(example.candidates, start=1)]
        pixels = []
        for name, read, picture in pictures:
            try:
                pixels.append(read(picture))
            except NotDrawn as error:
                raise CannotEdit(
                    f"The {name} of {example.key} {error}. The small network knows nothing else."
                ) from None
        tensors = {
            "source": torch.from_numpy(pixels[0].copy()),
            "edited": torch.from_numpy(np.stack(pixels[1:])),
            "words": torch.from_numpy(encode([words], MOST_INSTRUCTION)[0]),
        }
        count = len(example.candidates)
        return Prepared(example.key, tensors, count, count)

    def collate(self, rows: Sequence[Prepared]) -> Batch:
        device = self.tokens.device
        words = [row.tensors["words"] for row in rows]
        group = torch.repeat_interleave(torch.arange(len(rows)), torch.tensor([row.count for row in rows]))
        return Batch(
            _pixels(torch.stack([row.tensors["source"] for row in rows])).to(device),
            _pixels(torch.cat([row.tensors["edited"] for row in rows])).to(device),
            nn.utils.rnn.pad_sequence(words, batch_first=True, padding_value=PAD).to(device),
            group.to(device),
        )

    def forward(self, batch: Batch) -> Tensor:
        memory, read = self.judge.remember(batch.source[batch.group], batch.edited, batch.words[batch.group])
        count, asked = len(batch.group), len(self.dimensions)
        x = self.judge.queries(self.tokens).reshape(1, asked * QUERIES, WIDTH).expand(count, -1, -1)
        for block in self.judge.reads:
            x = block(x, memory, read)
        hidden = nn.functional.gelu(self.judge.join(x.reshape(count, asked, -1)))
        return hidden.float()

    def levels(self, hidden: Tensor) -> Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            return torch.einsum("ndw,dlw->ndl", hidden.float(), self.level_weight) + self.level_bias

    def describe(self) -> dict[str, Any]:
        return {
            "preprocessing": PREPROCESSING,
            "image_size": 64,
            "template": "source, candidate, difference; the instruction's words; one learned question a dimension",
            "most_words": MOST_INSTRUCTION,
            "words": list(numbers()),
            "dimensions": list(self.dimensions),
            "pretrained": self.pretrained,
        }

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: value.detach().cpu().contiguous() for name, value in self.trained().items()}, folder / FILE)

    def trained(self) -> dict[str, nn.Parameter]:
        return {name: value for name, value in self.named_parameters() if value.requires_grad}


@torch.no_grad()
def first_tokens(judge: DrawnJudge, dimensions: Sequence[str]) -> Tensor:
    """(dimensions, width): the vector of a question that is near to the dimension, where its key tells one; else the
    impression's."""
    return torch.stack([_vector(judge, FIRST_QUESTIONS.get(key, IMPRESSION)) for key in dimensions])


def _vector(judge: DrawnJudge, family: str) -> Tensor:
    question = split_question(FAMILIES[family].wordings[0], "")
    vector: Tensor = judge.ask(torch.from_numpy(encode([question], MOST_QUESTION)))[0][0]
    return vector


def _words(instruction: str) -> list[str]:
    """Raises CannotEdit for an instruction of another world."""
    words = split(instruction)
    unknown = unknown_words(words)
    meaning = [word for word in words if word not in SMALL_WORDS]
    if not words or len(words) > MOST_INSTRUCTION or len(unknown) > len(meaning) / 3:
        strange = f" It does not know {', '.join(dict.fromkeys(unknown))}." if unknown else ""
        raise CannotEdit(
            f"The small network knows the instructions of the drawn world alone, not {instruction!r:.200}.{strange}"
        )
    return words


def _pixels(images: Tensor) -> Tensor:
    """(n, h, w, 3) uint8 as (n, 3, h, w) in 0..1."""
    return images.movedim(-1, 1).float() / 255
