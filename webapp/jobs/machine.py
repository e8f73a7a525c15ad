"""What a worker's machine has: GPUs, disk of the data folder, memory. Sent along with the worker's sign of life.

GPUs are read with ``nvidia-smi``: the workers import no torch, and a process that asks CUDA keeps memory of the device.
"""

import json
import logging
import os
import platform
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings

FRESH_SECONDS = 10.0  # nvidia-smi takes a second on some machines: not at every sign of life
LIMIT_SECONDS = 5.0  # for nvidia-smi, which hangs where a driver is broken
MIB = 1024 * 1024
QUERY = ["--query-gpu=index,uuid,name,memory.total,memory.used", "--format=csv,noheader,nounits"]
COLUMNS = 5  # at least: a name may have commas
DEV, DEVICES = Path("/dev"), ("nvidia*", "nvhost*", "kfd", "dxg")  # of NVIDIA's drivers, AMD's, and Windows' for Linux

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Gpu:
    """One GPU that the worker may use; memory in bytes."""

    name: str
    total: int
    used: int

    @property
    def short_name(self) -> str:
        return self.name.removeprefix("NVIDIA ")

    @property
    def percent(self) -> float:
        return percent(self.used, self.total)


@dataclass(frozen=True)
class Machine:
    """A worker and its machine; sizes in bytes, 0 where they are not known (``total`` of a thing says whether it is).

    ``gpus`` are those that could be read, and ``gpus_known`` says whether there are surely no others: False until the
    first look is done. ``seconds`` is the age of the last sign of life, by Redis' clock: clocks of machines differ.
    """

    worker: str = ""
    seconds: float = 0.0
    host: str = ""
    gpus: tuple[Gpu, ...] = ()
    gpus_known: bool = False
    disk_free: int = 0
    disk_total: int = 0
    memory_free: int = 0
    memory_total: int = 0

    @property
    def disk_percent(self) -> float:
        return percent(self.disk_total - self.disk_free, self.disk_total)

    @property
    def memory_percent(self) -> float:
        return percent(self.memory_total - self.memory_free, self.memory_total)

    def to_json(self) -> str:
        values = asdict(self)
        return json.dumps({name: value for name, value in values.items() if name not in ("worker", "seconds")})


def percent(part: int, whole: int) -> float:
    """In [0, 100]; 0 of nothing."""
    return min(100.0, max(0.0, 100 * part / whole)) if whole > 0 else 0.0


def read(text: str, *, worker: str, seconds: float) -> Machine:
    """A machine from a sign of life. What is missing or odd, as another release may write it, counts as unknown."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    row: dict[str, Any] = found if isinstance(found, dict) else {}
    gpus = row.get("gpus")
    return Machine(
        worker=worker,
        seconds=seconds,
        host=str(row.get("host", ""))[:100],
        gpus=tuple(_gpu(gpu) for gpu in gpus if isinstance(gpu, dict)) if isinstance(gpus, list) else (),
        gpus_known=row.get("gpus_known") is True,
        **{name: _size(row, name) for name in ("disk_free", "disk_total", "memory_free", "memory_total")},
    )


def _gpu(row: dict[str, Any]) -> Gpu:
    return Gpu(name=str(row.get("name", ""))[:100], total=_size(row, "total"), used=_size(row, "used"))


def _size(row: dict[str, Any], name: str) -> int:
    value = row.get(name)
    return value if type(value) is int and value >= 0 else 0


# Probing ------------------------------------------------------------------------------------------------------------


def probe() -> Machine:
    """Look at this machine now. Takes up to LIMIT_SECONDS."""
    disk_free, disk_total = disk(Path(settings.VAR))
    memory_free, memory_total = _memory()
    found, known = gpus()
    return Machine(
        host=platform.node(),
        gpus=found,
        gpus_known=known,
        disk_free=disk_free,
        disk_total=disk_total,
        memory_free=memory_free,
        memory_total=memory_total,
    )


def disk(folder: Path) -> tuple[int, int]:
    """Free and total bytes of the disk that holds ``folder``; zeros if it cannot be asked."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return 0, 0
    return usage.free, usage.total


def gpus() -> tuple[tuple[Gpu, ...], bool]:
    """The GPUs that this process and its children may use, and whether there are surely no others.

    Not sure is what ``nvidia-smi`` cannot read: GPUs of other makers, chips that share the machine's memory, slices of
    a GPU (MIG), and everything where it is missing, does not answer or does not answer in time.
    """
    program = shutil.which("nvidia-smi")
    if not program:
        return (), not any(found for name in DEVICES for found in DEV.glob(name))
    try:
        answer = subprocess.run(
            [program, *QUERY], stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        _say_once(type(error).__name__, str(error))
        return (), False
    rows = [line.split(",") for line in answer.stdout.decode(errors="replace").splitlines()]
    usable = [row for row in rows if len(row) < COLUMNS or _is_visible(row)]
    known = bool(rows) and all(_is_whole(row) for row in usable) and "MIG-" not in (_visible() or "")
    return tuple(_parsed(row) for row in usable if _is_whole(row)), known


def _is_whole(row: list[str]) -> bool:
    """Not so where the driver answers "[N/A]", as it does on chips that share the machine's memory."""
    return len(row) >= COLUMNS and row[-2].strip().isdecimal() and row[-1].strip().isdecimal()


def _is_visible(row: list[str]) -> bool:
    """CUDA_VISIBLE_DEVICES hides GPUs from jobs but not from nvidia-smi. It names them by number or start of the id."""
    names = _visible()
    if names is None:
        return True
    index, uuid = row[0].strip(), row[1].strip()
    words = [word.strip() for word in names.split(",")]
    return any(word and (word == index or (not word.isdecimal() and uuid.startswith(word))) for word in words)


def _visible() -> str | None:
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def _parsed(row: list[str]) -> Gpu:
    return Gpu(name=",".join(row[2:-2]).strip(), total=int(row[-2]) * MIB, used=int(row[-1]) * MIB)


@cache
def _say_once(kind: str, words: str) -> None:
    """One line for each sort of trouble: the question is asked again all the time."""
    logger.warning("nvidia-smi does not answer (%s), so the GPUs of this machine are not shown: %s", kind, words)


def _memory() -> tuple[int, int]:
    """Free and total bytes: what the kernel thinks it can give without swapping; zeros where it does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0, 0
    sizes = {line.partition(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith("kB")}
    return sizes.get("MemAvailable", 0), sizes.get("MemTotal", 0)


class Watch:
    """The newest look at this machine. Asking never waits: a sign of life that comes late makes a worker seem dead."""

    def __init__(self, look: Callable[[], Machine] = probe) -> None:
        self._look = look
        self._lock = threading.Lock()
        self._latest = Machine(host=platform.node())
        self._began: float | None = None
        self._thread: threading.Thread | None = None

    def latest(self) -> Machine:
        """What is known now; a thread looks again if that is older than FRESH_SECONDS and no other one is looking."""
        with self._lock:
            known = self._latest
            old = self._began is None or time.monotonic() - self._began >= FRESH_SECONDS
            if old and not (self._thread and self._thread.is_alive()):
                self._began = time.monotonic()
                self._thread = threading.Thread(target=self._again, name="machine", daemon=True)
                self._thread.start()
            return known

    def wait(self, seconds: float = LIMIT_SECONDS) -> None:
        """Until the look under way, if any, is done."""
        if self._thread:
            self._thread.join(seconds)

    def _again(self) -> None:
        self._latest = self._look()


here = Watch()
