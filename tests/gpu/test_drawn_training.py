"""The CPU editor's training: its data, that it learns, that it resumes bit for bit, and how it is measured."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from drawnworld.edits import TASKS
from training.gpu.drawn.evaluate import edge_sharpness, measure, summary
from training.gpu.drawn.pairs import HELD_OUT_CASES, WRONG_SHARE, held_out_cases, key, training_set
from training.gpu.drawn.state import load_state, save_state
from training.gpu.drawn.train import BASES, Recipe, Trainer, make_optimizers, rate_factor, train
from training.gpu.drawn.weights import FILE, FOLDER, load_weights

TINY = Recipe(steps=5, decay=2, warmup=1, batch=8, pairs=48, muon_rate=0.03, adam_rate=0.01)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)  # two runs are compared bit for bit


# Data


def test_the_training_set_has_its_share_of_wrong_targets_and_no_held_out_case() -> None:
    data, cases = training_set(2000), held_out_cases()
    assert data.sources.shape == data.targets.shape == (2000, 64, 64, 3)
    assert data.wrong.mean() == pytest.approx(WRONG_SHARE, abs=0.03)
    held_out = {key(pair) for pair in cases}
    trained = zip(data.sources, data.instructions, strict=True)
    assert not {(source.tobytes(), text) for source, text in trained} & held_out
    assert len(cases) == HELD_OUT_CASES == 256
    assert {task: sum(pair.edit.task == task for pair in cases) for task in TASKS} == dict.fromkeys(TASKS, 32)
    nothing = (data.sources == data.targets).all(axis=(1, 2, 3))
    assert nothing[data.wrong].mean() == pytest.approx(1 / 3, abs=0.1)  # one of three faults is that nothing is done
    assert not nothing[~data.wrong].any()


def test_the_training_set_is_the_same_every_time() -> None:
    first, again = training_set(50), training_set(50)
    assert (first.targets == again.targets).all() and first.instructions == again.instructions
    assert (training_set(20).targets == first.targets[:20]).all()


# Training


def test_a_few_steps_reduce_the_loss_and_a_resumed_run_equals_an_unbroken_one(tmp_path: Path) -> None:
    data = training_set(TINY.pairs)
    whole = train(TINY, tmp_path / "whole", data=data)
    for until in (2, 4, None):
        broken = train(TINY, tmp_path / "broken", until=until, data=data)
        assert (tmp_path / "broken" / FILE).exists() == (until is None)
    for name, module in whole.modules.items():
        for parameter, value in module.state_dict().items():
            assert torch.equal(value, broken.modules[name].state_dict()[parameter])
    saved, again = (load_file(tmp_path / folder / "state.safetensors") for folder in ("whole", "broken"))
    assert set(saved) == set(again) and all(torch.equal(saved[name], again[name]) for name in saved)
    assert (tmp_path / "whole" / FILE).read_bytes() == (tmp_path / "broken" / FILE).read_bytes()
    first = Trainer(TINY, data).step(0)
    assert first == pytest.approx(2, abs=0.2)  # the output is zero: the variance of noise plus that of latents
    assert whole.step(0) < 0.9 * first


def test_every_weight_learns_and_in_one_optimiser(tmp_path: Path) -> None:
    data = training_set(TINY.pairs)
    trainer = Trainer(TINY, data)
    muon, adamw = trainer.optimizers
    counted = [id(value) for group in (*muon.param_groups, *adamw.param_groups) for value in group["params"]]
    values = {f"{name}.{k}": v for name, m in trainer.modules.items() for k, v in m.named_parameters()}
    assert sorted(counted) == sorted(map(id, values.values()))
    assert all(value.ndim == 2 for value in muon.param_groups[0]["params"])
    before = {name: value.detach().clone() for name, value in values.items()}
    for number in range(4):
        trainer.step(number)
    still = {name for name, value in values.items() if torch.equal(value, before[name])}
    assert still == set()


def test_another_seed_is_another_training() -> None:
    data = training_set(TINY.pairs)
    losses = [[trainer.step(number) for number in range(2)] for trainer in (Trainer(TINY, data), Trainer(TINY, data))]
    other = Trainer(replace(TINY, seed=8), data)
    assert losses[0] == losses[1] != [other.step(number) for number in range(2)]


def test_every_pair_comes_once_an_epoch() -> None:
    trainer = Trainer(TINY, training_set(TINY.pairs))
    epochs = [np.concatenate([trainer._batch(number) for number in range(start, start + 6)]) for start in (0, 6)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(48))] * 2
    assert (epochs[0] != epochs[1]).any()


def test_the_rate_rises_stays_and_falls_to_zero() -> None:
    for recipe in BASES.values():
        factors = [rate_factor(recipe, number) for number in range(recipe.steps + 1)]
        assert factors[0] == 1 / recipe.warmup and factors[-1] == 0
        assert set(factors[recipe.warmup : recipe.steps - recipe.decay]) == {1.0}
        assert (np.diff(factors[-recipe.decay - 1 :]) < 0).all()


def test_a_state_of_another_model_is_refused(tmp_path: Path) -> None:
    part = {"part": torch.nn.Linear(2, 2)}
    save_state(tmp_path / "state", part, make_optimizers(part, TINY), {"step": "3"})
    assert load_state(tmp_path / "state", part, make_optimizers(part, TINY)) == {"step": "3"}
    for other in ({"part": torch.nn.Linear(2, 2, bias=False)}, {"other": torch.nn.Linear(2, 2)}):
        with pytest.raises(ValueError, match="not a state of this model"):
            load_state(tmp_path / "state", other, [])


def test_a_training_does_not_go_on_from_one_with_other_settings(tmp_path: Path) -> None:
    data = training_set(TINY.pairs)
    train(TINY, tmp_path, until=1, data=data)
    with pytest.raises(ValueError, match=r"other settings.*new folder"):
        train(replace(TINY, seed=8), tmp_path, data=data)
    assert not (tmp_path / FILE).exists()


# Measures


def test_the_exact_targets_have_full_marks_and_doing_nothing_has_few() -> None:
    cases = held_out_cases(16)
    best = summary(cases, [pair.target for pair in cases])
    assert (best["score"], best["below_1"], best["sharpness"]) == (5, 0, 1)
    assert best["reward"] == pytest.approx(1 / (1 + np.exp(-5)), abs=1e-3)
    assert best["tasks"] == dict.fromkeys(TASKS, 5)
    nothing = summary(cases, [pair.source for pair in cases])
    assert nothing["score"] < 0.5  # above 0 where the change is small: a size below 0.06 no longer scales the error
    assert nothing["below_1"] > 0.9


def test_blur_lowers_the_sharpness_and_noise_does_not_raise_it() -> None:
    cases = held_out_cases(16)
    grain = np.random.default_rng(0).normal(0, 12, (64, 64, 3))
    noisy = [np.clip(pair.target + grain, 0, 255).astype(np.uint8) for pair in cases]
    soft = [((pair.target.astype(int) + np.roll(pair.target, 1, 1)) // 2).astype(np.uint8) for pair in cases]
    assert edge_sharpness(cases, soft) < 0.85
    assert edge_sharpness(cases, noisy) == pytest.approx(1, abs=0.03)


def test_good_is_better_than_rough() -> None:
    cases = held_out_cases(32)
    rough, good = (measure(load_weights(FOLDER / name)[0], cases, 8) for name in ("rough", "good"))
    assert 2.2 < rough["score"] < good["score"] - 0.4
    assert rough["reward"] < good["reward"] - 0.08
    assert rough["sharpness"] < good["sharpness"]
