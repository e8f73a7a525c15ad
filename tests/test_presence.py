"""A worker's sign of life, and what it says of the worker's machine."""

import json
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.jobs import machine, presence
from webapp.jobs.machine import MIB, Gpu, Machine
from webapp.live import streams

QUEUE = "test-presence"
Fake = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _own_queue() -> None:
    for key in streams.client().scan_iter(match=f"worker:{QUEUE}*"):
        streams.client().delete(key)


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Puts a program of this name first on PATH; its arguments are kept in a file beside it."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def make(body: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        program = folder / "nvidia-smi"
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{folder}/arguments"\n{body}\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        return folder

    return make


TWO = """cat <<'END'
0, GPU-aaaa-1, NVIDIA H100 80GB HBM3, 81559, 1024
1, GPU-bbbb-2, Tesla, with comma, 16384, 0
END"""
H100, TESLA = Gpu("NVIDIA H100 80GB HBM3", 81559 * MIB, 1024 * MIB), Gpu("Tesla, with comma", 16384 * MIB, 0)


def test_it_works(nvidia_smi: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = nvidia_smi(TWO)
    watch = machine.Watch()
    monkeypatch.setattr(machine, "here", watch)
    presence.renew(QUEUE, "w1@here")  # the first sign does not wait for the look
    watch.wait()
    presence.renew(QUEUE, "w1@here")
    assert presence.workers(QUEUE) == ["w1@here"]
    found = presence.machines(QUEUE)
    assert found is not None
    (one,) = found
    assert one.worker == "w1@here"
    assert one.host == os.uname().nodename
    assert (one.gpus, one.gpus_known) == ((H100, TESLA), True)
    assert 0 < one.disk_free <= one.disk_total
    assert 0 <= one.seconds <= presence.LIFE_SECONDS
    assert presence.largest_gpu(QUEUE) == H100.total
    arguments = (folder / "arguments").read_text().splitlines()
    assert arguments == ["--query-gpu=index,uuid,name,memory.total,memory.used", "--format=csv,noheader,nounits"]


def test_the_age_of_a_sign_grows() -> None:
    streams.client().set(f"worker:{QUEUE}:w1", "{}", px=presence.LIFE_SECONDS * 1000 - 6000)
    found = presence.machines(QUEUE)
    assert found is not None
    assert 6 <= found[0].seconds <= presence.LIFE_SECONDS


@pytest.mark.parametrize(
    "text", ["1", "", "null", "[1]", '"x"', "{", '{"gpus": 3, "disk_free": "all", "memory_total": -1}', '{"gpus": [1]}']
)
def test_a_sign_of_another_release_is_still_a_sign(text: str) -> None:
    streams.client().set(f"worker:{QUEUE}:old", text, ex=presence.LIFE_SECONDS)
    found = presence.machines(QUEUE)
    assert found is not None
    assert found == [Machine(worker="old", seconds=found[0].seconds)]
    assert presence.workers(QUEUE) == ["old"]
    assert presence.largest_gpu(QUEUE) is None


def test_nobody_listens() -> None:
    assert presence.workers(QUEUE) == []
    assert presence.machines(QUEUE) == []
    assert presence.largest_gpu(QUEUE) is None


def test_redis_is_away(settings: Any) -> None:
    there = settings.REDIS_URL
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    streams.client.cache_clear()
    try:
        presence.renew(QUEUE, "w1")
        assert presence.workers(QUEUE) is None
        assert presence.machines(QUEUE) is None
        assert presence.largest_gpu(QUEUE) is None
    finally:
        settings.REDIS_URL = there
        streams.client.cache_clear()


def test_the_largest_gpu_of_all_workers() -> None:
    for name, sizes in {"a": [8, 24], "b": [], "c": [16]}.items():
        sign = Machine(gpus=tuple(Gpu("gpu", size * MIB, 0) for size in sizes)).to_json()
        streams.client().set(f"worker:{QUEUE}:{name}", sign, ex=presence.LIFE_SECONDS)
    streams.client().set(f"worker:{QUEUE}2:d", Machine(gpus=(Gpu("gpu", 99 * MIB, 0),)).to_json(), ex=5)
    assert presence.largest_gpu(QUEUE) == 24 * MIB


# nvidia-smi ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("devices", "sure"),
    [(["null", "nvme0"], True), (["nvidia0", "nvidiactl"], False), (["kfd"], False), (["dxg"], False)],
)
def test_without_nvidia_smi_no_gpu_is_sure_only_where_there_is_no_device(
    devices: list[str], sure: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in devices:
        (tmp_path / name).touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(machine, "DEV", tmp_path)
    assert machine.gpus() == ((), sure)
    assert machine.probe().gpus_known is sure
    assert machine.probe().disk_total > 0


def test_before_the_first_look_nothing_is_known() -> None:
    watch = machine.Watch(lambda: Machine(gpus_known=True))
    assert watch.latest().gpus_known is False
    watch.wait()
    assert watch.latest().gpus_known is True


@pytest.mark.parametrize(
    ("visible", "seen"),
    [
        ("0", [H100]),
        ("1", [TESLA]),
        ("0,1", [H100, TESLA]),
        ("GPU-bbbb", [TESLA]),
        ("", []),
        ("-1", []),
        ("7", []),
    ],
)
def test_hidden_gpus_do_not_count(
    nvidia_smi: Fake, monkeypatch: pytest.MonkeyPatch, visible: str, seen: list[Gpu]
) -> None:
    nvidia_smi(TWO)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert machine.gpus() == (tuple(seen), True)


def test_a_slice_of_a_gpu_is_not_sure(nvidia_smi: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """nvidia-smi does not list the slices that CUDA_VISIBLE_DEVICES names."""
    nvidia_smi(TWO)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-1f2e")
    assert machine.gpus() == ((), False)


def test_a_chip_without_numbers_beside_a_gpu_is_not_sure(nvidia_smi: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia_smi(TWO.replace("16384, 0", "[N/A], [N/A]"))
    assert machine.gpus() == ((H100,), False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")  # the other is hidden
    assert machine.gpus() == ((H100,), True)


@pytest.mark.parametrize(
    "body",
    [
        "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18",
        "echo 'No devices were found'",
        "echo '0, GPU-x, NVIDIA GB10, [N/A], [N/A]'",
        "printf '\\377\\376\\n'",
        "true",
    ],
)
def test_answers_that_say_nothing(nvidia_smi: Fake, body: str) -> None:
    nvidia_smi(body)
    assert machine.gpus() == ((), False)


def test_a_program_that_hangs_is_ended(nvidia_smi: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia_smi("exec sleep 600")
    monkeypatch.setattr(machine, "LIMIT_SECONDS", 0.2)
    assert machine.gpus() == ((), False)


def test_a_program_that_cannot_be_started(nvidia_smi: Fake) -> None:
    (nvidia_smi("true") / "nvidia-smi").write_text("#!/no/such/interpreter\n")
    assert machine.gpus() == ((), False)


# The watch -----------------------------------------------------------------------------------------------------------


def test_asking_does_not_wait_and_one_look_at_a_time_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, looks = threading.Event(), []

    def look() -> Machine:
        looks.append(1)
        assert go_on.wait(30)
        return Machine(host=f"look {len(looks)}")

    monkeypatch.setattr(machine, "FRESH_SECONDS", 0.0)
    watch = machine.Watch(look)
    assert watch.latest().host == os.uname().nodename
    for _ in range(5):  # the first look hangs: no second one beside it
        watch.latest()
    assert len(looks) == 1
    go_on.set()
    watch.wait()
    assert watch.latest().host == "look 1"  # and the next look begins
    watch.wait()
    assert len(looks) == 2


def test_a_fresh_look_is_not_repeated() -> None:
    looks = []

    def look() -> Machine:
        looks.append(1)
        return Machine(host="known")

    watch = machine.Watch(look)
    watch.latest()
    watch.wait()
    for _ in range(5):
        assert watch.latest().host == "known"
    assert len(looks) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_look_that_fails_keeps_what_is_known() -> None:
    def fail() -> Machine:
        raise OSError("no such disk")

    watch = machine.Watch(fail)
    watch.latest()
    watch.wait()
    assert watch.latest().host == os.uname().nodename


# Reading -------------------------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["gpus", "total", "x"]), inner),
)
sizes = st.integers(0, 2**60)


@given(st.dictionaries(st.sampled_from(["host", "gpus", "disk_free", "disk_total", "memory_free"]), json_values))
def test_reading_never_fails(row: dict[str, Any]) -> None:
    found = machine.read(json.dumps(row), worker="w", seconds=1.0)
    assert found.worker == "w"
    assert all(0 <= value <= 100 for value in (found.disk_percent, found.memory_percent))
    assert all(0 <= gpu.percent <= 100 and gpu.total >= 0 for gpu in found.gpus)
    assert found.gpus_known is False


@given(st.lists(st.builds(Gpu, st.text(max_size=20), sizes, sizes), max_size=3), st.booleans(), sizes, sizes)
def test_what_is_written_is_read(gpus: list[Gpu], known: bool, free: int, total: int) -> None:
    written = Machine("w", 2.0, "h", gpus=tuple(gpus), gpus_known=known, disk_free=free, disk_total=total)
    assert machine.read(written.to_json(), worker="w", seconds=2.0) == written


@pytest.mark.parametrize(("part", "whole", "expected"), [(1, 4, 25.0), (0, 0, 0.0), (5, 4, 100.0), (-1, 4, 0.0)])
def test_percent(part: int, whole: int, expected: float) -> None:
    assert machine.percent(part, whole) == expected
