"""Which addresses are open, and that the one that was checked is the one that is asked."""

import socket
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.endpoints.service import Reply, Service, running
from webapp.endpoints.errors import AddressRefused, BadAnswer, NoAnswer
from webapp.endpoints.transport import Guard, Transport, read_url, why_closed

PUBLIC = ["8.8.8.8", "93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "1.1.1.1"]
PRIVATE = [
    "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.3.4", "192.168.1.1", "100.64.0.1", "100.127.255.255", "0.1.2.3",
    "192.0.2.1", "198.18.0.1", "240.0.0.1", "255.255.255.255", "::1", "fc00::1", "fd12::1", "fec0::1", "2001:db8::1",
    "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "2002:7f00:1::", "::127.0.0.1",
]  # fmt: skip
NEVER = [
    "169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "224.0.0.1", "239.1.2.3", "ff02::1", "0.0.0.0", "::",
    "168.63.129.16", "100.100.100.200", "fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
]  # fmt: skip


@pytest.fixture
def service() -> object:
    with running(lambda asked: Reply(value={"ok": True})) as made:
        yield made


def transport(guard: Guard, seconds: float = 5.0, most_bytes: int = 10_000) -> Transport:
    return Transport(guard, seconds=seconds, most_bytes=most_bytes)


def test_it_works(service: Service) -> None:
    with transport(Guard(allow_private=True)) as line:
        answer = line.exchange("POST", f"{service.address}/x", headers={"X-A": "b"}, json={"a": 1})
    assert (answer.status, answer.body) == (200, b'{"ok": true}')
    (asked,) = service.asked
    assert (asked.path, asked.headers["x-a"], asked.value) == ("/v1/x", "b", {"a": 1})
    assert asked.headers["host"] == f"127.0.0.1:{service.port}"


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_open(address: str) -> None:
    assert why_closed(address, allow_private=False) == ""


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_closed_unless_allowed(address: str) -> None:
    assert why_closed(address, allow_private=False)
    assert why_closed(address, allow_private=True) == ""


@pytest.mark.parametrize("address", [*NEVER, "example.org", ""])
def test_metadata_services_are_closed_always(address: str) -> None:
    assert why_closed(address, allow_private=False)
    assert why_closed(address, allow_private=True)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_never_more_open_inside_ipv6(address: object) -> None:
    for wrapped in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert why_closed(wrapped, allow_private=False)
        assert bool(why_closed(wrapped, True)) == bool(why_closed(str(address), True))


@pytest.mark.parametrize(
    "text",
    [
        "", "example.org/v1", "ftp://example.org", "file:///etc/passwd", "gopher://x", "http://", "https:///v1",
        "http://user:pass@example.org/", "http://user@example.org", "http://example.org:99999/", "http://[::1",
        "http://exa\nmple.org", "data:text/plain,x", "http://example.org:0/",
    ],
)  # fmt: skip
def test_what_is_no_web_address_is_refused(text: str) -> None:
    with pytest.raises(AddressRefused):
        read_url(text)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]", "127.1"])
def test_our_own_machine_is_refused_under_all_its_names(service: Service, host: str) -> None:
    with transport(Guard()) as line, pytest.raises(AddressRefused, match=r"EDITLOOP_PRIVATE_ENDPOINTS|stands for no"):
        line.exchange("GET", f"http://{host}:{service.port}/", headers={})
    assert service.asked == []


def test_one_private_address_among_public_ones_is_enough_to_refuse(service: Service) -> None:
    guard = Guard(resolver=lambda host, port: ["93.184.216.34", "127.0.0.1"])
    with transport(guard) as line, pytest.raises(AddressRefused, match=r"two\.example leads to 127\.0\.0\.1"):
        line.exchange("GET", f"http://two.example:{service.port}/", headers={})
    assert service.asked == []


def test_a_name_that_resolves_differently_the_second_time_reaches_nothing_new(service: Service) -> None:
    """The connection goes to the address of the check: a resolver that would now say another is not asked again."""
    answers = [["127.0.0.1"], ["127.0.0.2"]]  # the server listens on the first alone

    def resolver(host: str, port: int) -> list[str]:
        return answers.pop(0)

    with transport(Guard(allow_private=True, resolver=resolver)) as line:
        line.exchange("GET", f"http://turncoat.example:{service.port}/", headers={})
        assert answers == [["127.0.0.2"]], "one look-up an exchange"
        assert service.asked[0].headers["host"] == f"turncoat.example:{service.port}"
        with pytest.raises(NoAnswer):
            line.exchange("GET", f"http://turncoat.example:{service.port}/", headers={})
    assert len(service.asked) == 1


def test_a_name_that_turns_private_after_the_first_request_is_refused(service: Service) -> None:
    answers = [["127.0.0.1"], ["169.254.169.254"]]
    with transport(Guard(allow_private=True, resolver=lambda host, port: answers.pop(0))) as line:
        line.exchange("GET", f"http://turncoat.example:{service.port}/", headers={})
        with pytest.raises(AddressRefused):
            line.exchange("GET", f"http://turncoat.example:{service.port}/", headers={})
    assert len(service.asked) == 1


def test_the_next_address_is_tried_where_one_does_not_answer(service: Service) -> None:
    guard = Guard(allow_private=True, resolver=lambda host, port: ["127.0.0.9", "127.0.0.1"])
    with transport(guard) as line:
        assert line.exchange("GET", f"http://many.example:{service.port}/", headers={}).status == 200


def test_a_name_of_nothing(service: Service) -> None:
    with transport(Guard(resolver=lambda host, port: [])) as line, pytest.raises(NoAnswer, match="stands for no"):
        line.exchange("GET", "http://nothing.example/", headers={})


def test_no_redirect_is_followed(service: Service) -> None:
    with running() as other, transport(Guard(allow_private=True)) as line:
        service.script.append(Reply(302, {}, {"Location": f"{other.address}/secret"}))
        assert line.exchange("GET", f"{service.address}/", headers={}).status == 302
        assert other.asked == []


def test_proxies_of_the_environment_are_not_used(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as proxy, transport(Guard(allow_private=True)) as line:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.address)
        assert transport(Guard(allow_private=True)).exchange("GET", service.address, headers={}).status == 200
        assert line.exchange("GET", service.address, headers={}).status == 200
        assert proxy.asked == []


def test_a_huge_answer_is_not_read_on(service: Service) -> None:
    service.script.append(Reply(body=b"x" * 5_000_000))
    with transport(Guard(allow_private=True)) as line, pytest.raises(BadAnswer, match="larger than 9 KB"):
        line.exchange("GET", service.address, headers={})


def test_a_compressed_answer_is_refused(service: Service) -> None:
    service.script.append(Reply(body=b"x", headers={"Content-Encoding": "gzip"}))
    with transport(Guard(allow_private=True)) as line, pytest.raises(BadAnswer, match="compressed"):
        line.exchange("GET", service.address, headers={})


@pytest.mark.parametrize("pieces", [1, 40])
def test_a_slow_answer_has_an_end(service: Service, pieces: int) -> None:
    """Silence, and a trickle that never pauses long enough for a read to time out."""
    service.script.append(Reply(body=b"x" * 40, pause=1.0 if pieces == 1 else 0.05, pieces=pieces))
    with transport(Guard(allow_private=True), seconds=0.4) as line, pytest.raises(NoAnswer, match=r"within 0\.4"):
        line.exchange("GET", service.address, headers={})


def test_headers_that_trickle_have_an_end() -> None:
    """A byte every 50 ms: no read takes long, and the headers never end."""
    with socket.create_server(("127.0.0.1", 0)) as server, transport(Guard(allow_private=True), seconds=0.4) as line:

        def trickle() -> None:
            try:
                connection, _from = server.accept()
                with connection:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
                    for _byte in range(400):
                        connection.sendall(b"x")
                        time.sleep(0.05)
            except OSError:  # the other side has hung up
                pass

        thread = threading.Thread(target=trickle)
        thread.start()
        with pytest.raises(NoAnswer, match=r"within 0\.4"):  # else the connection breaks after 20 seconds
            line.exchange("GET", f"http://127.0.0.1:{server.getsockname()[1]}/", headers={})
        thread.join()


def test_a_broken_connection_and_a_closed_port(service: Service) -> None:
    service.script.append(Reply(drop=True))
    with transport(Guard(allow_private=True)) as line:
        with pytest.raises(NoAnswer, match="broke"):
            line.exchange("GET", service.address, headers={})
        service.close()
        with pytest.raises(NoAnswer, match="cannot be reached"):
            transport(Guard(allow_private=True)).exchange("GET", service.address, headers={})


def test_what_cannot_be_sent_is_not_quoted(service: Service) -> None:
    with transport(Guard(allow_private=True)) as line, pytest.raises(NoAnswer) as refusal:
        line.exchange("GET", service.address, headers={"Authorization": "Bearer sk-SECRET\n"})
    assert "SECRET" not in str(refusal.value)
    assert refusal.value.__cause__ is None
