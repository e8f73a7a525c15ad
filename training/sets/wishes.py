"""What somebody wants of a training set from studies: one value, that a form makes and a job's configuration keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from scoring.stats.mos import MosSettings

MEAN = "mean"
METHODS = ("mean", "corrected", "p910", "zscore")  # zscore only where people's scale is 0 to 100
TIE, DROP = "tie", "drop"


@dataclass(frozen=True, slots=True)
class Wish:
    """``method``: of the MOS; ``contested``: groups whose annotators agree too little stay; ``both_bad``: such a
    verdict is a tie or is dropped; ``near``: sources that look alike stay in one split; ``dimensions``: keys, empty
    for all."""

    method: str = MEAN
    contested: bool = True
    both_bad: str = TIE
    near: bool = True
    seed: int = 0
    dimensions: tuple[str, ...] = ()

    @property
    def mos_settings(self) -> MosSettings:
        """Plain means are those of the study's page: every rating counts. Other methods keep their own outlier rule."""
        method = next(name for name in METHODS if name == self.method)
        return MosSettings(method=method, outliers="none" if method == MEAN else None)  # type: ignore[arg-type]

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "dimensions": list(self.dimensions)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Wish:
        return cls(**{**value, "dimensions": tuple(value["dimensions"])})
