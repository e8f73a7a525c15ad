"""Stored files as paths that a job's program can open."""

from pathlib import Path

from django.core.files.storage import default_storage

CHUNK = 1024 * 1024


def local_path(name: str, folder: Path) -> str:
    """A stored file's own path where the storage has one, else that of a copy in the job folder, made once."""
    try:
        return str(default_storage.path(name))
    except NotImplementedError:
        copy = folder / "inputs" / Path(name).name
        if not copy.exists():
            part = copy.with_suffix(".part")
            with default_storage.open(name) as stored, part.open("wb") as file:
                while chunk := stored.read(CHUNK):
                    file.write(chunk)
            part.rename(copy)
        return str(copy)
