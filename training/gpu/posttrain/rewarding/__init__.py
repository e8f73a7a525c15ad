"""Where rewards come from. A source is described by an entry of job.json, which ``load_source`` reads:

    {"name", "kind", "settings": {…}, "weight": 1.0, "prompt": {task: …}, "identity": {…versions, for the card}}

Kinds: "reward" (a reward model), "drawn" and "transformers" (judges that compute here), "endpoint" (a judge behind an
OpenAI-compatible service), "http" (our scoring service), "truth" (the true score of the drawn world).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from training.gpu.diffusion.settings import number
from training.gpu.posttrain.rewarding.protocol import Judged, Reasons, Sample, Source
from training.gpu.posttrain.rewarding.rewarder import Asked, Rewarder, Rewards, ask
from webapp.jobs.folder import JobError

__all__ = [
    "KINDS",
    "Asked",
    "Judged",
    "Reasons",
    "Rewarder",
    "Rewards",
    "Sample",
    "Source",
    "ask",
    "load_rewarder",
    "load_source",
    "load_sources",
    "refuse_same",
]  # fmt: skip

KINDS = {  # the module of this folder that loads each; a module may need libraries that others do not
    "reward": "model",
    "drawn": "judges",
    "transformers": "judges",
    "endpoint": "judges",
    "http": "service",
    "truth": "truth",
}
WEIGHT = number(0, 1000)
FIELDS = ("name", "kind", "settings", "weight", "prompt", "requirements", "passes", "identity")


def load_source(spec: Mapping[str, Any], folder: Path) -> Source:
    """The source of one entry, ready to judge. ``folder``: the job's. Raises JobError in the user's words."""
    if not isinstance(spec, Mapping):
        raise JobError("A source of reward must be an object with a name and a kind.")
    if unknown := sorted(set(spec) - set(FIELDS)):
        raise JobError(f"A source of reward has no field {', '.join(map(str, unknown))}.")
    name, kind, settings = spec.get("name"), spec.get("kind"), spec.get("settings") or {}
    if not isinstance(name, str) or not name.strip():
        raise JobError("A source of reward needs a name.")
    if not isinstance(kind, str) or kind not in KINDS:
        raise JobError(f"“{name}” is of the kind {kind!r:.50}, which there is not. There are: {', '.join(KINDS)}.")
    if not isinstance(settings, Mapping):
        raise JobError(f"The settings of “{name}” must be an object.")
    weight = spec.get("weight", 1.0)
    if not WEIGHT.test(weight):
        raise JobError(f"The weight of “{name}” must be {WEIGHT.words}, not {weight!r:.50}.")
    loaded = import_module(f"{__name__}.{KINDS[kind]}").load({**spec, "settings": settings}, folder)
    loaded.weight = float(weight)  # for the Rewarder
    source: Source = loaded
    return source


def load_sources(specs: Sequence[Mapping[str, Any]], folder: Path) -> list[Source]:
    """All of them, with names that differ; none stays open where one cannot be loaded. Raises JobError."""
    loaded: list[Source] = []
    try:
        for spec in specs:
            source = load_source(spec, folder)
            loaded.append(source)
            if source.name in [other.name for other in loaded[:-1]]:
                raise JobError(f"Two sources of reward have the name “{source.name}”.")
    except BaseException:
        for source in loaded:
            getattr(source, "close", lambda: None)()
        raise
    return loaded


def refuse_same(trained: Sequence[Source], held_out: Sequence[Source]) -> None:
    """Raises JobError where a held-out reward model is one that is trained on, whatever way it is asked: only the
    loaded files, or the service, tell which model it is."""
    known = {print_: source.name for source in trained if (print_ := getattr(source, "fingerprint", ""))}
    for source in held_out:
        if name := known.get(getattr(source, "fingerprint", "")):
            raise JobError(f"The held-out judge “{source.name}” is the same model as “{name}”, which gives the reward.")
