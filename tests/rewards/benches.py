"""Small folders in the form of published benchmarks."""

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
from PIL import Image


def png(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (12, 8), (shade % 256, shade // 2 % 256, 40)).save(out, "PNG")
    return out.getvalue()


def inside(shade: int) -> dict[str, Any]:
    """A picture as the datasets library keeps it in a table."""
    return {"bytes": png(shade), "path": f"{shade}.png"}


def put(folder: Path, name: str, shade: int) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(shade))
    return name


def parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def arrow(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows)
    with pyarrow.ipc.new_stream(str(path), table.schema) as stream:
        stream.write_table(table)


def as_json(path: Path, rows: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows))


def json_lines(path: Path, rows: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
