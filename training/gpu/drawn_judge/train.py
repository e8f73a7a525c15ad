"""Trains the demo judge from nothing: python -m training.gpu.drawn_judge.train --out var/drawn-judge --threads 1

It learns three things at once: the true answers of the families' known wordings, which family a question is of (or
none), and, to find its way sooner, what the edit should have changed. The same seed, number of threads and version of
torch give the same bits.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from drawnworld.questions import FAMILIES, SMALL_WORDS
from training.gpu.drawn_judge.data import KEYS, JudgeSet, judge_set
from training.gpu.drawn_judge.network import OTHER, PATCH, PATCHES, DrawnJudge, to_tensor
from training.gpu.drawn_judge.others import TRAINED
from training.gpu.drawn_judge.weights import TRAINING, new_network, save_weights
from training.gpu.drawn_judge.words import (
    MOST_INSTRUCTION,
    MOST_QUESTION,
    UNKNOWN,
    encode,
    numbers,
    split,
    split_question,
)

WORDINGS_A_STEP = 3  # of each family
OTHERS_A_STEP, JUMBLED_A_STEP = 32, 4
ASKED = 8  # questions an attempt and step
ASIDE = 0.4  # how often a question that says nothing of the edit is asked, beside 1 for others
DROPPED = 0.2  # the chance that a small word is left out, in every second question of a family
FORGOTTEN = 0.12  # the chance that a word is hidden, in some of the texts
NEVER_HIDDEN = ("no", "not", "without", "free", "nothing", "any", "unchanged", "changed")  # they decide what yes means


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the judge is trained. The rate rises over ``warmup`` steps and falls to zero over the last ``decay``."""

    steps: int = 1600
    decay: int = 1100
    warmup: int = 20
    batch: int = 64
    cases: int = 9000
    attempts: int = 2
    muon_rate: float = 0.02
    adam_rate: float = 0.002
    seed: int = 7


class Trainer:
    """The network, its optimisers and its data. ``step(n)`` is the whole of the method."""

    def __init__(self, recipe: Recipe, data: JudgeSet) -> None:
        self.recipe, self.data = recipe, data
        self.network = new_network(recipe.seed)
        self.optimizers = make_optimizers(self.network, recipe)
        self.instructions = encode([split(text) for text in data.instructions], MOST_INSTRUCTION)
        self.wordings = [_wordings(key) for key in KEYS]

    def step(self, number: int) -> float:
        """One update; the loss before it."""
        rng = np.random.default_rng((self.recipe.seed, number))
        loss = self.loss(rng, self._batch(number))
        loss.backward()
        factor = min((number + 1) / self.recipe.warmup, (self.recipe.steps - number) / self.recipe.decay, 1.0)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
            optimizer.step()
            optimizer.zero_grad()
        return float(loss.detach())

    def loss(self, rng: np.random.Generator, chosen: NDArray[np.int64]) -> Tensor:
        """Answers, families, tasks and patches, of the attempts ``chosen``."""
        case = self.data.case[chosen]
        source, edited = to_tensor(self.data.sources[case]), to_tensor(self.data.edited[chosen])
        instruction = torch.from_numpy(hidden(rng, self.instructions[case], 0.3))
        memory, read = self.network.remember(source, edited, instruction)
        texts, families = self._questions(rng)
        vectors, named = self.network.ask(torch.from_numpy(texts))
        asked, truth = self._asked(rng, self.data.truths[chosen])
        answers = self.network.answer(memory, read, vectors[asked])
        tasks = nn.functional.cross_entropy(self.network.tasks(memory, read), torch.from_numpy(self.data.tasks[case]))
        family = nn.functional.cross_entropy(named, torch.from_numpy(families), label_smoothing=0.02)
        patches = self._patches(memory[:, :PATCHES], source, edited, case)
        answer = nn.functional.binary_cross_entropy_with_logits(answers, torch.from_numpy(truth))
        return 4 * answer + 0.3 * family + 0.1 * tasks + patches

    def _patches(self, patches: Tensor, source: Tensor, edited: Tensor, case: NDArray[np.int64]) -> Tensor:
        """What each patch should know: how much of it the mask covers, the wanted change of its four areas, and the
        mean error inside and outside the mask."""
        told = self.network.dense(patches)
        target = to_tensor(self.data.targets[case])
        mask = torch.from_numpy(self.data.masks[case])[:, None].float()
        error = (edited - target).abs().mean(1, keepdim=True)
        covered = nn.functional.avg_pool2d(mask, PATCH).flatten(1)
        change = (
            nn.functional.pixel_unshuffle(nn.functional.avg_pool2d(target - source, PATCH // 2), 2)
            .flatten(2)
            .transpose(1, 2)
        )
        errors = torch.cat([nn.functional.avg_pool2d(error * part, PATCH) for part in (mask, 1 - mask)], 1).flatten(2)
        return (
            2 * nn.functional.binary_cross_entropy_with_logits(told[..., 0], covered)
            + 6 * nn.functional.mse_loss(told[..., 1:13], 2 * change)
            + 2 * nn.functional.l1_loss(told[..., 13:], 4 * errors.transpose(1, 2))
        )

    def _questions(self, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The step's questions: three wordings of each family in the order of KEYS, then some that are of none."""
        texts = [
            known[index] for known in self.wordings for index in rng.choice(len(known), WORDINGS_A_STEP, replace=True)
        ]
        texts = [loosened(rng, words) if rng.random() < 0.5 else words for words in texts]
        others = [split(TRAINED[index]) for index in rng.choice(len(TRAINED), OTHERS_A_STEP, replace=False)]
        words = sorted(numbers())
        others += [list(rng.choice(words, rng.integers(3, 9))) for _ in range(JUMBLED_A_STEP)]
        families = np.repeat(np.arange(len(KEYS)), WORDINGS_A_STEP)
        encoded = hidden(rng, encode([*texts, *others], MOST_QUESTION), 0.5)
        return encoded, np.concatenate([families, np.full(len(others), OTHER)])

    def _asked(
        self, rng: np.random.Generator, truths: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Which of the step's questions each attempt is asked, (n, ASKED), and the true answers."""
        weight = np.array([1 if FAMILIES[key].useful else ASIDE for key in KEYS])
        order = rng.exponential(size=truths.shape) / weight  # the first of a race: drawn by weight, without repeats
        families = np.argsort(np.where(np.isnan(truths), np.inf, order), axis=1)[:, :ASKED]
        asked = families * WORDINGS_A_STEP + rng.integers(0, WORDINGS_A_STEP, families.shape)
        return asked, np.take_along_axis(truths, families, axis=1)

    def _batch(self, number: int) -> NDArray[np.int64]:
        """The attempts of step ``number``: every one once an epoch, in an order of that epoch."""
        epoch, place = divmod(number, len(self.data.case) // self.recipe.batch)
        order = np.random.default_rng((self.recipe.seed, 10**6 + epoch)).permutation(len(self.data.case))
        return order[place * self.recipe.batch : (place + 1) * self.recipe.batch]


def hidden(rng: np.random.Generator, encoded: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """Some words of a ``share`` of the texts made unknown, so that unknown words do no harm."""
    row = rng.random((len(encoded), 1)) < share
    may = (encoded > UNKNOWN) & ~np.isin(encoded, [numbers()[word] for word in NEVER_HIDDEN])
    return np.where(row & may & (rng.random(encoded.shape) < FORGOTTEN), UNKNOWN, encoded)


def loosened(rng: np.random.Generator, words: list[str]) -> list[str]:
    """The words without some of the small ones, which people order and choose as they like."""
    return [word for word in words if word not in SMALL_WORDS - {"a", "b"} or rng.random() >= DROPPED]


def _wordings(key: str) -> list[list[str]]:
    return [split_question(text.replace("{instruction}", "instruction"), "") for text in FAMILIES[key].wordings]


def make_optimizers(network: DrawnJudge, recipe: Recipe) -> tuple[torch.optim.Muon, torch.optim.AdamW]:
    """Muon (Jordan 2024) for the matrices inside the blocks, AdamW for the rest."""
    matrices: list[Tensor] = []
    rest: list[Tensor] = []
    for name, value in network.named_parameters():
        inner = value.ndim == 2 and name.split(".")[0] in ("blocks", "question", "reads", "queries", "join")
        (matrices if inner else rest).append(value)
    muon = torch.optim.Muon(matrices, lr=recipe.muon_rate, weight_decay=0.02)
    adamw = torch.optim.AdamW(rest, lr=recipe.adam_rate, betas=(0.9, 0.98), weight_decay=0.01)
    for group in (*muon.param_groups, *adamw.param_groups):
        group["initial_lr"] = group["lr"]
    return muon, adamw


def train(recipe: Recipe, data: JudgeSet | None = None, every: int = 50) -> Trainer:
    """A line every so many steps."""
    trainer, losses, start = Trainer(recipe, data or judge_set(recipe.cases, recipe.attempts)), [], time.process_time()
    for number in range(recipe.steps):
        losses.append(trainer.step(number))
        if (number + 1) % every == 0:
            spent = time.process_time() - start
            print(
                f"step {number + 1} of {recipe.steps}, loss {np.mean(losses[-every:]):.4f}, {spent:.0f} s", flush=True
            )
    return trainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="a folder for the weights")
    parser.add_argument("--seed", type=int, default=Recipe().seed)
    parser.add_argument("--steps", type=int, default=Recipe().steps)
    parser.add_argument("--threads", type=int, default=1, help="bits may differ between numbers of threads")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    recipe = replace(Recipe(), seed=arguments.seed, steps=arguments.steps)
    recipe = replace(recipe, decay=min(recipe.decay, recipe.steps))
    start = time.process_time()
    trainer = train(recipe)
    digest = save_weights(trainer.network, arguments.out)
    how = {"threads": arguments.threads, "torch": torch.__version__, "sha256": digest}
    how |= {"parameters": sum(value.numel() for value in nn.Module.parameters(trainer.network))}
    how |= {"cpu_seconds": round(time.process_time() - start, 1), "recipe": asdict(recipe)}
    (arguments.out / TRAINING).write_text(json.dumps(how, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
