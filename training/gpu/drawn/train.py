"""Trains a CPU editor from nothing: python -m training.gpu.drawn.train --base good --out var/drawn-good --threads 2

Rectified flow (Liu et al. 2023, eq. 1): x = (1 - s) x0 + s e with s uniform in 0..1, and the transformer learns the
velocity e - x0. Matrices learn by Muon (Jordan 2024), the rest by AdamW. What a step draws depends on the seed and the
step's number alone, so a run that was stopped goes on where it was, bit for bit: give the same command again.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.gpu.drawn.assemble import is_zero_at_first, new_pipeline, trained_modules
from training.gpu.drawn.autoencoder import fit_autoencoder
from training.gpu.drawn.pairs import TRAIN_PAIRS, TrainingSet, to_tensor, training_set
from training.gpu.drawn.state import load_state, save_state
from training.gpu.drawn.weights import TRAINING, save_weights
from training.gpu.drawn.words import TEXT_LENGTH

FIT_IMAGES = 2000  # pictures whose patches fit the autoencoder
OUTER = ("embed", "shared", "relative_attention_bias")  # in the names of weights at the edge of the network


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a base is trained. The rate rises over ``warmup`` steps and falls to zero over the last ``decay``."""

    steps: int
    decay: int
    warmup: int = 20
    batch: int = 64
    pairs: int = TRAIN_PAIRS
    flatness: float = 0.5
    muon_rate: float = 0.03
    adam_rate: float = 0.002
    seed: int = 7


BASES = {"rough": Recipe(steps=1000, decay=300), "good": Recipe(steps=4800, decay=2400)}


class Trainer:
    """The pipeline, its optimisers and the encoded data. ``step(n)`` is the whole of the method."""

    def __init__(self, recipe: Recipe, data: TrainingSet) -> None:
        self.recipe = recipe
        self.pipeline = new_pipeline(recipe.seed)
        self.pipeline.register_modules(vae=fit_autoencoder(to_tensor(data.sources[:FIT_IMAGES]), recipe.flatness))
        self.modules = trained_modules(self.pipeline)
        self.optimizers = make_optimizers(self.modules, recipe)
        self.data = data
        self.cpu_seconds = 0.0  # of all steps so far, those before a stop among them
        self.clip_tokens = _tokens(self.pipeline.tokenizer, data.instructions)
        self.t5_tokens = _tokens(self.pipeline.tokenizer_2, data.instructions)
        places = self.pipeline._prepare_latent_image_ids(1, 8, 8, torch.device("cpu"), torch.float32)
        self.places = torch.cat([places, places + torch.tensor([1.0, 0, 0])])  # image id 1: the source, as in Kontext

    def step(self, number: int) -> float:
        """One update; the loss before it."""
        chosen = self._batch(number)
        random = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + number)
        source, target = self._packed(self.data.sources[chosen]), self._packed(self.data.targets[chosen])
        noise = torch.randn(target.shape, generator=random)
        sigma = (torch.rand((), generator=random) + torch.arange(len(chosen)) / len(chosen)) % 1
        noisy = torch.lerp(target, noise, sigma[:, None, None])
        velocity = self.velocity(torch.cat([noisy, source], 1), sigma, chosen)[:, : target.shape[1]]
        loss = nn.functional.mse_loss(velocity, noise - target)
        loss.backward()
        factor = rate_factor(self.recipe, number)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
            optimizer.step()
            optimizer.zero_grad()
        return float(loss.detach())

    def velocity(self, tokens: Tensor, sigma: Tensor, chosen: NDArray[np.int64]) -> Tensor:
        """The transformer's answer for tokens (n, 128, 48) of the noisy target and the source."""
        pooled = self.pipeline.text_encoder(self.clip_tokens[chosen]).pooler_output
        text = self.pipeline.text_encoder_2(self.t5_tokens[chosen])[0]
        answer: Tensor = self.pipeline.transformer(
            hidden_states=tokens,
            timestep=sigma,
            pooled_projections=pooled,
            encoder_hidden_states=text,
            txt_ids=torch.zeros(TEXT_LENGTH, 3),
            img_ids=self.places,
            return_dict=False,
        )[0]
        return answer

    def _batch(self, number: int) -> NDArray[np.int64]:
        """The pairs of step ``number``: every pair once an epoch, in an order of that epoch."""
        per_epoch = self.recipe.pairs // self.recipe.batch
        epoch, place = divmod(number, per_epoch)
        order = np.random.default_rng((self.recipe.seed, epoch)).permutation(self.recipe.pairs)
        return order[place * self.recipe.batch : (place + 1) * self.recipe.batch]

    @torch.no_grad()
    def _packed(self, images: NDArray[np.uint8]) -> Tensor:
        latents = self.pipeline.vae.latents(to_tensor(images))
        packed: Tensor = self.pipeline._pack_latents(latents, *latents.shape)
        return packed


def make_optimizers(modules: dict[str, nn.Module], recipe: Recipe) -> tuple[torch.optim.Muon, torch.optim.AdamW]:
    """Muon for the matrices inside the blocks; AdamW for embeddings, the way in and out, modulation, biases, norms."""
    matrices: list[Tensor] = []
    rest: list[Tensor] = []
    for module in modules.values():
        for key, value in module.named_parameters():
            outer = any(part in key for part in OUTER) or is_zero_at_first(key.removesuffix(".weight"))
            (matrices if value.ndim == 2 and not outer else rest).append(value)
    muon = torch.optim.Muon(matrices, lr=recipe.muon_rate, weight_decay=0.02)
    adamw = torch.optim.AdamW(rest, lr=recipe.adam_rate, betas=(0.9, 0.98), weight_decay=0.0)
    for group in (*muon.param_groups, *adamw.param_groups):
        group["initial_lr"] = group["lr"]
    return muon, adamw


def rate_factor(recipe: Recipe, number: int) -> float:
    """What the learning rates are multiplied by in step ``number`` (from 0)."""
    return min((number + 1) / recipe.warmup, (recipe.steps - number) / recipe.decay, 1.0)


def _tokens(tokenizer: Any, instructions: list[str]) -> Tensor:
    encoded = tokenizer(instructions, padding="max_length", max_length=TEXT_LENGTH, return_tensors="pt")
    tokens: Tensor = encoded.input_ids
    return tokens


def _beginning(recipe: Recipe) -> str:
    """All that a training's first part depends on: until its rates fall, its length may still be chosen."""
    return json.dumps({name: value for name, value in asdict(recipe).items() if name not in ("steps", "decay")})


def train(recipe: Recipe, out: Path, *, until: int | None = None, data: TrainingSet | None = None) -> Trainer:
    """Train in the folder ``out``, going on from its state where it has one, to the end or to step ``until``.

    Prints a line every 20 steps and saves the state every 100 and at the end; then writes the weights.
    Raises ValueError where the state is of another training.
    """
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(recipe, data or training_set(recipe.pairs))
    state, done = out / "state.safetensors", 0
    if state.exists():
        notes = load_state(state, trainer.modules, trainer.optimizers)
        if notes["recipe"] != _beginning(recipe):
            raise ValueError(f"{state} is of a training with other settings: {notes['recipe']}. Name a new folder.")
        done, trainer.cpu_seconds = int(notes["step"]), float(notes["cpu_seconds"])
    start, losses = time.process_time() - trainer.cpu_seconds, []
    last = recipe.steps if until is None else min(until, recipe.steps)
    for number in range(done, last):
        losses.append(trainer.step(number))
        trainer.cpu_seconds = round(time.process_time() - start, 1)
        if (number + 1) % 20 == 0:
            loss = float(np.mean(losses[-20:]))
            print(
                f"step {number + 1} of {recipe.steps}, loss {loss:.4f}, {trainer.cpu_seconds:.0f} CPU-seconds",
                flush=True,
            )
        if (number + 1) % 100 == 0 or number + 1 == last:
            notes = {"step": str(number + 1), "cpu_seconds": str(trainer.cpu_seconds), "recipe": _beginning(recipe)}
            save_state(state, trainer.modules, trainer.optimizers, notes)
    if last == recipe.steps:
        save_weights(trainer.pipeline, out)
    return trainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", choices=sorted(BASES), required=True)
    parser.add_argument("--out", type=Path, required=True, help="a folder for the state and the weights")
    parser.add_argument("--threads", type=int, default=2, help="bits may differ between numbers of threads")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    trainer = train(BASES[arguments.base], arguments.out)
    how = {"base": arguments.base, "threads": arguments.threads, "torch": torch.__version__}
    how |= {"cpu_seconds": trainer.cpu_seconds, "recipe": asdict(trainer.recipe)}
    (arguments.out / TRAINING).write_text(json.dumps(how, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
