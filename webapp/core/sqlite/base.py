"""Django's SQLite backend with a queue for writers.

SQLite lets one transaction write at a time. Who finds it taken sleeps and tries again, in steps that grow to a tenth of
a second, so under load the lock lies free while everybody sleeps, and the unlucky wait for long. Here a transaction
first takes a file lock: the kernel wakes the next in line at once, across threads and processes.
"""

import fcntl
from contextlib import suppress
from typing import IO, Any

from django.db.backends.sqlite3 import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Transactions take turns. Single statements outside of one wait as SQLite does."""

    _turn: IO[bytes] | None = None

    def _start_transaction_under_autocommit(self) -> None:
        self._take_turn()
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]  # unknown to the stubs
        except BaseException:
            self._end_turn()
            raise

    def _commit(self) -> Any:
        try:
            return super()._commit()  # type: ignore[misc]
        finally:
            self._end_turn()

    def _rollback(self) -> Any:
        try:
            return super()._rollback()  # type: ignore[misc]
        finally:
            self._end_turn()

    def _close(self) -> Any:
        try:
            return super()._close()  # type: ignore[misc]
        finally:
            self._end_turn()

    def _take_turn(self) -> None:
        if self._turn is None and not self.is_in_memory_db():
            self._turn = open(f"{self.settings_dict['NAME']}.turn", "ab")  # noqa: SIM115  # closed in _end_turn
            fcntl.flock(self._turn, fcntl.LOCK_EX)

    def _end_turn(self) -> None:
        if self._turn is not None:
            with suppress(OSError):
                self._turn.close()  # ends the lock too
            self._turn = None
