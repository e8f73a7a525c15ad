"""Pin the requirements: `make lock` keeps the present versions, `make lock ARGS=--upgrade` takes new ones."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "requirements"
NAMES = ("web", "demo", "dev", "tracking", "gpu")  # in this order: the later ones are constrained by the earlier ones
# pip-compile pins what the Python that runs it needs. Debian 12's 3.11.2 needs one more, for redis.
OLDER_PYTHON = {"web": 'async-timeout==5.0.1 ; python_full_version < "3.11.3"\n'}
# Where the packages were fetched from is the machine's business, not the lock file's.
QUIET = ("--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host", "--no-emit-options")


def main(arguments: list[str]) -> int:
    for name in NAMES:
        command = [sys.executable, "-m", "piptools", "compile", "--quiet", "--strip-extras", *QUIET]
        command += ["--annotation-style=line", f"--output-file={name}.txt", *arguments, f"{name}.in"]
        done = subprocess.run(command, cwd=FOLDER, env={**os.environ, "CUSTOM_COMPILE_COMMAND": "make lock"})
        if done.returncode:
            return done.returncode
        lock = FOLDER / f"{name}.txt"
        # torch's local version ("+cpu") names one build; the lock file serves CPU and CUDA machines alike.
        lock.write_text(re.sub(r"(==[\w.]+)\+\w+", r"\1", lock.read_text()) + OLDER_PYTHON.get(name, ""))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
