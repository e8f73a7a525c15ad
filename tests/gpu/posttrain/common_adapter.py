"""What every adapter of a diffusers editor must do; the families' own test files call it with their names."""

from pathlib import Path

import pytest
import torch

from tests.gpu.posttrain.adapting import (
    ALPHA,
    CASES,
    FIRST,
    RANK,
    SEEDS,
    adapter,
    apart,
    by_pipeline,
    edited,
    place,
    shared,
    told,
    with_lora,
)
from training.gpu.posttrain import lora
from training.posttraining.config import Config


def check_pipelines_own_pictures(name: str) -> None:
    """Two cases with instructions and sources of their own go together, and each becomes the pipeline's picture."""
    found = shared(name)
    conditions = found.encode(CASES)
    assert conditions[0].shape == conditions[1].shape
    made, wanted = edited(found, conditions, SEEDS), by_pipeline(name, CASES, SEEDS)
    assert [apart(one, other) for one, other in zip(made, wanted, strict=True)] <= [1, 1]
    assert apart(made[0], made[1]) > 20
    assert [picture.size for picture in made] == [case.source.size for case in CASES]
    assert apart(edited(found, conditions[::-1], SEEDS)[0], made[0]) > 0


def check_a_batch_changes_nothing(name: str) -> None:
    found = shared(name)
    conditions = found.encode(CASES)
    x, sigma = place(found, conditions)
    with torch.no_grad():
        together = found.velocity(x, sigma, conditions)
        alone = [found.velocity(x[n : n + 1], sigma[n : n + 1], conditions[n : n + 1])[0] for n in range(2)]
        swapped = found.velocity(x, sigma, conditions[::-1])
    assert together.dtype == torch.float32
    torch.testing.assert_close(together, torch.stack(alone), rtol=1e-5, atol=1e-5)
    assert (together - swapped).abs().max() > 1e-4  # words and source are each sample's own


def check_every_parameter_learns(name: str, which: str, checkpointing: bool) -> None:
    """After one step B is no longer zero, so that in the second every A and B must have a gradient."""
    found = adapter(name, checkpointing=checkpointing)
    parameters = lora.add(found, RANK, ALPHA, which, seed=3)
    assert all(value.dtype == torch.float32 for value in parameters.values())
    assert len(parameters) == 2 * len(found.targets(which)) == 2 * len(set(found.targets(which)))
    conditions = found.encode(CASES)
    x, sigma = place(found, conditions)
    optimiser = torch.optim.AdamW(parameters.values(), lr=1e-2)
    for _ in range(2):
        optimiser.zero_grad(set_to_none=True)
        found.velocity(x, sigma, conditions).square().mean().backward()
        still = [key for key, value in parameters.items() if value.grad is None]
        assert still == []
        optimiser.step()
    assert [key for key, value in parameters.items() if not value.grad.abs().sum() > 0] == []
    frozen = [key for key, value in found.transformer.named_parameters() if value.requires_grad]
    assert set(frozen) == set(parameters)


def check_lora_in_the_stock_pipeline(name: str, folder: Path) -> None:
    """Trained here, saved with its alpha, and loaded by the product's editor: the same pictures."""
    found, _ = with_lora(name)
    conditions = found.encode(CASES)
    made = edited(found, conditions, SEEDS)
    with found.base():
        base = edited(found, conditions, SEEDS)
    file = folder / lora.FILE
    lora.save(found, file)
    wanted = by_pipeline(name, CASES, SEEDS, lora={"file": str(file)})
    assert [apart(one, other) for one, other in zip(made, wanted, strict=True)] <= [1, 1]
    plain = edited(shared(name), conditions, SEEDS)
    assert [apart(one, other) for one, other in zip(base, plain, strict=True)] == [0, 0]
    assert apart(made[0], base[0]) > 5
    assert [apart(one, other) for one, other in zip(edited(found, conditions, SEEDS), made, strict=True)] == [0, 0]


def check_half_precision(name: str) -> None:
    """Weights in bfloat16, all else in float32; checkpointing computes the same; noise as the pipeline rounds it."""
    found, parameters = with_lora(name, "attention", dtype="bfloat16", size=64, batch=2)
    assert {value.dtype for value in parameters.values()} == {torch.float32}
    assert found.transformer.proj_out.weight.dtype == torch.bfloat16
    conditions = found.encode(CASES)
    x, sigma = place(found, conditions)
    assert x.dtype == torch.float32
    assert torch.equal(x, x.bfloat16().float())
    with_gradient = found.velocity(x, sigma, conditions)
    with torch.no_grad():
        without = found.velocity(x, sigma, conditions)
    assert torch.equal(with_gradient, without)
    assert without.dtype == torch.float32
    with_gradient.square().mean().backward()
    assert all(value.grad is not None and value.grad.dtype == torch.float32 for value in parameters.values())
    whole = shared(name)
    with torch.no_grad(), found.base():
        near = found.velocity(x, sigma, conditions)
        exact = whole.velocity(x, sigma, whole.encode(CASES))
    assert (near - exact).abs().mean() < 0.1 * exact.abs().mean()


def check_given_pictures(name: str) -> None:
    """A picture's latents have the noise's shape, and are those that the source's tokens are made of."""
    found = shared(name)
    conditions = found.encode(CASES)
    x0 = found.latents([case.source for case in CASES], conditions)
    assert x0.shape == torch.cat([found.noise(condition, [1]) for condition in conditions]).shape
    source = torch.stack([condition.tensors["source"] for condition in conditions])
    assert (x0 - source).abs().max() < 0.2 * source.abs().max()


def check_text_encoders_leave(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the memory is short the transformer makes room while cases are encoded, and comes back."""
    found = adapter(name)
    wanted = found.encode(CASES)
    moves: list[tuple[str, str]] = []
    for part, module in found._parts().items():
        stay = module.to

        def to(*words: object, _part: str = part, _stay: object = stay, **more: object) -> object:
            moves.append((_part, str(words[0])))
            return _stay(*words, **more)  # type: ignore[operator]

        monkeypatch.setattr(module, "to", to)
    found.roomy, found.device = False, torch.device("cpu", 0)
    again = found.encode(CASES)
    for one, other in zip(again, wanted, strict=True):
        assert all(torch.equal(one.tensors[key], other.tensors[key]) for key in other.tensors)
    away = [("transformer", "cpu"), *((part, "cpu") for part in found.text_encoders)]
    back = [*((part, "cpu:0") for part in found.text_encoders), ("transformer", "cpu:0")]
    order = [move for move in moves if move[0] != "vae"]
    assert order == [away[0], *back[:-1], *away[1:], back[-1]]


def check_refusals(name: str) -> None:
    from training.gpu.editors import CannotEdit, EditorError
    from training.gpu.posttrain.adapters import load_adapter

    empty = FIRST.__class__(FIRST.source, None, " ", "style", key="blank")
    with pytest.raises(CannotEdit, match="case blank has no instruction"):
        shared(name).encode([empty])
    with pytest.raises(EditorError, match="has a LoRA already"):
        load_adapter(name, told(name, lora={"file": "x.safetensors"}), Config(size=64, dtype="float32"), "cpu")
    one, other = shared(name).encode(CASES)
    x, sigma = place(shared(name), [one, other])
    wide = type(other)((1, *other.shape[1:]), other.tensors, other.told)
    with pytest.raises(ValueError, match="all of one shape"):
        shared(name).velocity(x, sigma, [one, wide])
