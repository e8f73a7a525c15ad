"""Figures of reference implementations on fixed inputs. The file names their sources."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any


@lru_cache(maxsize=1)
def reward_losses() -> dict[str, Any]:
    """Cases by id: inputs, params, outputs."""
    cases: dict[str, Any] = json.loads((Path(__file__).parent / "reward_losses.json").read_text())["cases"]
    return {name: cases[case.get("same_as", name)] for name, case in cases.items()}


@lru_cache(maxsize=1)
def posttraining() -> dict[str, Any]:
    """Schedules, steps and objectives of post-training, by their names."""
    found: dict[str, Any] = json.loads((Path(__file__).parent / "posttraining.json").read_text())
    return found
