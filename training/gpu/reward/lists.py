"""Losses over whole groups: means over the pairs of a group, and Plackett-Luce with ties."""

from __future__ import annotations

import torch
from torch import Tensor

NOWHERE = -1e30  # log of a subset that does not exist; finite, because two infinities have no gradient
SAME_RANK = 1e-6  # mean ranks over annotators are equal but for rounding


def group_mean(loss: Tensor, group: Tensor, *, valid: Tensor | None = None, weights: Tensor | None = None) -> Tensor:
    """Mean over groups and dimensions of each one's weighted mean over its valid pairs, a scalar.

    ``loss`` (pairs,) or (pairs, dimensions); ``group`` (pairs,) integers from 0; ``valid`` and ``weights`` broadcast to
    ``loss``. So a group counts once however many candidates it has (InstructGPT 2022, eq. 1, divides by the number of
    pairs alike). A pair that is not valid is in neither the sum nor the count, and a group (in a dimension) without a
    valid pair counts nowhere; without any, 0. ``loss`` must be finite where it is not valid, too: what is masked still
    has a gradient, of 0 times its slope.
    """
    rows = loss.reshape(loss.shape[0], loss.shape[1] if loss.ndim > 1 else 1)
    weight = _rows(weights, loss, rows).to(rows.dtype) if weights is not None else torch.ones_like(rows)
    if valid is not None:
        weight = weight * _rows(valid, loss, rows).to(rows.dtype)
    groups = int(group.max()) + 1 if group.numel() else 0
    shape = (groups, rows.shape[1])
    total = rows.new_zeros(shape).index_add(0, group.long(), rows * weight)
    size = rows.new_zeros(shape).index_add(0, group.long(), weight)
    counts = size > 0
    means = torch.where(counts, total / torch.where(counts, size, 1.0), 0.0)
    return means.sum() / counts.sum().clamp(min=1)


def _rows(values: Tensor, loss: Tensor, rows: Tensor) -> Tensor:
    if values.ndim < loss.ndim:
        values = values[:, None]
    return torch.broadcast_to(values, loss.shape).reshape(rows.shape)


def plackett_luce(scores: Tensor, ranks: Tensor, log_delta: Tensor | None = None) -> Tensor:
    """-log P of one group's ranking, a scalar. Luce 1959, Plackett 1975; ties as Davidson-Luce (Firth et al. 2019).

    ``scores`` (n,); ``ranks`` (n,), 1 or the smallest is best, equal ranks are a tie, NaN was not ranked and is left
    out. Best first, a block of t tied candidates is chosen among those that are left with a probability that goes as
    exp(log_delta[t - 2] + mean of their scores); delta_1 is 1. ``log_delta`` (largest block - 1,), learned; for two
    candidates it is ``ties.davidson``'s log nu. Without it a tie is refused. It grows with the number of subsets: start
    it at about -log of the subsets of that size in a group, or ties swamp large groups.

    Davidson-Luce, and not the mean over all orders of a block: people who give a tie say "equal", not "I forgot the
    order", and the mean over orders has no gradient where all are tied. It costs n·t² for blocks up to t.
    Raises ValueError for a tie larger than ``log_delta`` allows.
    """
    known = torch.isfinite(ranks)
    scores, blocks = scores[known], _blocks(ranks[known])
    allowed = 1 if log_delta is None else log_delta.numel() + 1
    most = max((len(block) for block in blocks), default=1)
    if most > allowed:
        raise ValueError(f"{most} candidates share a rank, and the model allows ties of at most {allowed}.")
    if not blocks:
        return scores.sum()
    first = scores.new_zeros(1)
    delta = first if log_delta is None else torch.cat([first, log_delta.to(scores.dtype)])
    return _stages(scores, blocks, delta)


def _blocks(ranks: Tensor) -> list[list[int]]:
    """Positions of the candidates of each rank, best first."""
    codes = torch.unique(torch.round(ranks.double() / SAME_RANK), return_inverse=True)[1].tolist()
    blocks: list[list[int]] = [[] for _ in range(max(codes, default=-1) + 1)]
    for place, code in enumerate(codes):
        blocks[code].append(place)
    return blocks


def _stages(scores: Tensor, blocks: list[list[int]], delta: Tensor) -> Tensor:
    """From the last choice to the first, so that each candidate enters the subset sums once.

    ``table[t - 1, k]``: log of the sum over subsets of k candidates, among those left, of exp(Σ scores/t); its diagonal
    k = t is what a choice of t candidates is divided by.
    """
    sizes = torch.arange(1, delta.numel() + 1, dtype=scores.dtype, device=scores.device)
    table = scores.new_full((delta.numel(), delta.numel() + 1), NOWHERE)
    table[:, 0] = 0
    nowhere = scores.new_full((delta.numel(), 1), NOWHERE)
    total = scores.new_zeros(())
    for block in reversed(blocks):
        for place in block:
            joined = torch.cat([nowhere, table[:, :-1] + (scores[place] / sizes)[:, None]], dim=1)
            table = torch.logaddexp(table, joined)
        log_sum = torch.logsumexp(delta + table[:, 1:].diagonal(), dim=0)
        total = total + log_sum - delta[len(block) - 1] - scores[block].mean()
    return total
