"""Remove what the tools leave behind. Data (var/) and the environment (.venv/) stay."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHES = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".import_linter_cache"}
KEPT = {".git", ".venv", "var"}


def main() -> None:
    folders = [folder for folder in ROOT.iterdir() if folder.is_dir() and folder.name not in KEPT]
    found = [path for folder in folders for path in [folder, *folder.rglob("*")] if path.name in CACHES]
    for path in found:
        shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    main()
