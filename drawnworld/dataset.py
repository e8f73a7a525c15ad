"""The drawn world as a folder to import: cases, exact edits, and edits with planted faults."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from drawnworld.edits import TASKS, Pair, draw_pair
from drawnworld.flaws import ATTEMPTS

SPLITS = ("train",) * 8 + ("dev", "test")  # by turns through the tasks, so that every split holds every task


def write_dataset(folder: Path, seed: int, cases: int, tasks: Sequence[str] = TASKS) -> None:
    """Write ``cases`` cases, ``tasks`` by turns, with one candidate of each editor in ``flaws.ATTEMPTS``.

    The folder holds cases.jsonl, candidates.jsonl, sources/, masks/ and candidates/. The manifests come last, so a
    folder that was not finished has none. The same seed gives the same bytes. Raises FileExistsError where the folder
    has something in it, ValueError for fewer than one case and for tasks that there are not.
    """
    if cases < 1:
        raise ValueError(f"The number of cases must be at least 1, not {cases}.")
    if not tasks or set(tasks) - set(TASKS):
        raise ValueError(f"The tasks are {', '.join(TASKS)}; {', '.join(tasks) or 'none'} were asked for.")
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty: name a new folder.")
    for name in ("sources", "masks", *(f"candidates/{editor}" for editor in ATTEMPTS)):
        (folder / name).mkdir(parents=True, exist_ok=True)
    case_rows: list[dict[str, Any]] = []
    candidate_rows: list[dict[str, Any]] = []
    for index in range(cases):
        pair = draw_pair(seed, index, tasks[index % len(tasks)])
        case_rows.append(_write_case(folder, seed, index, pair, SPLITS[index // len(tasks) % len(SPLITS)]))
        candidate_rows += _write_candidates(folder, seed, index, pair)
    _write_lines(folder / "candidates.jsonl", candidate_rows)
    _write_lines(folder / "cases.jsonl", case_rows)


def _write_case(folder: Path, seed: int, index: int, pair: Pair, split: str) -> dict[str, Any]:
    source, mask = f"sources/{index:06}.png", f"masks/{index:06}.png"
    _save(folder / source, pair.source)
    _save(folder / mask, pair.mask.astype(np.uint8) * 255)
    return {
        "key": _key(seed, index),
        "source": source,
        "mask": mask,
        "instruction": pair.edit.instruction,
        "task": pair.edit.task,
        "split": split,
        "params": {"scene": pair.scene.to_json(), "edit": pair.edit.to_json()},
        "attribution": f"Drawn world of Editloop, seed {seed}",
        "licence": "Apache-2.0",
    }


def _write_candidates(folder: Path, seed: int, index: int, pair: Pair) -> list[dict[str, Any]]:
    rows = []
    for editor, attempt in ATTEMPTS.items():
        made = attempt(pair, random.Random(f"{seed}/{index}/{editor}"))
        file = f"candidates/{editor}/{index:06}.png"
        _save(folder / file, made.image)
        rows.append(
            {"case": _key(seed, index), "editor": editor, "file": file, "seed": seed, "settings": made.settings}
        )
    return rows


def _key(seed: int, index: int) -> str:
    return f"drawn-{seed}-{index:06}"


def _save(path: Path, pixels: NDArray[np.uint8]) -> None:
    PillowImage.fromarray(pixels).save(path, format="PNG")


def _write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
