"""Every limit of an import in one place."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """The defaults suit an import of 250,000 rows on a machine with 4 GB; docs/importing.md lists them.

    ``max_pixels`` stays below Pillow's own limit (``Image.MAX_IMAGE_PIXELS``, 89 million), which is left as it is:
    it is a global of the process, and changing it for one image would change it for every thread.
    """

    max_files: int = 300_000
    max_file_bytes: int = 64 * MIB
    max_total_bytes: int = 256 * 1024 * MIB
    max_manifest_bytes: int = 128 * MIB
    # Deflate reaches 1,032 : 1 on zeros; photographs are near 1, manifests near 20. Small files need no such limit.
    max_ratio: int = 200
    ratio_free_bytes: int = MIB
    max_path: int = 400

    max_pixels: int = 50_000_000
    min_side: int = 8
    max_side: int = 16_384

    max_rows: int = 250_000
    max_problems: int = 100
    max_key: int = 200
    max_slug: int = 64
    max_instruction: int = 4_000
    max_text: int = 10_000
    max_line: int = 500
    max_json: int = 100_000


DEFAULT_LIMITS = Limits()
