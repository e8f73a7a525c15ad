"""A group as one sequence: positions as if each candidate stood alone, and a mask that makes it so. Pure torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.gpu.reward.vlm.template import Span

PREFIX, PADDING = 0, -1


@dataclass(frozen=True, slots=True)
class Packed:
    """``ids`` (length,), ``positions`` (3, length): time, row, column. ``segment`` (length,): 0 for the prefix, then
    the candidate's number, from 1. ``places`` (candidates, dimensions): where the reward tokens stand."""

    ids: Tensor
    positions: Tensor
    segment: Tensor
    places: Tensor


def pack(prefix: Sequence[Span], suffixes: Sequence[Sequence[Span]], rewards: Sequence[int]) -> Packed:
    """One sequence of a prefix and its candidates. Each candidate ends in the ``rewards`` tokens, and its positions go
    on from the end of the prefix: the rotary embedding then cannot tell it from a candidate alone."""
    ids, segment = [one for span in prefix for one in span.ids], []
    first, start = positions(prefix, 0)
    all_positions, places = [first], []
    segment += [PREFIX] * len(ids)
    for number, suffix in enumerate(suffixes, start=1):
        own = [one for span in suffix for one in span.ids]
        if tuple(own[-len(rewards) :]) != tuple(rewards):
            raise ValueError("A candidate must end in its reward tokens.")
        ids += own
        segment += [number] * len(own)
        all_positions.append(positions(suffix, start)[0])
        places.append(list(range(len(ids) - len(rewards), len(ids))))
    return Packed(
        torch.tensor(ids),
        torch.cat(all_positions, dim=1),
        torch.tensor(segment),
        torch.tensor(places, dtype=torch.long).reshape(len(suffixes), len(rewards)),
    )


def positions(spans: Sequence[Span], start: int) -> tuple[Tensor, int]:
    """Positions (3, tokens) and the next free one. Text counts up in all three directions; a picture stands at one
    time and has its rows and columns, and what follows comes after its longer side (Qwen2-VL, section 2.1)."""
    found = []
    for span in spans:
        if span.grid is None:
            found.append(torch.arange(start, start + len(span.ids)).expand(3, -1))
            start += len(span.ids)
            continue
        high, wide = span.grid
        row = torch.arange(high).repeat_interleave(wide)
        column = torch.arange(wide).repeat(high)
        found.append(torch.stack([torch.zeros_like(row), row, column]) + start)
        start += max(high, wide)
    return torch.cat(found, dim=1) if found else torch.zeros(3, 0, dtype=torch.long), start


def additive_mask(segment: Tensor, dtype: torch.dtype) -> Tensor:
    """(batch, 1, length, length) from ``segment`` (batch, length): 0 where a token may look, the type's lowest number
    elsewhere. A token sees itself and what stands before it in its own segment and in the prefix; padding stands last
    and is seen by padding alone."""
    length = segment.shape[1]
    asks, seen = segment[:, :, None], segment[:, None, :]
    before = torch.ones(length, length, dtype=torch.bool, device=segment.device).tril()
    allowed = ((asks == seen) | (seen == PREFIX)) & before
    mask = torch.zeros(allowed.shape, dtype=dtype, device=segment.device)
    return mask.masked_fill_(~allowed, torch.finfo(dtype).min)[:, None]
