"""The web server's entry: live streams on the event loop, everything else on threads.

An ordinary Django view under ASGI crosses between loop and thread at every middleware and gets a new thread, so a new
database connection, a request. Live streams need the loop; the others are faster, and simpler, as plain WSGI on a few
lasting threads, each with its lasting connection.
"""

import os
from typing import Any, cast

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")

from a2wsgi import WSGIMiddleware
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application

LIVE = "/live/"
live = get_asgi_application()
pages = WSGIMiddleware(cast(Any, get_wsgi_application()), workers=int(os.environ.get("EDITLOOP_WEB_THREADS", "4")))


async def application(scope: Any, receive: Any, send: Any) -> Any:
    if scope["type"] == "lifespan":
        return await _lifespan(receive, send)
    app = live if scope["path"].startswith(LIVE) else pages
    return await app(scope, receive, send)


async def _lifespan(receive: Any, send: Any) -> None:
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": f"{message['type']}.complete"})
    await send({"type": "lifespan.shutdown.complete"})
