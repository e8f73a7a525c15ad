"""A run's curves for other tools: event files for TensorBoard, and a run in MLflow.

Both need packages of requirements/tracking.txt, which nothing else here does. The same export twice gives the same
points: an event file is written anew, and MLflow is given only what it has not.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.utils.text import slugify
from django.utils.translation import gettext as _

from training.reward_models.progress import is_number
from training.runs.overlay import flat
from training.runs.progress import read_progress, value_of
from webapp.jobs.models import Job, State

EXTRA = "requirements/tracking.txt"
SKIPPED = {"event", "round", "time", "samples"}
UNUSUAL = re.compile(r"[^A-Za-z0-9_\-. :]+")  # in names, by MLflow's rule
LONGEST, LONGEST_VALUE, LONGEST_NOTE = 240, 6000, 5000
POINTS, PARAMETERS = 1000, 100  # that MLflow takes at a time
TAG = "editloop.job"
ENDS = {State.SUCCEEDED: "FINISHED", State.FAILED: "FAILED", State.CANCELLED: "KILLED"}
# MLflow tells its makers of its use unless it is told not to, retries for minutes, and wants a word for folders.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ALLOW_FILE_STORE": "true",
}


class CannotExport(Exception):
    """The message is shown to the user."""


@dataclass(frozen=True, slots=True)
class Point:
    """``time``: when it was said, in seconds since 1970."""

    name: str
    step: int
    value: float
    time: float


def points_of(job: Job) -> list[Point]:
    """Every number of its rounds ("round/…") and looks ("look/…"). Raises CannotExport where there is none yet."""
    progress = read_progress(job.folder)
    names: dict[tuple[str, ...], str] = {}
    found = []
    for where, rows in (("round", progress.rounds), ("look", progress.looks)):
        for row in rows:
            when = value_of(row, "time") or job.created_at.timestamp()
            for path, value in _numbers({key: one for key, one in row.items() if key not in SKIPPED}):
                name = names.get((where, *path)) or _name(where, path, names)
                found.append(Point(name, row["round"], value, when))
    if not found:
        raise CannotExport(_("“%(run)s” has no curves yet: no round is done.") % {"run": job.title})
    return found


def _numbers(value: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], float]]:
    for key, one in value.items():
        if isinstance(one, dict):
            yield from _numbers(one, (*path, str(key)))
        elif is_number(one):
            yield (*path, str(key)), float(one)


def _name(where: str, path: tuple[str, ...], names: dict[tuple[str, ...], str]) -> str:
    """The next name that is free: two judges may differ in a letter that MLflow does not take."""
    plain = f"{where}/{'.'.join(UNUSUAL.sub('_', one) for one in path)}"[:LONGEST]
    name, number, taken = plain, 2, set(names.values())
    while name in taken:
        name, number = f"{plain} {number}", number + 1
    names[where, *path] = name
    return name


def settings_of(job: Job) -> dict[str, str]:
    """What the run was started with, by dotted names; values as JSON."""
    return {UNUSUAL.sub("_", name): value[:LONGEST_VALUE] for name, value in flat(job.config).items()}


# TensorBoard ---------------------------------------------------------------------------------------------------------


def to_tensorboard(job: Job, folder: Path) -> Path:
    """The run's event file below ``folder``: the same bytes for the same curves. Raises CannotExport."""
    events = _tensorboard_events(job, points_of(job))
    place = folder / f"{slugify(job.config.get('name', ''))[:60] or 'run'}-{str(job.uid)[:8]}"
    file = place / f"events.out.tfevents.{int(job.created_at.timestamp())}.editloop"
    part = place / ".part"
    try:
        place.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as out:
            _record_writer(out, events)
        part.replace(file)
    except OSError as error:
        words = _("%(folder)s cannot be written: %(why)s.")
        raise CannotExport(words % {"folder": place, "why": error.strerror or error}) from None
    return file


def _tensorboard_events(job: Job, points: Sequence[Point]) -> list[bytes]:
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
    except ImportError:
        raise _missing("TensorBoard") from None
    begun = job.created_at.timestamp()
    found = [Event(wall_time=begun, file_version="brain.Event:2")]
    told = {"settings": _table(settings_of(job)), "notice": job.config.get("notice", "")}
    for tag, text in told.items():
        if text:
            found.append(Event(wall_time=begun, summary=_text(tag, text)))
    for point in points:
        value = Summary.Value(tag=point.name, simple_value=point.value)
        found.append(Event(wall_time=point.time, step=point.step, summary=Summary(value=[value])))
    return [event.SerializeToString(deterministic=True) for event in found]


def _text(tag: str, text: str) -> Any:
    """A text that TensorBoard shows on its page of texts."""
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto

    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    tensor = TensorProto(dtype="DT_STRING", string_val=[text.encode()], tensor_shape=shape)
    about = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
    return Summary(value=[Summary.Value(tag=f"{tag}/text_summary", metadata=about, tensor=tensor)])


def _table(settings: Mapping[str, str]) -> str:
    """In Markdown, as TensorBoard reads it."""
    rows = (f"| {name} | {value.replace('|', chr(92) + '|')} |" for name, value in settings.items())
    return "\n".join(["| setting | value |", "|---|---|", *rows])


def _record_writer(out: Any, events: Iterable[bytes]) -> None:
    from tensorboard.summary.writer.record_writer import RecordWriter

    writer = RecordWriter(out)
    for event in events:
        writer.write(event)


# MLflow --------------------------------------------------------------------------------------------------------------


def checked_uri(uri: str) -> str:
    """An address that MLflow may be given. Raises CannotExport for any other: MLflow would open databases and
    programs by what it is told."""
    words = _("Give MLflow's address as https://…, http://… or file:///folder; this is “%(uri)s”.") % {"uri": uri[:200]}
    if len(uri) > 2000 or not uri.isprintable() or " " in uri or "\\" in uri or not unquote(uri).isprintable():
        raise CannotExport(words)
    try:
        parts = urlsplit(uri)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise CannotExport(words) from None
    if parts.query or parts.fragment or "?" in uri or "#" in uri:
        raise CannotExport(words)
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        return uri
    if parts.scheme not in ("http", "https") or not host:
        raise CannotExport(words)
    if parts.username is not None or parts.password is not None:
        raise CannotExport(
            _("Leave the name and the password out of the address. Set MLFLOW_TRACKING_USERNAME and "
              "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, in the environment.")
        )  # fmt: skip
    return uri


def to_mlflow(job: Job, uri: str, experiment: str = "Editloop") -> str:
    """The run in MLflow, found again by the job's UID; MLflow's id of it. Raises CannotExport."""
    uri = checked_uri(uri)
    points = points_of(job)
    client = _mlflow_client(uri)
    return str(_spoken(uri, lambda: _exported(client, job, points, experiment)))


def _mlflow_client(uri: str) -> Any:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
    except ImportError:
        raise _missing("MLflow") from None
    return _spoken(uri, lambda: MlflowClient(tracking_uri=uri))


def _spoken(uri: str, what: Callable[[], Any]) -> Any:
    """What MLflow answers; its refusals, and those of the disk, in words."""
    from mlflow.exceptions import MlflowException

    try:
        return what()
    except (MlflowException, OSError) as error:
        said = str(error).split("\n")[0][:500]
        raise CannotExport(_("MLflow at %(uri)s: %(said)s") % {"uri": uri, "said": said}) from None


def _exported(client: Any, job: Job, points: Sequence[Point], experiment: str) -> str:
    from mlflow.entities import Metric, Param

    wanted = {(point.name, point.step): point for point in points}
    settings = settings_of(job)
    run_id, known, parameters = _there(client, job, wanted, settings, _experiment(client, experiment))
    new = [settings_key for settings_key in settings if settings_key not in parameters]
    for names in _chunks(new, PARAMETERS):
        client.log_batch(run_id, params=[Param(name, settings[name]) for name in names])
    rows = [point for key, point in wanted.items() if key not in known]
    for chunk in _chunks(rows, POINTS):
        metrics = [Metric(one.name, one.value, math.floor(one.time * 1000), one.step) for one in chunk]
        client.log_batch(run_id, metrics=metrics)
    if end := ENDS.get(State(job.state)):
        ended = job.finished_at or job.created_at
        client.set_terminated(run_id, end, math.floor(ended.timestamp() * 1000))
    return str(run_id)


def _experiment(client: Any, name: str) -> str:
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found else client.create_experiment(name))


def _there(
    client: Any, job: Job, wanted: Mapping[tuple[str, int], Point], settings: Mapping[str, str], experiment: str
) -> tuple[str, set[tuple[str, int]], set[str]]:
    """MLflow's run of this job with the points and the settings that it has. One that says anything else than the job
    does now is taken away, since points cannot be: the run went on from an earlier place."""
    for run in client.search_runs([experiment], filter_string=f"tags.`{TAG}` = '{job.uid}'"):
        history = [one for name in run.data.metrics for one in client.get_metric_history(run.info.run_id, name)]
        known = {(one.key, one.step): one.value for one in history}
        same = all(key in wanted and wanted[key].value == value for key, value in known.items())
        if same and len(known) == len(history) and run.data.params.items() <= settings.items():
            return run.info.run_id, set(known), set(run.data.params)
        client.delete_run(run.info.run_id)
    notice = str(job.config.get("notice", ""))[:LONGEST_NOTE]
    tags = {TAG: str(job.uid), **({"editloop.notice": notice, "mlflow.note.content": notice} if notice else {})}
    begun = math.floor((job.started_at or job.created_at).timestamp() * 1000)
    name = job.config.get("name") or job.title
    made = client.create_run(experiment, start_time=begun, tags=tags, run_name=name)
    return made.info.run_id, set(), set()


def _chunks(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (values[start : start + size] for start in range(0, len(values), size))


def _missing(name: str) -> CannotExport:
    words = _("%(name)s's package is not installed. Install the extra: pip install -r %(file)s")
    return CannotExport(words % {"name": name, "file": EXTRA})
