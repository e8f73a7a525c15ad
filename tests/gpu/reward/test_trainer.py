"""The trainer of reward models: it learns, says so in events, repeats itself, and ends where it should."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.gpu.reward.drawn_set import job_folder, quick, write_drawn_set
from training.gpu.reward import checkpoint
from training.gpu.reward.batches import Gaps, Plan, read_set, targets_of, thinned
from training.gpu.reward.job import reward_train
from training.gpu.reward.train import EARLY, Hooks, Trainer, rate_factor, stage_at
from training.rewards.config import BOTH, PAIR, POINT, PRESETS, RANKINGS, TEXT, Config, Stage
from training.rewards.groups import TRAIN, Dimension, Entry, Group, Labels
from webapp.jobs.folder import JobRun, read_events


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)  # two runs are compared bit for bit


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drawn_set(tmp_path_factory.mktemp("set"))


def run_of(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    summary = reward_train(JobRun(folder))
    return summary, read_events(folder / "events.jsonl")[0]


def losses(trainer: Trainer) -> list[float]:
    found: list[float] = []
    trainer.run(Hooks(trained=lambda told: found.append(told["loss"])))
    return found


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in trainer.weights.items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_it_learns_and_beats_both_baselines(drawn: Path, tmp_path: Path) -> None:
    summary, events = run_of(job_folder(tmp_path / "job", drawn, quick(steps=24, batch=8, eval_every=8)))
    train = [event for event in events if event["event"] == "train"]
    held = [event for event in events if event["event"] == "held-out"]
    assert len(train) == 24 and [event["step"] for event in held] == [8, 16, 24]
    assert sum(one["loss"] for one in train[-4:]) < 0.8 * sum(one["loss"] for one in train[:4])
    assert set(train[0]["terms"]) == {"ranking", "centring", "anchor", "doubt"} and train[0]["grad_norm"] > 0
    metrics = summary["metrics"]
    for key in ("alignment", "preservation"):
        mine = metrics["test"][key]
        assert mine["low"] <= mine["accuracy"] <= mine["high"] and mine["pairs"] > 20 and not mine["tuned"]
        assert metrics["baselines"]["constant"]["test"][key]["accuracy"] == 0.5
        assert mine["accuracy"] > 0.65
    pixels = metrics["baselines"]["pixel-difference"]["test"]["alignment"]["accuracy"]
    assert metrics["test"]["alignment"]["accuracy"] > max(pixels, 0.75) and metrics["test"]["alignment"]["srcc"] > 0.6
    assert min(one["nll"] for one in held) == pytest.approx(metrics["nll"]["dev"], abs=1e-4)
    assert held[-1]["calibration"]["ece"] is not None and summary["best_step"] in (8, 16, 24)
    told = checkpoint.read(tmp_path / "job" / "outputs" / "model")
    assert told["metrics"] == metrics and told["notice"] == "Simulation."
    assert told["set"] == {"name": "Small set", "content_hash": "sha-of-the-small-set"}


def test_the_worst_examples_are_pairs_that_people_ordered_the_other_way(drawn: Path, tmp_path: Path) -> None:
    _, events = run_of(job_folder(tmp_path / "job", drawn, quick(steps=1, eval_every=1)))
    rows = next(event for event in events if event["event"] == "worst")["rows"]
    groups = {group.key: group for group in read_set(drawn).groups}
    assert rows and [row["predicted"] for row in rows] == sorted(row["predicted"] for row in rows)
    for row in rows:
        group = groups[row["group"]]
        ranks = dict(zip((one.key for one in group.candidates), group.labels[row["dimension"]].ranks, strict=True))
        assert ranks[row["better"]] < ranks[row["worse"]] and row["predicted"] < 0.5 and row["margin"] > 0
    shown = next(event for event in events if event["event"] == "baselines")["dimensions"]
    assert set(shown["alignment"]) == {"constant", "pixel-difference"}


def test_the_same_seed_gives_the_same_losses_and_another_seed_others(drawn: Path, tmp_path: Path) -> None:
    data = read_set(drawn)
    runs = [
        losses(Trainer(quick(steps=2, seed=seed), data, tmp_path / str(number)))
        for number, seed in enumerate((3, 3, 4))
    ]
    assert runs[0] == runs[1] != runs[2]


def test_a_stopped_run_goes_on_bit_for_bit(drawn: Path, tmp_path: Path) -> None:
    """Against one that was never stopped: weights, the optimiser, the best look and the kept model."""
    data, config = read_set(drawn), quick(steps=6, eval_every=2, accumulate=2)
    whole = Trainer(config, data, tmp_path / "whole")
    whole.run(Hooks())
    seen: list[int] = []
    stopped = Trainer(config, data, tmp_path / "stopped")
    from webapp.jobs.folder import JobStopped

    with pytest.raises(JobStopped):
        stopped.run(Hooks(trained=lambda told: seen.append(told["step"]), stopping=lambda: len(seen) == 3))
    again = Trainer(config, data, tmp_path / "stopped")
    again.run(Hooks(trained=lambda told: seen.append(told["step"])))
    assert seen == [1, 2, 3, 4, 5, 6]
    assert same(weights(whole), weights(again))
    first, second = whole.optimizer.state_dict()["state"], again.optimizer.state_dict()["state"]
    assert all(torch.equal(first[index][key], second[index][key]) for index in first for key in first[index])
    kept = [checkpoint.read(tmp_path / name / "model")["fingerprint"] for name in ("whole", "stopped")]
    assert kept[0] == kept[1] and whole.progress.best_nll == again.progress.best_nll


def test_a_killed_run_goes_on_from_the_last_look_bit_for_bit(drawn: Path, tmp_path: Path) -> None:
    data, config = read_set(drawn), quick(steps=5, eval_every=2)
    whole = Trainer(config, data, tmp_path / "whole")
    whole.run(Hooks())

    def killed(told: dict[str, Any]) -> None:
        if told["step"] == 3:
            raise KeyboardInterrupt  # nothing is saved on the way out

    with pytest.raises(KeyboardInterrupt):
        Trainer(config, data, tmp_path / "killed").run(Hooks(trained=killed))
    again, seen = Trainer(config, data, tmp_path / "killed"), []
    again.run(Hooks(trained=lambda told: seen.append(told["step"])))
    assert seen == [3, 4, 5] and same(weights(whole), weights(again))


def test_it_stops_early_and_keeps_the_best(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from training.gpu.reward import train as module
    from training.gpu.reward.looks import Look

    told, real = iter([0.9, 0.7, 0.8, 0.75, 0.1]), module.look_at
    monkeypatch.setattr(module, "look_at", lambda *rest: Look(next(told), real(*rest).predictions))
    trainer = Trainer(quick(steps=20, eval_every=1, patience=2), read_set(drawn), tmp_path / "out")
    assert trainer.run(Hooks()) == EARLY
    assert trainer.progress.step == 4 and trainer.progress.best_step == 2 and trainer.progress.best_nll == 0.7
    assert checkpoint.read(tmp_path / "out" / "model")["step"] == 2


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_trains(drawn: Path, tmp_path: Path, preset: str) -> None:
    from dataclasses import replace

    config = replace(PRESETS[preset], steps=6, batch=4, eval_every=6, device="cpu")
    stages: list[str] = []
    trainer = Trainer(config, read_set(drawn), tmp_path / "out")
    before = weights(trainer)
    trainer.run(Hooks(trained=lambda told: stages.append(told["stage"])))
    wanted = [TEXT, TEXT, POINT, POINT, PAIR, PAIR] if preset == "edithf" else [BOTH] * 6
    assert stages == wanted and not same(before, weights(trainer))


@pytest.mark.parametrize("ranking", RANKINGS)
def test_every_ranking_trains(drawn: Path, tmp_path: Path, ranking: str) -> None:
    trainer = Trainer(quick(ranking=ranking, steps=1, eval_every=1), read_set(drawn), tmp_path / "out")
    found = losses(trainer)
    assert len(found) == 1 and found[0] > 0 and trainer.progress.best_nll < 10


def test_accumulation_is_the_mean_over_micro_batches(drawn: Path, tmp_path: Path) -> None:
    """Two micro-batches of 4 move the weights as their mean gradient does."""
    data = read_set(drawn)
    both = Trainer(quick(accumulate=2, clip=0.0), data, tmp_path / "both")
    plan = both.plan
    gradients = []
    for place in (0, 1):
        one = Trainer(quick(clip=0.0), data, tmp_path / "one")
        one.network.train()
        groups = plan.micro_batch(place)
        loss, _ = one.objective.loss(
            Stage(BOTH), *one.network(one.reader.batch(groups)), None, targets_of(groups, data.dimensions)
        )
        loss.backward()
        gradients.append(one.network.weight.grad.clone())
    caught: list[torch.Tensor] = []
    both._apply = lambda number: caught.append(both.network.weight.grad.clone()) or 0.0  # type: ignore[method-assign,func-returns-value]
    both.update()
    torch.testing.assert_close(caught[0], (gradients[0] + gradients[1]) / 2, rtol=1e-5, atol=1e-7)


# Batches


def group_of(count: int, key: str = "g") -> Group:
    entries = tuple(Entry(f"{key}-{place}", "x.png") for place in range(count))
    return Group(key, "s.png", key, "remove the ring", "remove", TRAIN, entries, {})


def test_an_epoch_has_every_group_once_and_neighbours_of_one_length() -> None:
    groups = [group_of(2 + number % 5, str(number)) for number in range(40)]
    plan = Plan(groups, Config(batch=4))
    batches = [plan.micro_batch(number) for number in range(10)]
    assert sorted(group.key for batch in batches for group in batch) == sorted(group.key for group in groups)
    spread = [max(map(count, batch)) - min(map(count, batch)) for batch in batches]
    assert sum(spread) <= 10  # a random order has about three a batch
    assert [group.key for group in plan.micro_batch(3)] == [
        group.key for group in Plan(groups, Config(batch=4)).micro_batch(3)
    ]
    assert {group.key for b in batches for group in b} == {g.key for n in range(10, 20) for g in plan.micro_batch(n)}


def count(group: Group) -> int:
    return len(group.candidates)


def test_a_large_group_is_thinned_with_its_labels() -> None:
    labels = Labels((1.0, 2.0, None, 3.0), (5.0, 4.0, 3.0, 2.0), ((0, 3, 1), (3, 1, -1)), frozenset({(1, 3)}))
    from dataclasses import replace

    group = replace(group_of(4), labels={"alignment": labels})
    small = thinned(group, [1, 3]).labels["alignment"]
    ranks = (1 + 1 / 3, 1 + 2 / 3)  # a pair's gap stays what it was in the whole group
    assert small == Labels(ranks, (4.0, 2.0), ((1, 0, -1),), frozenset({(0, 1)}))
    plan = Plan([group], Config(most_candidates=2))
    drawn_ = {tuple(one.key for one in plan.micro_batch(number)[0].candidates) for number in range(30)}
    assert all(len(keys) == 2 for keys in drawn_) and len(drawn_) > 3


def test_targets_are_what_people_said() -> None:
    from dataclasses import replace

    dimensions = (Dimension("alignment", "", 1, 5), Dimension("quality", "", 0, 10))
    ranked = Labels(ranks=(2.0, 1.0, 2.0), excluded=frozenset({(0, 1)}))
    first = replace(group_of(3), labels={"alignment": ranked, "quality": Labels(mos=(1.0, None, 6.0))})
    second = replace(group_of(2), labels={"quality": Labels(pairs=((1, 0, 1),))})
    found = targets_of([first, second], dimensions)
    rows = sorted(zip(found.first.tolist(), found.second.tolist(), found.group.tolist(), strict=True))
    assert rows == [(0, 2, 0), (1, 2, 0), (3, 4, 1)] and found.owner.tolist() == [0, 0, 0, 1, 1]
    by_pair = {(int(i), int(j)): row for row, (i, j) in enumerate(zip(found.first, found.second, strict=True))}
    assert found.known[by_pair[0, 2]].tolist() == [True, True] and found.outcome[by_pair[0, 2]].tolist() == [0, -1]
    assert found.gap[by_pair[0, 2], 1].item() == pytest.approx(0.5)
    assert found.known[by_pair[1, 2]].tolist() == [True, False] and found.outcome[by_pair[1, 2], 0] == 1
    assert found.outcome[by_pair[3, 4]].tolist() == [0, -1]
    assert found.mos[:3, 1].isnan().tolist() == [False, True, False] and found.ranks[2, 1] == -6


def test_large_gaps_come_first_and_all_pairs_by_the_end() -> None:
    from dataclasses import replace

    group = replace(group_of(6), labels={"alignment": Labels(ranks=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0))})
    dimensions = (Dimension("alignment", "", 1, 5),)
    gaps, stage = Gaps([group], dimensions), Stage(PAIR, 1.0, True)
    counts = [len(targets_of([group], dimensions, gaps.smallest(stage, done)).first) for done in (0.0, 0.5, 1.0)]
    assert counts[0] < counts[1] < counts[2] == 15
    early = targets_of([group], dimensions, gaps.smallest(stage, 0.0))
    assert early.gap.min() >= 0.6 and len(targets_of([group], dimensions, gaps.smallest(Stage(PAIR), 0.0)).first) == 15


def test_stages_share_the_steps_and_the_rate_rises_and_falls() -> None:
    config = Config(steps=10, warmup=0.2, stages=(Stage(TEXT, 0.3), Stage(POINT, 0.3), Stage(PAIR, 0.4)))
    names = [stage_at(config, number)[0].objective for number in range(10)]
    assert names == [TEXT] * 3 + [POINT] * 3 + [PAIR] * 4
    assert stage_at(config, 6)[1] == 0 and stage_at(config, 9)[1] == 1
    rates = [rate_factor(config, number) for number in range(10)]
    assert rates[:3] == [0.5, 1.0, 1.0] and rates[2:] == sorted(rates[2:], reverse=True) and 0 < rates[-1] < 0.1
    assert json.dumps(config.to_json())
