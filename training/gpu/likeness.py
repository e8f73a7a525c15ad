"""Jobs of the kind "editor-likeness": DINO-I, CLIP-I and CLIP-T of edited images, as DreamBench++ reports them.

DINO-I and CLIP-I are cosines between the embeddings of the source image and of the edited one, by the class token of a
DINO vision transformer and by CLIP's image tower; CLIP-T is the cosine between CLIP's embeddings of the edited image
and of the text of the wanted result.

Reads ``inputs/samples.jsonl`` (key, source, edited, text); writes a "likeness" event for each sample. Weights come
from folders or the hub's cache of this machine, and only from safetensors files.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from training.gpu.categorise import Clip, load
from training.gpu.editors import CannotEdit
from training.gpu.reading import read_picture
from webapp.jobs.folder import JobError, JobRun

BATCH = 16
DINO = ("vit", "dinov2")


@dataclass(frozen=True, slots=True)
class Dino:
    model: Any
    processor: Any
    device: str

    def vectors(self, images: Sequence[Image.Image]) -> Any:
        """Unit vectors of the class token (n × d)."""
        import torch

        pixels = self.processor(images=list(images), return_tensors="pt")["pixel_values"].to(self.device)
        with torch.inference_mode():
            return _unit(self.model(pixel_values=pixels).last_hidden_state[:, 0])


def likeness(run: JobRun) -> dict[str, Any]:
    """Compare every sample that has no event yet. Raises JobError for a wrong job or model, JobStopped when asked."""
    rows = _samples(run)
    done = {past["key"] for name in ("likeness", "item_failed") for past in run.past_events(name)}
    todo = [row for row in rows if row["key"] not in done]
    if todo:
        texts = sorted({row["text"] for row in todo})
        run.progress(len(rows) - len(todo), len(rows), "Loading the models")
        dino, clip = load_dino(run.config["dino"]), load(run.config["clip"], texts)
        places = {text: place for place, text in enumerate(texts)}
        for start in range(0, len(todo), BATCH):
            run.check()
            _batch(run, dino, clip, places, todo[start : start + BATCH])
            seen = len(rows) - len(todo) + min(start + BATCH, len(todo))
            run.progress(seen, len(rows), f"Image {seen} of {len(rows)}")
    failed = sum(1 for _past in run.past_events("item_failed"))
    return {"samples": len(rows), "compared": len(rows) - failed, "failed": failed}


def _batch(run: JobRun, dino: Dino, clip: Clip, places: dict[str, int], rows: list[dict[str, str]]) -> None:
    readable = []
    for row in rows:
        try:
            pictures = [read_picture(run.folder / row[name], f"{name} image") for name in ("source", "edited")]
        except CannotEdit as error:
            run.emit("item_failed", key=row["key"], reason=str(error))
        else:
            readable.append((row, *pictures))
    if not readable:
        return
    kept, sources, edits = (list(column) for column in zip(*readable, strict=True))
    by_dino = (dino.vectors(sources) * dino.vectors(edits)).sum(-1).tolist()
    edited = _clip_vectors(clip, edits)
    by_clip = (_clip_vectors(clip, sources) * edited).sum(-1).tolist()
    by_text = (clip.prompts[[places[row["text"]] for row in kept]] * edited).sum(-1).tolist()
    for row, *values in zip(kept, by_dino, by_clip, by_text, strict=True):
        found = {name: round(value, 6) for name, value in zip(("dino_i", "clip_i", "clip_t"), values, strict=True)}
        run.emit("likeness", key=row["key"], **found)


def _clip_vectors(clip: Clip, images: list[Image.Image]) -> Any:
    import torch

    pixels = clip.processor(images=images, return_tensors="pt")["pixel_values"].to(clip.device)
    with torch.inference_mode():
        return _unit(clip.model.get_image_features(pixel_values=pixels).pooler_output)


def _samples(run: JobRun) -> list[dict[str, str]]:
    try:
        lines = (run.inputs / "samples.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        if not all(isinstance(row[name], str) for row in rows for name in ("key", "source", "edited", "text")):
            raise TypeError("key, source, edited and text must be text")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JobError(f"inputs/samples.jsonl is no list of samples: {error!r}.") from None
    return rows


def load_dino(name: str) -> Dino:
    """The DINO or DINOv2 model of that folder or hub name, from this machine alone. Raises JobError."""
    import torch
    from huggingface_hub import snapshot_download
    from safetensors import SafetensorError
    from transformers import AutoConfig, BitImageProcessor, Dinov2Model, ViTImageProcessor, ViTModel

    here: dict[str, Any] = {"local_files_only": True}
    try:
        folder = name if Path(name).is_dir() else str(snapshot_download(name, local_files_only=True))
        kind = AutoConfig.from_pretrained(folder, **here).model_type
        if kind not in DINO:
            raise JobError(f"The model {name} is of the type {kind!r}. Choose a DINO (vit) or DINOv2 model.")
        read: Any = (ViTModel if kind == "vit" else Dinov2Model).from_pretrained
        more = {"add_pooling_layer": False} if kind == "vit" else {}
        model, report = read(folder, use_safetensors=True, output_loading_info=True, **more, **here)
        reader: Any = ViTImageProcessor if kind == "vit" else BitImageProcessor
        processor = reader.from_pretrained(folder, **here)
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        print(error, file=sys.stderr)
        message = f"There is no usable DINO model {name} on this machine: give a folder with its config, image "
        raise JobError(message + "processor and model.safetensors. The log has the details.") from error
    if report["missing_keys"]:
        raise JobError(f"The weights of {name} are not complete: {len(report['missing_keys'])} tensors are missing.")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Dino(model.to(device).eval(), processor, device)


def _unit(vectors: Any) -> Any:
    return vectors / vectors.norm(dim=-1, keepdim=True)
