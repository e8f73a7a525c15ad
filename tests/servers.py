"""Servers and folders of its own for a bare `pytest`; `make test` makes them for all its steps.

Loaded by `-p` before the settings are: they read the environment when they are imported.
"""

import atexit
import os
import tempfile
from contextlib import ExitStack

from scripts.servers import private_valkey

# One thread for each process: there are as many processes as cores, and threads would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
_stack = ExitStack()
atexit.register(_stack.close)

if not os.environ.get("REDIS_URL"):
    os.environ["REDIS_URL"] = _stack.enter_context(private_valkey())
if not os.environ.get("EDITLOOP_VAR"):
    os.environ["EDITLOOP_VAR"] = _stack.enter_context(tempfile.TemporaryDirectory(prefix="editloop-test-"))
if worker := os.environ.get("PYTEST_XDIST_WORKER", ""):  # each worker counts its own failed sign-ins
    os.environ["REDIS_URL"] = os.environ["REDIS_URL"].rpartition("/")[0] + "/" + str(int(worker[2:]) + 1)
