"""Runs as rows for tests: a data set of the drawn world without files, its editor and judges, a run with its events."""

import json
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from annotation.library import ensure_editor, load_tasks
from annotation.models import Case, Dataset, Editor, StoredImage
from scoring.models import Judge
from training.posttraining.config import preset
from training.runs.data import Wanted
from training.runs.starting import NAME, Wish
from webapp.jobs.models import Job

TRUTH, DEMO = "truth", "usual:demo"
_number = count()


def picture(name: str, side: int = 64) -> StoredImage:
    """A picture's row; there is no file behind it."""
    sides = {"width": side, "height": side, "view_width": side, "view_height": side}
    made = StoredImage(sha256=f"{name:0>64}"[-64:], original=f"{name}.png", view=name, format="PNG", size=1, **sides)
    made.save()
    return made


def dataset(train: int = 6, dev: int = 3, notice: str = "", side: int = 64) -> Dataset:
    """Cases of the drawn world by their data; each has a source of its own."""
    load_tasks()
    number = next(_number)
    made = Dataset.objects.create(slug=f"runs-{number}", name=f"Runs {number}", notice=notice)
    for place in range(train + dev):
        Case.objects.create(
            dataset=made,
            key=f"case-{place:03}",
            source=picture(f"{number}s{place}", side),
            task_id="add" if place % 2 else "remove",
            instruction=f"add a red circle {place}",
            split="train" if place < train else "dev",
            params={"scene": {}, "edit": {}},
        )
    return made


def base(slug: str = "cpu", **settings: Any) -> Editor:
    return ensure_editor(
        slug=slug, name=slug.title(), module="drawn", settings={"base": "rough", **settings}, notice="Drawn world."
    )


def demo_judge(slug: str = "demo") -> Judge:
    """The demo judge; the shipped prompts are there."""
    return Judge.objects.create(slug=slug, name=slug.title(), kind="drawn", notice="Demo judge.")


def wish(cases: Dataset, editor: Editor, **fields: Any) -> Wish:
    given: dict[str, Any] = {
        "name": "Better",
        "base": editor,
        "config": preset("fast", "drawn"),
        "data": Wanted(dataset=str(cases.uid)),
        "rewards": {TRUTH: 1.0},
        "held_out": (DEMO,),
    }
    return Wish(**{**given, **fields})


def config(**fields: Any) -> dict[str, Any]:
    """A run's configuration, as far as pages read it."""
    given: dict[str, Any] = {
        "config": preset("fast", "drawn").to_json(),
        "editor": {"module": "drawn", "settings": {"base": "rough"}},
        "cases": "cases.jsonl",
        "rewards": [{"name": "Judge A", "kind": "drawn", "weight": 1.0, "settings": {}, "identity": {"judge": "a"}}],
        "reward": {"alpha": 2.0, "beta": 5.0},
        "held_out": [{"name": "Judge B", "kind": "drawn", "weight": 1.0, "settings": {}, "identity": {"judge": "b"}}],
        "watch": True,
        "acknowledged": 0,
        "examples": "",
        "data_hash": "d" * 64,
        "base": "cpu",
        "name": "Better",
        "note": "",
        "data": Wanted(dataset="00000000-0000-0000-0000-000000000000").to_json(),
        "judges": {"rewards": {TRUTH: 1.0}, "held_out": [DEMO]},
        "names": {"dataset": "Drawn", "labelled_set": ""},
        "counts": {"train": 6, "look": 3, "examples": 0},
        "notice": "",
    }
    return {**given, **fields}


def run(by: Any = None, state: str = "running", **fields: Any) -> Job:
    told = config(**fields)
    title = f"Train {told['name']} from Cpu"
    return Job.objects.create(kind=NAME, queue="gpu", title=title, config=told, created_by=by, state=state)


def run_row(by: Any) -> list[Any]:
    """The argument of a run's address."""
    return [run(by, "cancelled").uid]


def trained_row(by: Any) -> list[Any]:
    """The argument of a trained editor's address."""
    from training.models import TrainedEditor

    cpu = base("rough-cpu")
    made = ensure_editor(slug="trained", name="Trained", module="drawn", settings=cpu.settings)
    told = config()
    TrainedEditor.objects.create(
        editor=made, base=cpu, job=run(by, "succeeded"), config=told["config"], data={"hash": "d" * 64}
    )
    return [made.slug]


# What a run says -----------------------------------------------------------------------------------------------------


def look(number: int, gain: float, held: float, pictures: bool = True) -> dict[str, Any]:
    def judge(value: float, trained: bool) -> dict[str, Any]:
        ends = {"low": 2.0, "high": 2.4, "gain_low": value - 0.1, "gain_high": value + 0.1}
        return {"mean": 2.2 + value, "gain": value, "n": 64, "trained": trained, **ends}

    names = {"source": "samples/s-0.png", "before": "samples/b-0.png", "after": f"samples/a-{number}-0.png"}
    return {
        "event": "look",
        "round": number,
        "judges": {"Judge A": judge(gain, True), "Judge B": judge(held, False)},
        "tasks": {"add": {"Judge A": gain, "Judge B": held}},
        "distance": number / 100,
        "preservation": 30.0 - number / 10,
        "grid": 1.1,
        "sharpness": 0.5,
        "warnings": [{"kind": "grid", "words": "A grid stands out."}] if number else [],
        "samples": [{"case": 0, "key": "case-000", **names}] if pictures else [],
    }


def round_(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "event": "round",
        "round": number,
        "reward": {"mean": 0.4 + number / 100, "std": 0.2},
        "raw": {"Judge A": 2.0 + number / 10},
        "loss": -0.01,
        "ratio_first": 1.0,
        "clip_fraction": 0.25,
        "zero_spread": 0.125,
        "missing": 0.0625,
        "distance": number / 200,
        "kl": 0.01,
        "preservation": 29.0,
        "grid": 1.2,
        "grad_norm": 0.7,
        "lr": 1e-3,
        "seconds": {"sampling": 6.0, "reward": 1.0, "update": 2.5, "look": 0.5},
        "images": 96,
        "images_per_second": 9.6,
        "cpu_seconds": 10.0 * number,
        **fields,
    }


def watch(number: int) -> dict[str, Any]:
    ends = {"low": 0.2, "high": 0.4}
    told = {"trained": {"gain": 0.3, **ends}, "held": {"gain": -0.25, "low": -0.4, "high": -0.1}}
    return {"event": "watch", "round": number, "reason": "Judge A rose and Judge B fell.", **told}


def events(rounds: int = 10, every: int = 5) -> list[dict[str, Any]]:
    rows = [look(0, 0.0, 0.0)]
    for number in range(1, rounds + 1):
        rows.append(round_(number))
        if number % every == 0:
            rows.append(look(number, number / 50, number / 100))
    return rows


def write_events(job: Job, rows: list[dict[str, Any]]) -> None:
    job.folder.mkdir(parents=True, exist_ok=True)
    with (job.folder / "events.jsonl").open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def write_sample(job: Job, name: str) -> bytes:
    path = job.folder / "outputs" / "samples" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), "red").save(path, "PNG")
    return path.read_bytes()


def write_lora(job: Job, seed: int = 0) -> Path:
    """A LoRA's file as a run leaves it, of one layer that no model has."""
    from safetensors.numpy import save_file  # here alone: web tests run without it

    path = job.folder / "outputs" / "lora" / "pytorch_lora_weights.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    shapes = {"transformer.x.lora_A.weight": (4, 8), "transformer.x.lora_B.weight": (8, 4)}
    save_file({name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}, path)
    return path
