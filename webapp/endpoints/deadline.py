"""Connections on which an exchange ends in time, whatever the other side does. Pure.

A client's time limits are for one read each: a service that sends a byte of its headers every few seconds could hold a
worker for days. Here every read and write of an exchange has what is left until the exchange must be over.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx


class Clock(threading.local):
    """When the exchange of this thread must be over, by the monotonic clock."""

    deadline = float("inf")

    def left(self, timeout: float | None, error: type[Exception]) -> float:
        left = min(self.deadline - time.monotonic(), float("inf") if timeout is None else timeout)
        if left <= 0:
            raise error("no time left")
        return min(left, threading.TIMEOUT_MAX)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, clock: Clock) -> None:
        self._stream, self._clock = stream, clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._clock.left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._clock.left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._clock.left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.SyncBackend):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = self._clock.left(timeout, httpcore.ConnectTimeout)
        return _Stream(super().connect_tcp(host, port, left, local_address, socket_options), self._clock)


def transport(clock: Clock, connections: int) -> httpx.HTTPTransport:
    """Of httpx, with a pool whose connections go by the clock. Proxies of the environment are not used."""
    certificates = httpx.create_ssl_context()  # SSL_CERT_FILE, else the bundle that comes with httpx
    made = httpx.HTTPTransport(verify=certificates, trust_env=False)
    made._pool = httpcore.ConnectionPool(
        ssl_context=certificates,
        max_connections=connections,
        max_keepalive_connections=connections,
        network_backend=_Backend(clock),
    )
    return made
