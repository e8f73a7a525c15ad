"""Jobs of the kind "categorise": which of the categories a picture shows, by CLIP.

As HP-Edit does for RealPref-50K (section 4.2): cosine similarity between the picture and a prompt for each category.
Here the similarities, times the model's own scale, go through a softmax over the categories, and the best one counts
only if its share reaches the threshold: below it the picture stays uncategorised.

Reads ``inputs/images.jsonl`` (key, file) and ``inputs/categories.json`` (slug, prompt); writes a "category" event for
each picture. Weights come from this machine alone, a folder or the hub's cache, and only from safetensors files.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from training.gpu.editors import CannotEdit
from training.gpu.reading import read_picture
from webapp.jobs.folder import JobError, JobRun, read_json

BATCH = 16


@dataclass(frozen=True, slots=True)
class Clip:
    """A loaded model. ``prompts``: unit vectors, one a category (categories × d)."""

    model: Any
    processor: Any
    prompts: Any
    device: str

    def shares(self, images: Sequence[Image.Image]) -> list[list[float]]:
        """Of each picture, the softmax over the categories (n × categories)."""
        import torch

        pixels = self.processor(images=list(images), return_tensors="pt")["pixel_values"].to(self.device)
        with torch.inference_mode():
            vectors = _unit(self.model.get_image_features(pixel_values=pixels).pooler_output)
            similarity = self.model.logit_scale.exp() * vectors @ self.prompts.T
        found: list[list[float]] = similarity.softmax(-1).tolist()
        return found


def categorise(run: JobRun) -> dict[str, Any]:
    """Look at every picture that has no event yet. Raises JobError for a wrong job or model, JobStopped when asked."""
    threshold, name = run.config["threshold"], run.config["model"]
    images, categories = _images(run), _categories(run)
    done = {past["key"] for name in ("category", "item_failed") for past in run.past_events(name)}
    todo = [row for row in images if row["key"] not in done]
    run.progress(len(images) - len(todo), len(images), f"Loading {name}" if todo else "")
    clip = load(name, [row["prompt"] for row in categories]) if todo else None
    for start in range(0, len(todo), BATCH):
        run.check()
        assert clip is not None
        _batch(run, clip, todo[start : start + BATCH], [row["slug"] for row in categories], threshold)
        seen = len(images) - len(todo) + min(start + BATCH, len(todo))
        run.progress(seen, len(images), f"Picture {seen} of {len(images)}")
    failed = sum(1 for _past in run.past_events("item_failed"))
    named = sum(past["category"] is not None for past in run.past_events("category"))
    return {
        "images": len(images),
        "categorised": named,
        "uncategorised": len(images) - named - failed,
        "failed": failed,
    }


def _batch(run: JobRun, clip: Clip, rows: list[dict[str, Any]], slugs: list[str], threshold: float) -> None:
    readable = []
    for row in rows:
        try:
            readable.append((row["key"], read_picture(run.folder / row["file"], "source image")))
        except CannotEdit as error:
            run.emit("item_failed", key=row["key"], reason=str(error))
    if not readable:
        return
    for (key, _image), shares in zip(readable, clip.shares([image for _key, image in readable]), strict=True):
        score = max(shares)
        best = slugs[shares.index(score)]
        run.emit("category", key=key, category=best if score >= threshold else None, best=best, score=round(score, 6))


def _images(run: JobRun) -> list[dict[str, Any]]:
    try:
        lines = (run.inputs / "images.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        if not all(isinstance(row["key"], str) and isinstance(row["file"], str) for row in rows):
            raise TypeError("key and file must be text")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JobError(f"inputs/images.jsonl is no list of pictures: {error!r}.") from None
    return rows


def _categories(run: JobRun) -> list[dict[str, str]]:
    rows = read_json(run.inputs / "categories.json")
    if not isinstance(rows, list) or not rows:
        raise JobError("inputs/categories.json is no list of categories.")
    return rows


# The model -----------------------------------------------------------------------------------------------------------


def load(name: str, prompts: Sequence[str]) -> Clip:
    """The CLIP model of that folder or hub name, from this machine alone. Raises JobError with what is wrong."""
    import torch
    from safetensors import SafetensorError
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    here: dict[str, Any] = {"local_files_only": True}
    try:
        folder = _folder(name)
        kind = CLIPConfig.get_config_dict(folder, **here)[0].get("model_type")
        if kind != "clip":
            raise JobError(f"The model {name} is of the type {kind!r}. Choose a CLIP model.")
        read: Any = CLIPModel.from_pretrained
        model, report = read(folder, use_safetensors=True, output_loading_info=True, **here)
        tokenizer = CLIPTokenizer.from_pretrained(folder, **here)
        processor = CLIPImageProcessor.from_pretrained(folder, **here)
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        print(error, file=sys.stderr)
        message = f"There is no usable CLIP model {name} on this machine: give a folder with its config, tokenizer, "
        raise JobError(message + "image processor and model.safetensors. The log has the details.") from error
    if report["missing_keys"]:
        raise JobError(f"The weights of {name} are not complete: {len(report['missing_keys'])} tensors are missing.")
    model = model.to(device).eval()
    tokens = tokenizer(list(prompts), padding=True, truncation=True, return_tensors="pt").to(device)
    with torch.inference_mode():
        vectors = _unit(model.get_text_features(**tokens).pooler_output)
    return Clip(model, processor, vectors, device)


def _folder(name: str) -> str:
    """The folder of the model. Found before anything is loaded: given a name, transformers asks the hub all the same.

    Raises OSError or ValueError where there is none.
    """
    from huggingface_hub import snapshot_download

    return name if Path(name).is_dir() else str(snapshot_download(name, local_files_only=True))


def _unit(vectors: Any) -> Any:
    return vectors / vectors.norm(dim=-1, keepdim=True)
