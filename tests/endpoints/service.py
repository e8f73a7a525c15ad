"""A real HTTP server that speaks the protocol of OpenAI-compatible services, and misbehaves on demand."""

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image, ImageOps

from webapp.endpoints.http import EndpointConfig

KEY = "sk-secret-4711"


@dataclass
class Reply:
    """What a request is answered with; ``pause`` seconds before each of ``pieces`` of the body."""

    status: int = 200
    value: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    pause: float = 0.0
    pieces: int = 1
    drop: bool = False

    @property
    def content(self) -> bytes:
        return json.dumps(self.value).encode() if self.body is None else self.body


@dataclass
class Asked:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def value(self) -> Any:
        return json.loads(self.body)

    def parts(self) -> dict[str, bytes]:
        """The fields and files of a multipart body."""
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        message = BytesParser(policy=HTTP).parsebytes(head + self.body)
        return {
            str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True)
            for part in message.iter_parts()
        }


def chat(text: str = "Hello.", model: str = "answering-model-1", **changes: Any) -> Reply:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    return Reply(value={"id": "c1", "model": model, "choices": [choice], "usage": usage, **changes})


def error(status: int, message: str = "", code: str = "", **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, {"error": {"message": message, "code": code}}, named)


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def edited(asked: Asked) -> Reply:
    """The picture that was sent, inverted and half as large again, as base64."""
    source = Image.open(io.BytesIO(asked.parts()["image"])).convert("RGB")
    made = ImageOps.invert(source).resize((source.width * 3 // 2, source.height * 3 // 2))
    return Reply(value={"created": 1, "data": [{"b64_json": base64.b64encode(png(made)).decode()}]})


class Service:
    """``script``: replies to come, first first; then ``usual`` answers every request."""

    def __init__(self, usual: Callable[[Asked], Reply] = lambda asked: chat()) -> None:
        self.usual, self.script, self.asked = usual, [], []  # type: ignore[var-annotated]
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"service": self}))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.port = self.server.server_address[1]
        self.address = f"http://127.0.0.1:{self.port}/v1"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def endpoint(self, **changes: Any) -> EndpointConfig:
        values = {"slug": "local", "kind": "chat", "base_url": self.address, "model": "asked-model", "key": KEY}
        return EndpointConfig(**{**values, "allow_private": True, **changes})


@contextmanager
def running(usual: Callable[[Asked], Reply] = lambda asked: chat()) -> Iterator[Service]:
    service = Service(usual)
    try:
        yield service
    finally:
        service.close()


class Handler(BaseHTTPRequestHandler):
    service: Service
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        service = self.service
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        with service.lock:
            asked = Asked(self.path, headers, body, time.monotonic())
            service.asked.append(asked)
            service.at_once += 1
            service.most_at_once = max(service.most_at_once, service.at_once)
            reply = service.script.pop(0) if service.script else None
        try:
            self.reply(reply or service.usual(asked))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with service.lock:
                service.at_once -= 1

    def reply(self, reply: Reply) -> None:
        if reply.drop:
            self.close_connection = True
            return
        content, size = reply.content, -(-len(reply.content) // reply.pieces) or 1
        if reply.pieces == 1:
            time.sleep(reply.pause)
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        for start in range(0, len(content), size):
            if reply.pieces > 1:
                time.sleep(reply.pause)
            self.wfile.write(content[start : start + size])
            self.wfile.flush()
