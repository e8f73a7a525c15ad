"""Jobs of the kind "posttrain": cases and judges in inputs/ and job.json become a LoRA in outputs/lora.

Events: "look" (round 0 is the base), "prepared" (what an offline run learns from), "round", "missing", "watch".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from training.gpu.editors import CannotEdit, EditorError
from training.gpu.posttrain.adapter import Adapter, Condition
from training.gpu.posttrain.adapters import load_adapter
from training.gpu.posttrain.asking import TooManyMissing
from training.gpu.posttrain.cases import LOOK, TRAIN, RunCase, WrongInput, read_cases, read_examples
from training.gpu.posttrain.looks import Looks
from training.gpu.posttrain.offline import NothingToLearn, Offline
from training.gpu.posttrain.online import Online
from training.gpu.posttrain.rewarding import Rewarder, Source, load_sources, refuse_same
from training.gpu.posttrain.state import WrongState
from training.gpu.posttrain.training import POOL, Training
from training.gpu.several import Processes
from training.posttraining.config import SAMPLED, Config, WrongConfig
from training.posttraining.rewards import RewardSpec
from webapp.jobs.folder import JobError, JobRun

ENCODED = 32  # cases in one call of the text encoders


def posttrain(run: JobRun) -> dict[str, Any]:
    """Train, and sum up. Raises JobError where it cannot be done, JobStopped when asked to stop, JobPaused where the
    watch wants a person's word."""
    told = run.config
    try:
        module = str(told["editor"]["module"])
        config = Config.from_json(told["config"], module)
        spec = RewardSpec.from_json(told.get("reward") or {})
    except WrongConfig as error:
        raise JobError(str(error)) from None
    with Processes(config.device) as processes, _in_words(config), ExitStack() as stack:
        cases = read_cases(run.inputs, str(told.get("cases", "cases.jsonl")))
        refuse(config, cases, told, processes.world)
        rewarder = stack.enter_context(Rewarder(load_sources(told["rewards"], run.folder), spec))
        held_out = load_sources(told.get("held_out") or [], run.folder) if processes.is_first else []
        for source in held_out:
            stack.callback(getattr(source, "close", lambda: None))
        refuse_held_out(rewarder.sources, held_out)
        adapter = load_adapter(module, told["editor"].get("settings") or {}, config, processes.device)
        train = [one for one in cases if one.split == TRAIN]
        fixed = [one for one in cases if one.split == LOOK][: config.look_cases] if processes.is_first else []
        looks = Looks(config, adapter, fixed, encoded(adapter, fixed), rewarder, held_out, run.outputs)
        trainer = _trainer(run, config, adapter, train, rewarder, processes=processes)
        training = Training(
            run,
            trainer,
            looks,
            {"config": config.to_json(), "editor": told["editor"], "data": told.get("data_hash", "")},
            watching=bool(told.get("watch")),
            acknowledged=int(told.get("acknowledged") or 0),
        )
        training.go()
        return training.summary() if processes.is_first else {}


def _trainer(
    run: JobRun, config: Config, adapter: Adapter, train: list[RunCase], rewarder: Rewarder, *, processes: Processes
) -> Online | Offline:
    conditions = encoded(adapter, train)
    if config.is_online:
        return Online(config, adapter, train, rewarder, processes, conditions=conditions)
    name, examples = run.config.get("examples"), []
    if config.data != SAMPLED:
        examples = read_examples(run.inputs, train, str(name))
    pool = run.outputs / POOL
    return Offline(config, adapter, train, pool, rewarder, examples, processes=processes, conditions=conditions)


def encoded(adapter: Adapter, cases: Sequence[RunCase]) -> list[Condition]:
    """The conditions of cases. Raises JobError that names the first case which the editor cannot do."""
    found: list[Condition] = []
    for start in range(0, len(cases), ENCODED):
        some = cases[start : start + ENCODED]
        try:
            found += adapter.encode([one.case for one in some])
        except CannotEdit:
            for one in some:
                _encode_alone(adapter, one)
            raise
    return found


def _encode_alone(adapter: Adapter, one: RunCase) -> None:
    try:
        adapter.encode([one.case])
    except CannotEdit as error:
        raise JobError(
            f"The case {one.key} cannot be done by this editor: {error} Leave it out, then start again."
        ) from None


def refuse(config: Config, cases: Sequence[RunCase], told: Mapping[str, Any], processes: int) -> None:
    """Raise JobError for a run that can learn nothing, or that cannot tell what it has learned."""
    if not any(one.split == TRAIN for one in cases):
        raise JobError("The run has no case to train on.")
    if not any(one.split == LOOK for one in cases):
        raise JobError("The run has no fixed case to look at, so nobody could tell whether the editor gets better.")
    if not told.get("rewards"):
        raise JobError("The run has no judge that gives a reward. The looks need one, too.")
    if not config.is_online and config.data != SAMPLED and not told.get("examples"):
        raise JobError("The run learns from given examples, and has none. Name a file of them, or set data to sampled.")
    if config.is_online and config.groups % processes:
        raise JobError(
            f"{processes} processes cannot share {config.groups} groups evenly. "
            f"Set groups to a multiple of {processes}."
        )


def refuse_held_out(trained: Sequence[Source], held_out: Sequence[Source]) -> None:
    """Raise JobError for a held-out judge that gives the reward too, by its name or by its model."""
    if both := sorted({one.name for one in trained} & {one.name for one in held_out}):
        raise JobError(
            f"“{both[0]}” gives the reward and is a held-out judge too: it would not see cheating. "
            "Leave it out of one of the two."
        )
    refuse_same(trained, held_out)


@contextmanager
def _in_words(config: Config) -> Iterator[None]:
    """What may go wrong in a run as a JobError with its sentence."""
    try:
        yield
    except (CannotEdit, EditorError, WrongInput, WrongState, TooManyMissing, NothingToLearn) as error:
        raise JobError(str(error)) from None
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise JobError(_memory_words(config)) from error
    except RuntimeError as error:
        if "alloc" in str(error).lower() and "memory" in str(error).lower():
            raise JobError(_memory_words(config)) from error
        raise


def _memory_words(config: Config) -> str:
    more = "" if config.checkpointing else " Or set checkpointing to true, which needs less memory and more time."
    return (
        f"The memory does not hold a pass. Lower batch (now {config.batch}) or size (now {config.size}), or lora_rank "
        f"(now {config.lora_rank}).{more} Then start again."
    )
