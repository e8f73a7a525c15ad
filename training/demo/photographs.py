"""A data set to try everything on: real photographs that installed packages ship, with cases over all eight tasks.

The photographs are read from scikit-image and scikit-learn where they are installed, and are no part of this
repository. Only photographs whose licence those packages state are used; ``attributions`` lists the facts for a page.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from training.gpu.classical_ops.pictures import encode_picture

HERE = Path(__file__).parent
LARGEST_SIDE = 1024  # pixels
PACKAGES = {"skimage": "scikit-image", "sklearn": "scikit-learn"}


class PhotographMissing(Exception):
    """A package that ships a photograph is not installed, or ships it no more. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """Whose photograph it is. ``notes`` is the place in the package where title, author and licence are stated."""

    name: str
    title: str
    author: str
    licence: str
    source: str
    notes: str

    @property
    def sentence(self) -> str:
        return f"“{self.title}” by {self.author}. {self.licence}. {self.source} ({self.notes})"


def attributions() -> list[Attribution]:
    """One entry a photograph, in the order of photographs.toml. Needs none of the packages."""
    fields = ("title", "author", "licence", "source", "notes")
    return [Attribution(name, *(row[field] for field in fields)) for name, row in _toml("photographs").items()]


def load_photograph(name: str) -> Image.Image:
    """The photograph in RGB, cropped as photographs.toml says, at most 1024 pixels a side. Raises PhotographMissing."""
    row = _toml("photographs")[name]
    package = PACKAGES[row["package"]]
    spec = find_spec(row["package"])
    if spec is None or not spec.submodule_search_locations:
        raise PhotographMissing(f"The demo's photographs need {package}: install it (pip install {package}).")
    path = Path(spec.submodule_search_locations[0]) / row["file"]
    if not path.is_file():
        raise PhotographMissing(f"The installed {package} has no {row['file']}: install the version the project pins.")
    with Image.open(path) as image:
        photograph = image.convert("RGB")
    if "crop" in row:
        photograph = photograph.crop(row["crop"])
    photograph.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.LANCZOS)
    return photograph


def build_folder(folder: Path) -> int:
    """Write an import folder (cases.jsonl, sources/, masks/) and return the number of cases.

    The manifest is written last, so an unfinished folder has none. The same packages give the same bytes. Raises
    PhotographMissing, or FileExistsError where the folder has something in it.
    """
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty: name a new folder.")
    for name in ("sources", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    photographs = {name: load_photograph(name) for name in _toml("photographs")}
    for name, photograph in photographs.items():
        photograph.save(folder / f"sources/{name}.png")
    written = _toml("cases")
    cutouts = {name: _cutout(row, photographs) for name, row in written["cutouts"].items()}
    rows = [_case_row(case, folder, photographs, cutouts) for case in written["case"]]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "cases.jsonl").write_text(lines, encoding="utf-8")
    return len(rows)


def _case_row(
    case: Mapping[str, Any], folder: Path, photographs: Mapping[str, Image.Image], cutouts: Mapping[str, str]
) -> dict[str, Any]:
    photograph = photographs[case["photograph"]]
    row = {name: case[name] for name in ("key", "instruction", "instruction_zh", "task", "requirement") if name in case}
    row["source"] = f"sources/{case['photograph']}.png"
    if "region" in case:
        row["mask"] = f"masks/{case['photograph']}-{case['region']}.png"
        if not (folder / row["mask"]).exists():
            _mask(case["photograph"], case["region"], photograph).save(folder / row["mask"])
    row["params"] = _params(case.get("params", {}), photograph.size, cutouts)
    used = {case["photograph"], *_photographs_in(case.get("params", {}))}
    owners = [entry for entry in attributions() if entry.name in used]
    row["attribution"] = " ".join(entry.sentence for entry in owners)
    row["licence"] = ", ".join(dict.fromkeys(entry.licence for entry in owners))
    return row


def _mask(name: str, region: str, photograph: Image.Image) -> Image.Image:
    from training.demo.regions import draw_region  # here, because it imports scikit-image, which a page need not

    return Image.fromarray(draw_region(photograph, _toml("regions")[name], region))


def _cutout(row: Mapping[str, Any], photographs: Mapping[str, Image.Image]) -> str:
    """Part of a photograph as a data URI, all but the region transparent, its larger side ``side`` pixels at most."""
    photograph = photographs[row["photograph"]]
    mask = _mask(row["photograph"], row["region"], photograph)
    cut = photograph.copy()
    cut.putalpha(mask)
    cut = cut.crop(mask.point(lambda value: 255 if value > 127 else 0).getbbox())
    cut.thumbnail((row["side"], row["side"]), Image.Resampling.LANCZOS)
    return encode_picture(cut)


def _photographs_in(params: Mapping[str, Any]) -> set[str]:
    """The photographs that the parameters put into the picture, whole or in part: they are credited too."""
    cutout = params.get("object", {}).get("cutout")
    used = {_toml("cases")["cutouts"][cutout]["photograph"]} if cutout else set()
    return used | {params["backdrop"]["photograph"]} if "photograph" in params.get("backdrop", {}) else used


def _params(params: Mapping[str, Any], size: tuple[int, int], cutouts: Mapping[str, str]) -> dict[str, Any]:
    """Parameters as the editor wants them: boxes as [left, top, width, height] in shares, pictures as data URIs."""
    result = dict(params)
    if "box" in params:
        result["box"] = _share_box(params["box"], size)
    if "copy_from" in params:
        result["copy_from"] = [_share_box(box, size) for box in params["copy_from"]]
    if "cutout" in params.get("object", {}):
        result["object"] = dict(params["object"])
        result["object"]["picture"] = cutouts[result["object"].pop("cutout")]
    if "photograph" in params.get("backdrop", {}):
        result["backdrop"] = dict(params["backdrop"])
        small = load_photograph(result["backdrop"].pop("photograph"))
        small.thumbnail((result["backdrop"].pop("side"),) * 2, Image.Resampling.LANCZOS)
        result["backdrop"]["picture"] = encode_picture(small)
    return result


def _share_box(box: list[float], size: tuple[int, int]) -> list[float]:
    left, top, right, bottom = box
    edges = np.array([left / size[0], top / size[1], (right - left) / size[0], (bottom - top) / size[1]])
    return [round(float(value), 5) for value in edges]


@cache
def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads((HERE / f"{name}.toml").read_text(encoding="utf-8"))
