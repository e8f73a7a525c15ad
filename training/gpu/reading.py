"""Pictures from files, decoded as for the library: an editor must see what people see."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from annotation.importing.images import decode
from annotation.importing.problems import ImportProblem
from training.gpu.editors import CannotEdit


def read_picture(path: Path, name: str) -> Image.Image:
    """The picture as people see it: RGB in sRGB, upright, on white. Raises CannotEdit with the reason; ``name`` is what
    it is called there."""
    try:
        return decode(path.read_bytes())
    except FileNotFoundError:
        raise CannotEdit(f"The {name} {path.name} does not exist.") from None
    except OSError as error:
        raise CannotEdit(f"The {name} {path.name} cannot be read: {error.strerror or error}.") from None
    except ImportProblem as problem:
        raise CannotEdit(f"The {name} {path.name} cannot be read: {problem}") from None
