"""The containers' health check: `python -m scripts.health web|default|gpu`. Exit status 0: well.

The web server is asked over HTTP. A worker is well when it renewed its sign of life in Redis (webapp/jobs/presence.py);
asking Celery itself would start a second Django for every check.
"""

from __future__ import annotations

import http.client
import os
import socket
import sys


def web_problem(port: int = 8000) -> str:
    """Empty when GET /health/ answers 200. The Host header is one that the application accepts."""
    host = os.environ.get("EDITLOOP_HOSTS", "").split(",")[0].strip() or "localhost"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
    try:
        connection.request("GET", "/health/", headers={"Host": host.lstrip("*.") or "localhost"})
        status = connection.getresponse().status
    except OSError as error:
        return f"the web server does not answer: {error}"
    return "" if status == 200 else f"/health/ answers {status}"


def worker_problem(queue: str) -> str:
    """Empty when this host's worker of ``queue`` gave a sign of life lately."""
    import redis

    try:
        client = redis.Redis.from_url(os.environ["REDIS_URL"], socket_connect_timeout=4, socket_timeout=4)
        alive = client.exists(f"worker:{queue}:{queue}@{socket.gethostname()}")
    except (redis.RedisError, KeyError) as error:
        return f"Redis does not answer: {error}"
    return "" if alive else f"no sign of life of the worker {queue}@{socket.gethostname()}"


def main(what: str) -> int:
    problem = web_problem() if what == "web" else worker_problem(what)
    print(problem or "ok")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
