"""The demo judge's training: its data, that it learns, that it is repeatable, and how it is measured."""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from drawnworld.edits import TASKS, draw_pair
from drawnworld.questions import FAMILIES, families_of
from drawnworld.truths import Attempt
from training.gpu.drawn_judge import attempts
from training.gpu.drawn_judge.answering import Answerer
from training.gpu.drawn_judge.attempts import MIXED, draw_attempt
from training.gpu.drawn_judge.data import HELD_OUT_SERIES, KEYS, TRAIN_SERIES, held_out_cases, judge_set, key
from training.gpu.drawn_judge.evaluate import composite, correlation, judge_all, planted
from training.gpu.drawn_judge.network import OTHER
from training.gpu.drawn_judge.train import ASKED, WORDINGS_A_STEP, Recipe, Trainer, hidden, train
from training.gpu.drawn_judge.weights import new_network, save_weights
from training.gpu.drawn_judge.words import (
    MOST_QUESTION,
    PAD,
    UNKNOWN,
    encode,
    numbers,
    split,
    split_question,
    token_count,
    unknown_words,
)

TINY = Recipe(steps=4, decay=2, warmup=1, batch=8, cases=24, attempts=2, adam_rate=0.005)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)  # two runs are compared bit for bit


# Data


def test_the_data_hold_no_held_out_case_and_every_truth_of_their_task() -> None:
    data, held_out = judge_set(80, 2), {key(pair) for pair in held_out_cases(320)}
    trained = {(source.tobytes(), text) for source, text in zip(data.sources, data.instructions, strict=True)}
    assert not trained & held_out and len({TRAIN_SERIES, HELD_OUT_SERIES, 1}) == 3
    assert data.edited.shape == (160, 64, 64, 3) and data.truths.shape == (160, len(KEYS))
    for number in (0, 37, 111):
        task = TASKS[data.tasks[data.case[number]]]
        pair = draw_pair(TRAIN_SERIES, int(data.case[number]), task)
        attempt = Attempt(pair, data.edited[number])
        asked = families_of(task)
        assert np.isfinite(data.truths[number]).sum() == len(asked) >= ASKED
        for family in asked:
            assert data.truths[number, KEYS.index(family.key)] == pytest.approx(family.truth(attempt))


def test_the_data_are_the_same_every_time() -> None:
    first, again = judge_set(16, 2), judge_set(16, 2)
    assert (first.edited == again.edited).all() and first.instructions == again.instructions
    assert np.array_equal(first.truths, again.truths, equal_nan=True)


@pytest.mark.parametrize("make", MIXED)
def test_every_mixture_is_a_picture_of_its_own_for_every_task(make: object) -> None:
    assert callable(make)
    for index, task in enumerate(TASKS):
        pair = draw_pair(70_011, index, task)
        image = make(pair, random.Random(index))
        assert image.shape == (64, 64, 3) and image.dtype == np.uint8
        assert (image == make(pair, random.Random(index))).all()
    assert len({draw_attempt(pair, random.Random(number)).tobytes() for number in range(20)}) > 8
    assert 0 < attempts.PLANTED_SHARE < 1


# Words


def test_words_are_numbers_and_unknown_ones_are_marked() -> None:
    assert split("Make it GREY, the colour’s off!") == ["make", "it", "grey", "the", "color's", "off"]
    assert split("Is the image intact?") == ["is", "the", "picture", "untouched"]
    assert split_question('Was "Paint the ring red" done?', "paint the ring red ") == ["was", "instruction", "done"]
    assert split_question("Is it (a+b)?", "(a+b)") == ["is", "it", "instruction"]
    assert split_question("Is it done?", "") == ["is", "it", "done"]
    encoded = encode([["remove", "dragon"], [], ["a"] * 40], 5)
    assert encoded.shape == (3, 5) and encoded[0, 0] == numbers()["remove"] and encoded[0, 1] == UNKNOWN
    assert (encoded[0, 2:] == PAD).all() and encoded[1].tolist() == [UNKNOWN, PAD, PAD, PAD, PAD]
    assert encode([["a"], ["a", "ring"]], 9).shape == (2, 2) and encode([[]], 9).tolist() == [[UNKNOWN]]
    assert sorted(numbers().values()) == list(range(2, token_count()))
    assert unknown_words(["ring", "dragon"]) == ["dragon"]


def test_every_known_wording_fits_and_unseen_ones_add_no_word() -> None:
    for family in FAMILIES.values():
        for text in family.wordings:
            words = split_question(text.replace("{instruction}", "instruction"), "")
            assert len(words) <= MOST_QUESTION and not unknown_words(words)
    unseen = {word for family in FAMILIES.values() for text in family.unseen for word in split(text)}
    known = {word for family in FAMILIES.values() for text in family.wordings for word in split(text)}
    assert len(unseen - known) < len(unseen) / 4  # most of them are other orders of known words


def test_hidden_words_are_unknown_and_gaps_stay_gaps() -> None:
    encoded = encode([["is", "the", "ring", "there"]] * 400 + [["is"] * 8], 8)[:400]
    changed = hidden(np.random.default_rng(0), encoded, 0.5)
    assert (changed[:, 4:] == PAD).all() and set(np.unique(changed)) <= {*np.unique(encoded), UNKNOWN}
    assert 0.03 < (changed == UNKNOWN)[:, :4].mean() < 0.1
    assert (hidden(np.random.default_rng(0), encoded, 0) == encoded).all()


# Training


def test_a_few_steps_reduce_the_loss_and_the_same_seed_gives_the_same_bits(tmp_path: Path) -> None:
    data = judge_set(TINY.cases, TINY.attempts)
    first, again, other = (train(recipe, data) for recipe in (TINY, TINY, replace(TINY, seed=8)))
    hashes = [save_weights(t.network, tmp_path / str(n)) for n, t in enumerate((first, again, other))]
    assert hashes[0] == hashes[1] != hashes[2]
    before = Trainer(TINY, data).step(0)
    with torch.no_grad():
        rng = np.random.default_rng((TINY.seed, 0))
        after = float(first.loss(rng, first._batch(0)))
    assert after < 0.8 * before


def test_every_weight_learns_and_in_one_optimiser() -> None:
    trainer = Trainer(TINY, judge_set(TINY.cases, TINY.attempts))
    values = dict(trainer.network.named_parameters())
    counted = [id(v) for o in trainer.optimizers for group in o.param_groups for v in group["params"]]
    assert sorted(counted) == sorted(map(id, values.values()))
    before = {name: value.detach().clone() for name, value in values.items()}
    for number in range(3):
        trainer.step(number)
    assert {name for name, value in values.items() if torch.equal(value, before[name])} == set()


def test_a_step_asks_only_what_can_be_asked_with_the_truth_of_that_family() -> None:
    data = judge_set(TINY.cases, TINY.attempts)
    trainer, rng = Trainer(TINY, data), np.random.default_rng(0)
    texts, families = trainer._questions(rng)
    assert len(texts) == len(families) and (families[: 3 * len(KEYS)] // 1 == np.repeat(range(len(KEYS)), 3)).all()
    assert (families[3 * len(KEYS) :] == OTHER).all() and WORDINGS_A_STEP == 3
    asked, truth = trainer._asked(rng, data.truths)
    assert asked.shape == truth.shape == (48, ASKED) and np.isfinite(truth).all()
    assert all(len(set(row)) == ASKED for row in families[asked])
    assert (truth == np.take_along_axis(data.truths, families[asked], axis=1)).all()


def test_every_attempt_comes_once_an_epoch() -> None:
    trainer = Trainer(TINY, judge_set(TINY.cases, TINY.attempts))
    epochs = [np.concatenate([trainer._batch(number) for number in range(start, start + 6)]) for start in (0, 6)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(48))] * 2
    assert (epochs[0] != epochs[1]).any()


def test_new_networks_touch_no_other_random_numbers() -> None:
    torch.manual_seed(3)
    wanted = torch.rand(3)
    torch.manual_seed(3)
    first, second = new_network(1), new_network(1)
    assert torch.equal(torch.rand(3), wanted)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_padding_changes_no_answer() -> None:
    network = new_network(1).eval()
    short = torch.from_numpy(encode([["is", "it", "done"]], MOST_QUESTION))
    long = torch.nn.functional.pad(short, (0, MOST_QUESTION - 3), value=PAD)
    x = network.words(short) + network.question_place[:3]
    alone = network.question(x, None, None).mean(1)
    with torch.no_grad():
        assert torch.allclose(network.ask(long)[0], network.question_norm(alone), atol=1e-5)


# Measures


def test_a_correlation_has_its_interval_over_cases_and_is_none_where_nothing_varies() -> None:
    rng = np.random.default_rng(0)
    case = np.repeat(np.arange(50), 4)
    truth = rng.normal(size=200)
    found = correlation(truth + rng.normal(size=200), truth, case)
    assert found["n"] == 200 and found["low"] < found["r"] < found["high"] and 0.6 < found["r"] < 0.8
    assert 0.08 < found["high"] - found["low"] < 0.3
    assert correlation(np.ones(200), truth, case) == {"r": None, "n": 200}
    gaps = truth.copy()
    gaps[:50] = np.nan
    assert correlation(gaps, truth, case)["n"] == 150 and correlation(gaps, truth, case)["r"] == 1


def test_an_untrained_judge_is_measured_without_pretence() -> None:
    cases = held_out_cases(8)
    judged = judge_all(Answerer(new_network(0).eval()), cases, planted(cases))
    assert len(judged.task) == 48 and judged.truth.shape == (48, len(KEYS))
    alone = composite(judged, [])
    assert np.array_equal(alone, judged.impression) and alone.std() < 0.1
    fault = KEYS.index("noise")
    assert np.nanmax(abs(judged.truth[:, fault] - judged.truth[:, KEYS.index("clean")])) < 1e-6  # turned round
