"""Rows with images to Parquet files of bounded size."""

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from annotation.versions.archive import Archive

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

GROUP_BYTES = 32 << 20  # of images in memory: one row group
SHARD_BYTES = 256 << 20
GROUP_ROWS = 5000


class Shards:
    """Takes rows and puts the files NAME-00000.parquet, NAME-00001.parquet … into an archive: at least one."""

    def __init__(self, archive: Archive, name: str, schema: "pa.Schema", scratch: Path) -> None:
        self.archive, self.name, self.schema = archive, name, schema
        self.path = scratch / "shard.parquet"
        self.rows: list[dict[str, Any]] = []
        self.in_group = self.in_shard = self.number = 0
        self.writer: pq.ParquetWriter | None = None

    def __enter__(self) -> "Shards":
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _at: TracebackType | None) -> None:
        if error is None:
            self._write_group()
            if self.writer or not self.number:
                self._end_shard()
        elif self.writer:
            self.writer.close()

    def add(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        self.in_group += _bytes(row)
        if self.in_group >= GROUP_BYTES or len(self.rows) >= GROUP_ROWS:
            self._write_group()
        if self.in_shard >= SHARD_BYTES:
            self._end_shard()

    def _open(self) -> "pq.ParquetWriter":
        import pyarrow.parquet as pq

        self.writer = self.writer or pq.ParquetWriter(self.path, self.schema, compression="zstd")
        return self.writer

    def _write_group(self) -> None:
        import pyarrow as pa

        if self.rows:
            self._open().write_table(pa.Table.from_pylist(self.rows, self.schema))
        self.in_shard += self.in_group
        self.rows, self.in_group = [], 0

    def _end_shard(self) -> None:
        self._open().close()
        self.archive.move_in(f"{self.name}-{self.number:05}.parquet", self.path)
        self.writer, self.in_shard, self.number = None, 0, self.number + 1


def _bytes(value: Any) -> int:
    """The size of the images in a row."""
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_bytes, value.values()))
    return sum(map(_bytes, value)) if isinstance(value, list) else 0
