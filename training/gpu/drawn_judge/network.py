"""The network: two pictures and an instruction become a memory; a question, as text, reads its answer from it.

Pictures are cut into 8 x 8 pixel patches, which attend to one another and to the instruction's words. A question is
encoded by itself, so its family is known from its words alone, and its vector asks the memory twice.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from drawnworld.edits import TASKS
from drawnworld.scene import SIZE
from training.gpu.drawn_judge.data import KEYS
from training.gpu.drawn_judge.words import MOST_INSTRUCTION, MOST_QUESTION, PAD, token_count

WIDTH, HEADS, STEM = 96, 4, 48
PATCH = 8  # pixels a side
SIDE = SIZE // PATCH
PATCHES = SIDE**2
BLOCKS, READS, QUERIES = 3, 2, 4
OTHER = len(KEYS)  # the number of the class "no family of mine"
DENSE = 1 + 12 + 2  # what a patch tells in training: the mask; the wanted change of 2 x 2 areas; errors in and outside


class Attention(nn.Module):
    """Multi-head attention of ``x`` (n, a, w) to ``memory`` (n, b, w); ``allowed`` (n, 1, 1, b) or None."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key_value = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 2 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor, memory: Tensor, allowed: Tensor | None) -> Tensor:
        query, key, value = (
            part.unflatten(2, (HEADS, -1)).transpose(1, 2)
            for part in (self.query(x), *self.key_value(memory).chunk(2, 2))
        )
        found = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        answer: Tensor = self.out(found.transpose(1, 2).flatten(2))
        return answer


class Block(nn.Module):
    """Attention to itself or to a memory, then a small network, each beside the way through."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.norm, self.norm2 = Attention(), nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x: Tensor, memory: Tensor | None, allowed: Tensor | None) -> Tensor:
        normed = self.norm(x)
        x = x + self.attention(normed, normed if memory is None else memory, allowed)
        changed: Tensor = x + self.down(nn.functional.gelu(self.up(self.norm2(x))))
        return changed


class DrawnJudge(nn.Module):
    """Words are those of ``words``; pictures (n, 3, 64, 64) in 0..1."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(token_count(), WIDTH, padding_idx=PAD)
        self.fine = nn.Conv2d(12, STEM, 4, stride=4)
        self.near = nn.Conv2d(STEM, STEM, 3, padding=1)
        self.coarse = nn.Conv2d(STEM, WIDTH, 2, stride=2)
        self.row_place, self.column_place = (nn.Parameter(0.5 * torch.randn(SIDE, WIDTH)) for _ in range(2))
        self.word_place = nn.Parameter(0.02 * torch.randn(MOST_INSTRUCTION, WIDTH))
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.norm = nn.LayerNorm(WIDTH)
        self.dense, self.task = nn.Linear(WIDTH, DENSE), nn.Linear(WIDTH, len(TASKS))
        self.question_place = nn.Parameter(0.02 * torch.randn(MOST_QUESTION, WIDTH))
        self.question, self.question_norm = Block(), nn.LayerNorm(WIDTH)
        self.family = nn.Linear(WIDTH, OTHER + 1)
        self.queries = nn.Linear(WIDTH, QUERIES * WIDTH)
        self.reads = nn.ModuleList(Block() for _ in range(READS))
        self.join, self.answer_out = nn.Linear(QUERIES * WIDTH, WIDTH), nn.Linear(WIDTH, 1)

    def remember(self, source: Tensor, edited: Tensor, instruction: Tensor) -> tuple[Tensor, Tensor]:
        """The memory (n, 64 + words, width), patches first, and which of it may be read, (n, 1, 1, 64 + words)."""
        fine = nn.functional.gelu(self.fine(_channels(source, edited)))
        fine = fine + nn.functional.gelu(self.near(fine))
        place = (self.row_place[:, None] + self.column_place).flatten(0, 1)  # "top" and "left" apart
        patches = self.coarse(fine).flatten(2).transpose(1, 2) + place
        x = torch.cat([patches, self.words(instruction) + self.word_place[: instruction.shape[1]]], 1)
        read = torch.cat([torch.ones_like(patches[..., 0], dtype=torch.bool), instruction != PAD], 1)[:, None, None]
        for block in self.blocks:
            x = block(x, None, read)
        return self.norm(x), read

    def tasks(self, memory: Tensor, read: Tensor) -> Tensor:
        """Logits of the task, (n, 8), from the instruction's words alone."""
        known = read[:, 0, 0, PATCHES:, None].float()
        logits: Tensor = self.task((memory[:, PATCHES:] * known).sum(1) / known.sum(1))
        return logits

    def ask(self, question: Tensor) -> tuple[Tensor, Tensor]:
        """Questions (q, words) as vectors (q, width), and the logits of their families (q, families + 1)."""
        known = question != PAD
        x = self.question(self.words(question) + self.question_place[: question.shape[1]], None, known[:, None, None])
        vector = self.question_norm((x * known[..., None]).sum(1) / known.sum(1, keepdim=True))
        return vector, self.family(vector)

    def answer(self, memory: Tensor, read: Tensor, vector: Tensor) -> Tensor:
        """Logits of yes, (n, k), to k questions a memory: their vectors are (n, k, width)."""
        count, asked = vector.shape[:2]
        x = self.queries(vector).reshape(count, asked * QUERIES, WIDTH)
        for block in self.reads:
            x = block(x, memory, read)
        logits: Tensor = self.answer_out(nn.functional.gelu(self.join(x.reshape(count, asked, -1))))
        return logits[..., 0]


def _channels(source: Tensor, edited: Tensor) -> Tensor:
    """What the first layer sees, (n, 12, 64, 64): both pictures, their difference, and the fine part of the second, of
    which grain is made."""
    padded = nn.functional.pad(edited, (1, 1, 1, 1), mode="replicate")
    fine = edited - nn.functional.avg_pool2d(padded, 3, stride=1)
    return torch.cat([2 * source - 1, 2 * edited - 1, 2 * (edited - source), 8 * fine], 1)


def to_tensor(images: Any) -> Tensor:
    """Pictures (n, 64, 64, 3) uint8 as (n, 3, 64, 64) in 0..1."""
    return torch.from_numpy(images).movedim(-1, 1).float() / 255
