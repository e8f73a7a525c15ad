"""Sweeps as rows for tests."""

from collections.abc import Sequence
from itertools import count, product
from typing import Any

from tests.training_runs import rows
from training.models import Sweep, SweepRun
from training.runs.sweeps.plan import Axis

RANKS = Axis("lora_rank", (8, 32, 128), ("8", "32", "128"))
SEEDS = Axis("seed", (1, 2), ("1", "2"))
_number = count(1)


def sweep(by: Any = None, axes: Sequence[Axis] = (RANKS, SEEDS), state: str = "running", **fields: Any) -> Sweep:
    """A sweep with its runs; nothing of them has happened."""
    number = next(_number)
    made = Sweep.objects.create(
        slug=f"sweep-{number}",
        name=f"Sweep {number}",
        axes=[axis.to_json() for axis in axes],
        start={"notice": fields.get("notice", "")},
        created_by=by,
    )
    for position, values in enumerate(product(*(axis.values for axis in axes))):
        place = dict(zip((axis.name for axis in axes), values, strict=True))
        job = rows.run(by, state, name=f"Sweep {number} {position}", **fields)
        SweepRun.objects.create(sweep=made, job=job, position=position, place=place)
    return made


def sweep_row(by: Any) -> list[Any]:
    """The argument of a sweep's address."""
    return [sweep(by, state="cancelled").slug]
