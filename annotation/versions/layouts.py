"""The layouts of an export: a folder of images with JSON lines, Parquet tables, and a Hugging Face data set."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annotation.library import Values
from annotation.models import DatasetVersion, Split
from annotation.versions.archive import Archive, json_line
from annotation.versions.rows import Exported, Options, Picture, candidate_columns, case_columns, exported
from annotation.versions.shards import Shards

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Target:
    """Where an export goes: ``look(done, message)`` tells how far it is and stops it when asked; ``scratch`` is a
    folder for what is too large for memory."""

    archive: Archive
    look: Callable[[int, str], None]
    scratch: Path


@dataclass(frozen=True)
class Layout:
    """``write`` puts everything but the README into the archive. ``about``: what the README says of the files.
    ``front``: lines of its YAML, from the splits that have cases."""

    write: Callable[[DatasetVersion, Options, Target], None]
    about: str
    front: Callable[[list[str]], list[str]] = lambda _splits: []


def splits_of(version: DatasetVersion) -> list[str]:
    return [split for split in Split.values if any(split in row for row in version.facts["tasks"].values())]


def _look(target: Target, message: str) -> Callable[[int], None]:
    return lambda done: target.look(done, message)


# Folder -------------------------------------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    return value


def write_folder(version: DatasetVersion, options: Options, target: Target) -> None:
    archive, look = target.archive, target.look
    with archive.entry("metadata.jsonl") as file:
        for row in exported(version, options, _look(target, "metadata.jsonl")):
            file.writelines(json_line(_flat(row, candidate)) for candidate in row.candidates)
    with archive.entry("cases.jsonl") as file:
        for row in exported(version, options, _look(target, "cases.jsonl")):
            file.write(json_line(_of_case(row)))
    written: set[bytes] = set()
    for row in exported(version, options, _look(target, "images")):
        for picture in _pictures_of(row):
            if (digest := bytes.fromhex(picture.sha256)) not in written:
                written.add(digest)
                archive.image(picture.name, picture.read())
    look(version.cases, "")


def _pictures_of(row: Exported) -> Iterable[Picture]:
    masks = [row.mask] if row.mask else []
    return [row.source, *masks, *[row.pictures[candidate["image"]] for candidate in row.candidates]]


def _of_case(row: Exported) -> Values:
    mask = row.mask.name if row.mask else None
    return {"source_file_name": row.source.name, "mask_file_name": mask, **case_columns(row.case, _plain)}


def _flat(row: Exported, candidate: Values) -> Values:
    name = row.pictures[candidate["image"]].name
    return {"file_name": name, **candidate_columns(candidate, _plain), **_of_case(row)}


# Parquet ------------------------------------------------------------------------------------------------------------


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _image(picture: Picture | None) -> Values | None:
    """The struct that the Hugging Face library takes for an image."""
    return {"bytes": picture.read(), "path": picture.name.rpartition("/")[2]} if picture else None


def _types() -> tuple[dict[str, "pa.DataType"], dict[str, "pa.DataType"], "pa.DataType"]:
    """Types of the columns of a case, of a candidate, and of an image."""
    import pyarrow as pa

    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    case = dict.fromkeys(case_columns(_NOTHING, _json), pa.string())
    candidate = dict.fromkeys(candidate_columns(_NOTHING, _json), pa.string())
    candidate |= {"seed": pa.int64(), "noise_seed": pa.int64(), "kept": pa.bool_(), "usable": pa.bool_()}
    return case, candidate, image


class _Nothing(dict[str, Any]):
    """Stands for a row when only the names of its columns are wanted."""

    def __missing__(self, _key: str) -> None:
        return None


_NOTHING = _Nothing()


def write_parquet(version: DatasetVersion, options: Options, target: Target) -> None:
    import pyarrow as pa

    of_case, of_candidate, image = _types()
    schema = pa.schema([*of_case.items(), ("source", image), ("mask", image)])
    with Shards(target.archive, "cases/cases", schema, target.scratch) as shards:
        for row in exported(version, options, _look(target, "cases")):
            pictures = {"source": _image(row.source), "mask": _image(row.mask)}
            shards.add({**case_columns(row.case, _json), **pictures})
    schema = pa.schema([("case", pa.string()), *of_candidate.items(), ("image", image)])
    with Shards(target.archive, "candidates/candidates", schema, target.scratch) as shards:
        for row in exported(version, options, _look(target, "candidates")):
            for candidate in row.candidates:
                picture = _image(row.pictures[candidate["image"]])
                shards.add({"case": row.case["key"], **candidate_columns(candidate, _json), "image": picture})
    target.look(version.cases, "")


# Hugging Face -------------------------------------------------------------------------------------------------------


def write_hugging_face(version: DatasetVersion, options: Options, target: Target) -> None:
    import pyarrow as pa

    of_case, of_candidate, image = _types()
    group = pa.list_(pa.struct([*of_candidate.items(), ("image", image)]))
    schema = pa.schema([*of_case.items(), ("source", image), ("mask", image), ("candidates", group)])
    for split in splits_of(version):
        with Shards(target.archive, f"data/{split}", schema, target.scratch) as shards:
            for row in exported(version, options, _look(target, split), split):
                shards.add(_nested(row))
    target.look(version.cases, "")


def _nested(row: Exported) -> Values:
    candidates = [
        {**candidate_columns(candidate, _json), "image": _image(row.pictures[candidate["image"]])}
        for candidate in row.candidates
    ]
    pictures = {"source": _image(row.source), "mask": _image(row.mask)}
    return {**case_columns(row.case, _json), **pictures, "candidates": candidates}


def _configs(splits: list[str]) -> list[str]:
    """The YAML by which `load_dataset` finds the files and knows the images."""
    of_case, of_candidate, _image_type = _types()
    lines = ["configs:", "- config_name: default", "  data_files:"]
    for split in splits:
        lines += [f"  - split: {split}", f"    path: data/{split}-*.parquet"]
    lines += ["dataset_info:", "  features:"]
    for name in of_case:
        lines += [f"  - name: {name}", "    dtype: string"]
    for name in ("source", "mask"):
        lines += [f"  - name: {name}", "    dtype: image"]
    lines += ["  - name: candidates", "    list:"]
    for name, kind in of_candidate.items():
        lines += [f"    - name: {name}", f"      dtype: {kind!s}"]
    return [*lines, "    - name: image", "      dtype: image"]


LAYOUTS = {
    "folder": Layout(
        write_folder,
        "`metadata.jsonl` has a line for each candidate, with everything about it and its case; `file_name`, "
        "`source_file_name` and `mask_file_name` (null: none) are paths under this folder. `cases.jsonl` has a line "
        "for each case, also for those without candidates. Each image is there once, by the SHA-256 of its original.",
    ),
    "parquet": Layout(
        write_parquet,
        "`cases/` and `candidates/` hold Parquet files, to be read in the order of their names. An image is a struct "
        "of `bytes`, the whole file, and `path`, its name. `candidates.case` is `cases.key`.",
    ),
    "huggingface": Layout(
        write_hugging_face,
        'Load it with `datasets.load_dataset("PATH")`, where PATH is this folder. A row is a case with its list of '
        "candidates; each split is a split.",
        _configs,
    ),
}
