"""Writers of SQLite take turns: through threads and processes, and also after an error."""

import subprocess
import sys
import threading
from typing import Any

import pytest
from django.db import connection, connections, transaction

from webapp.accounts.models import User

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'sqlite'", reason="SQLite alone takes turns"),
]

HOLD = (
    "import fcntl, sys; f = open(sys.argv[1], 'ab'); fcntl.flock(f, fcntl.LOCK_EX); "
    "print('held', flush=True); sys.stdin.read()"
)


def test_a_writer_waits_for_its_turn_and_gets_it() -> None:
    name = connection.settings_dict["NAME"]
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, f"{name}.turn"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdin and holder.stdout
        assert holder.stdout.readline() == b"held\n"
        wrote = threading.Event()

        def write() -> None:
            with transaction.atomic():
                User.objects.create_user(username="late")
            wrote.set()
            connections.close_all()

        thread = threading.Thread(target=write)
        thread.start()
        assert not wrote.wait(0.3)
        holder.stdin.close()
        assert wrote.wait(10)
        thread.join()


def turn() -> Any:
    return connection._turn  # type: ignore[attr-defined]


def test_the_turn_ends_with_commit_rollback_and_close() -> None:
    with transaction.atomic():
        assert turn() is not None
        with transaction.atomic():
            assert turn() is not None
    assert turn() is None
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        raise ZeroDivisionError
    assert turn() is None
    transaction.set_autocommit(False)
    connection.close()
    assert turn() is None
