"""A pytest plugin that makes the model libraries impossible to import, as in the image of the web server."""

import sys

MODEL_LIBRARIES = ("accelerate", "diffusers", "peft", "safetensors", "torch", "transformers")
sys.modules.update(dict.fromkeys(MODEL_LIBRARIES))  # None: an import of it fails
