"""Make .venv and install the pinned requirements: `python3 scripts/setup.py [--dev]`.

Standard library only, and syntax that an old Python can read: it must be able to say that it is too old.
Nothing is done when the requirement files have not changed since the last time.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
OLDEST = (3, 11)
NEWER = ("python3.14", "python3.13", "python3.12", "python3.11")
SETS = {"run": ("web", "demo", "gpu"), "dev": ("web", "demo", "gpu", "dev")}
NEEDED_BYTES = 4 * 1024**3  # what the environment with the development tools takes, and pip's cache

# What pip prints, and what its reader should do. The first that matches is said; otherwise pip's last lines are.
CAUSES = (
    (("no space left on device",), "The disk is full. Free about 4 GB and run the command again."),
    (
        ("permission denied", "read-only file system"),
        "A file or folder cannot be written. Check who owns .venv and this folder, then run the command again.",
    ),
    (
        ("gcc' failed", "cc' failed", "unknown compiler", "unable to execute", "command 'gcc'", "python.h", "cl.exe"),
        "A package has no ready build for this machine and no C compiler was found. Install one and Python's headers "
        "(Debian: apt install build-essential python3-dev; macOS: xcode-select --install), then run the command again.",
    ),
    (
        (
            *("in name resolution", "name or service not known", "nodename nor servname", "failed to establish a new"),
            *("max retries exceeded", "read timed out", "connection reset by", "proxyerror", "sslerror", "certificate"),
        ),
        "The package index cannot be reached. Check the network and the proxy (HTTPS_PROXY), "
        "or set PIP_INDEX_URL to a mirror, then run the command again.",
    ),
    (
        ("no matching distribution", "requires a different python"),
        "A pinned package does not exist for this Python or this machine. Use Python 3.11 to 3.14 on Linux or macOS.",
    ),
    (
        ("failed building wheel", "failed to build", "subprocess-exited-with-error"),
        "A package has no ready build for this machine and could not be compiled. Install a C compiler and Python's "
        "headers (Debian: apt install build-essential python3-dev), then run the command again.",
    ),
)


class Refusal(Exception):
    """Setup cannot go on; the message says what to do."""


def python_problem(version):
    """A sentence when this Python is too old, else None. ``version`` is like sys.version_info."""
    if tuple(version[:2]) >= OLDEST:
        return None
    return (
        "Editloop needs Python 3.11 or newer; this is {}.{}. Install one (Debian 12: apt install python3 python3-venv) "
        "and name it: make up PYTHON=/path/to/python3.11"
    ).format(version[0], version[1])


def cause_of(output):
    """What to do about a failed pip: a sentence made from what it printed."""
    text = output.lower()
    for words, sentence in CAUSES:
        if any(word in text for word in words):
            return sentence
    return "Installing the packages failed. The last lines say why:\n" + "\n".join(output.strip().splitlines()[-5:])


def digest(names, version):
    """What the stamp holds: it changes with any requirement file or with the Python."""
    total = hashlib.sha256(repr(tuple(version[:2])).encode())
    for name in names:
        total.update((ROOT / "requirements" / (name + ".txt")).read_bytes())
    return total.hexdigest()


def is_ready(kind):
    """Whether the environment holds that set already."""
    stamp = VENV / ("editloop-" + kind)
    python = VENV / "bin" / "python"
    return stamp.exists() and python.exists() and stamp.read_text() == digest(SETS[kind], sys.version_info)


def check_disk(folder, needed=NEEDED_BYTES):
    free = shutil.disk_usage(str(folder)).free
    if free < needed:
        raise Refusal(
            "The disk is nearly full: {:.1f} GB free in {}, {:.1f} GB needed. "
            "Free some and run the command again.".format(free / 1024**3, folder, needed / 1024**3)
        )


def make_venv():
    """A new .venv, unless a whole one is there. One that was broken off is made again."""
    python = VENV / "bin" / "python"
    if python.exists() and subprocess.run([str(python), "-m", "pip", "--version"], capture_output=True).returncode == 0:
        probe = "import sys; print(*sys.version_info[:2])"
        found = subprocess.run([str(python), "-c", probe], capture_output=True, text=True).stdout.split()
        if found == [str(part) for part in sys.version_info[:2]]:
            return
    done = subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], capture_output=True, text=True)
    output = done.stdout + done.stderr
    if done.returncode and ("ensurepip" in output or "No module named venv" in output):
        raise Refusal(
            "Python's venv module is missing. Install it (Debian: apt install python3-venv) and run the command again."
        )
    if done.returncode:
        raise Refusal(cause_of(output))


def install(names):
    """The pinned packages of those files, into .venv."""
    command = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for name in names:
        command += ["--requirement", str(ROOT / "requirements" / (name + ".txt"))]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode:
        (VENV / "pip.log").write_text(done.stdout)
        raise Refusal(cause_of(done.stdout) + "\nAll that pip said is in .venv/pip.log.")


def setup(kind):
    """Do what is missing, and stamp it, so that the next time nothing is."""
    if is_ready(kind):
        return
    first = not (VENV / "bin" / "python").exists()
    if first:
        check_disk(ROOT)
    what = "Making the Python environment (once, a minute or two)" if first else "Bringing the packages up to date"
    print(what + " ...", flush=True)
    make_venv()
    install(SETS[kind])
    if kind == "dev":
        (VENV / "editloop-run").write_text(digest(SETS["run"], sys.version_info))
    (VENV / ("editloop-" + kind)).write_text(digest(SETS[kind], sys.version_info))


def try_newer_python():
    """Go on with a newer Python of this machine, if there is one. Returns when there is none."""
    for name in NEWER:
        path = shutil.which(name)
        if path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
            os.execv(path, [path, *sys.argv])  # noqa: S606  # our own file, under another interpreter


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dev", action="store_true", help="with the tests' and linters' packages")
    kind = "dev" if parser.parse_args().dev else "run"
    problem = python_problem(sys.version_info)
    if problem:
        try_newer_python()
        print("Editloop: " + problem, file=sys.stderr)
        return 1
    try:
        setup(kind)
    except Refusal as refusal:
        print("Editloop: " + str(refusal), file=sys.stderr)
        return 1
    except OSError as error:
        print("Editloop: " + cause_of("{}: {}".format(error.strerror, error.filename)), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Run the command again to go on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
