"""One HTTP exchange with an address that was checked. Pure: no Django, no torch.

An endpoint's address is typed by an admin and an image's address comes from a service, so both could name a machine of
our own network that nobody meant to reach (server-side request forgery). Therefore:

- http and https alone, no user name in the address, no redirect is followed, no proxy of the environment is used;
- the name is resolved once for each exchange; **every** address it stands for must be public, and the connection goes
  to the very address that was checked, so a name that resolves differently a moment later changes nothing;
- TLS is checked against the name, not against the address;
- an answer is read up to a size and a time.

Private networks are open to whoever runs the program with EDITLOOP_PRIVATE_ENDPOINTS=1. Link-local addresses (the
metadata services of clouds), multicast and the unspecified address stay closed even then.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import httpx

from webapp.endpoints.deadline import Clock, transport
from webapp.endpoints.errors import AddressRefused, BadAnswer, NoAnswer, NotReached

Resolver = Callable[[str, int], list[str]]
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

CONNECT_SECONDS = 10.0
MOST_BYTES = 64 * 1024 * 1024
METADATA = {ipaddress.ip_address(text) for text in ("168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254")}
NAT64 = ipaddress.ip_network("64:ff9b::/96")


def resolve(host: str, port: int) -> list[str]:
    """The addresses that a name stands for now; none if it stands for nothing."""
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(row[4][0]) for row in rows))


def why_closed(address: str, allow_private: bool) -> str:
    """Why nobody may connect to this address; empty if one may."""
    try:
        ip: IPAddress = ipaddress.ip_address(address)
    except ValueError:
        return "is no IP address"
    inner = _carried(ip)
    if reason := _never(ip) or (_never(inner) if inner else ""):
        return reason
    if allow_private:
        return ""
    if inner is not None:
        return "is an IPv4 address in IPv6 clothes"
    site_local = isinstance(ip, ipaddress.IPv6Address) and ip.is_site_local
    return "" if ip.is_global and not ip.is_reserved and not site_local else "is not on the public internet"


def _carried(ip: IPAddress) -> IPAddress | None:
    """The IPv4 address that an IPv6 address carries."""
    if isinstance(ip, ipaddress.IPv4Address):
        return None
    if ip in NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)


def _never(ip: IPAddress) -> str:
    if ip in METADATA or ip.is_link_local:
        return "belongs to the machine's own network (metadata services of clouds are there)"
    if ip.is_multicast or ip.is_unspecified:
        return "is no address of one machine"
    return ""


def read_url(text: str) -> httpx.URL:
    """The address, if it is one that could be asked. Raises AddressRefused."""
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise AddressRefused(f"“{text[:200]}” is no web address.") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise AddressRefused(f"“{text[:200]}” is no address that starts with https:// or http://.")
    if url.port is not None and not 0 < url.port < 65536:
        raise AddressRefused(f"“{text[:200]}” names port {url.port}, and ports go from 1 to 65535.")
    if url.userinfo:
        raise AddressRefused("An address must not hold a user name or password. Enter the key in its own field.")
    return url


@dataclass(frozen=True, slots=True)
class Guard:
    """Which addresses are open. ``resolver`` is the system's, except in tests. ``hint``: what to do where a private
    address is refused."""

    allow_private: bool = False
    resolver: Resolver = resolve
    hint: str = "Private addresses need EDITLOOP_PRIVATE_ENDPOINTS=1."

    def addresses(self, url: httpx.URL) -> list[str]:
        """The addresses behind a URL, all of them checked. Raises AddressRefused, NotReached for a name of nothing."""
        host = url.raw_host.decode("ascii")
        found = self.resolver(host, url.port or (443 if url.scheme == "https" else 80))
        if not found:
            raise NotReached(
                f"The name {host} stands for no address. Check its spelling, or the network's name server."
            )
        for address in found:
            if reason := why_closed(address, self.allow_private):
                hint = "" if self.allow_private else f" {self.hint}"
                raise AddressRefused(f"{host} leads to {address}, which {reason}: refused.{hint}")
        return found


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """Connections that are kept open, for requests to one service. Safe from several threads."""

    def __init__(self, guard: Guard, *, seconds: float, connections: int = 8, most_bytes: int = MOST_BYTES) -> None:
        """``seconds``: until an answer must be complete. ``most_bytes``: of an answer's body."""
        self.guard, self.seconds, self.most_bytes = guard, seconds, most_bytes
        self._clock = Clock()
        self._client = httpx.Client(
            transport=transport(self._clock, connections),
            trust_env=False,  # no proxies: behind one, the address that was checked is not the one that is asked
            follow_redirects=False,
            timeout=httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds)),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def exchange(self, method: str, address: str, *, headers: Mapping[str, str], **content: Any) -> Answer:
        """Send one request and read the answer, whatever its status.

        ``content``: what httpx takes: json, data, files. Raises AddressRefused, NoAnswer, BadAnswer.
        """
        url = read_url(address)
        named = {"Host": url.netloc.decode("ascii"), "Accept-Encoding": "identity", **headers}
        reason, self._clock.deadline = "", time.monotonic() + self.seconds
        for ip in self.guard.addresses(url):
            try:
                return self._send(url, ip, method=method, headers=named, **content)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                reason = str(error) or "no connection in time"
            except httpx.TimeoutException:
                raise NoAnswer(f"{url.host} did not answer within {self.seconds:g} seconds.") from None
            except httpx.LocalProtocolError:  # its text quotes headers, and so the key
                raise NoAnswer(f"The request to {url.host} could not be sent as HTTP.") from None
            except httpx.TransportError as error:
                raise NoAnswer(f"The connection to {url.host} broke: {error or type(error).__name__}.") from None
        raise NotReached(f"{url.host} cannot be reached: {reason}.")

    def _send(self, url: httpx.URL, ip: str, **content: Any) -> Answer:
        name = {"sni_hostname": url.raw_host.decode("ascii")}  # what the certificate must be for
        request = self._client.build_request(url=url.copy_with(host=ip), extensions=name, **content)
        response = self._client.send(request, stream=True)
        try:
            return Answer(response.status_code, response.headers, self._read(response, url.host))
        finally:
            response.close()
            self._client.cookies.clear()

    def _read(self, response: httpx.Response, host: str) -> bytes:
        """The body, up to the size and the time. Compressed bodies are refused: a small one can become gigabytes."""
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise BadAnswer(f"{host} sent a compressed answer although none was asked for.")
        body = bytearray()
        for piece in response.iter_raw():
            body += piece
            if len(body) > self.most_bytes:
                raise BadAnswer(f"The answer of {host} is larger than {self.most_bytes // 1024:,} KB: not read on.")
        return bytes(body)
