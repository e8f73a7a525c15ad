"""The web server's entry: live streams on the event loop, everything else on threads.

An ordinary Django view under ASGI crosses between loop and thread at every middleware and gets a new thread, so a new
database connection, a request. Live streams need the loop; the others are faster, and simpler, as plain WSGI on a few
lasting threads, each with its lasting connection. What annotators send has one thread a process: such requests are
short and many, and threads of one process only take the interpreter from each other (163 a second, 120 with four).
"""

import os
from typing import Any, cast

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")

from a2wsgi import WSGIMiddleware
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.core.wsgi import get_wsgi_application
from django.db import connections

LIVE = "/live/"


class LiveHandler(ASGIHandler):
    """Who may watch is asked on one thread, one viewer after the other: with a thread a request, as Django does it, two
    hundred viewers who come at once would be two hundred database connections. Its connection is closed between."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.handle(scope, receive, send)

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().handle(scope, receive, send)
        finally:
            await sync_to_async(connections.close_all)()


_wsgi = cast(Any, get_wsgi_application())
work = WSGIMiddleware(_wsgi, workers=1)
pages = WSGIMiddleware(_wsgi, workers=int(os.environ.get("EDITLOOP_WEB_THREADS", "4")))
live = LiveHandler()


async def application(scope: Any, receive: Any, send: Any) -> Any:
    if scope["type"] == "lifespan":
        return await _lifespan(receive, send)
    return await _handler(scope["path"], scope["method"])(scope, receive, send)


def _handler(path: str, method: str) -> Any:
    if path.startswith(LIVE):
        return live
    return work if method == "POST" and path.startswith("/work/") else pages


async def _lifespan(receive: Any, send: Any) -> None:
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": f"{message['type']}.complete"})
    await send({"type": "lifespan.shutdown.complete"})
