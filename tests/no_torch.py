"""A pytest plugin (`-p tests.no_torch`): torch and its like as if they were not installed."""

import sys
from importlib.machinery import ModuleSpec

NAMES = ("torch", "transformers", "diffusers", "peft", "accelerate", "safetensors")


class Missing:
    """Finds nothing of these, before anybody else can. (None in sys.modules would be found, and taken for a module.)"""

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        if name.partition(".")[0] in NAMES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


sys.meta_path.insert(0, Missing())  # type: ignore[arg-type]
