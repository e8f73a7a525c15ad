"""The cache's serializer: JSON, because whoever can write to the cache must not be able to run code here."""

import json
from typing import Any


class JSONSerializer:
    def dumps(self, value: Any) -> bytes | int:
        return value if type(value) is int else json.dumps(value).encode()  # plain integers can be counted by Redis

    def loads(self, data: bytes | str) -> Any:
        return json.loads(data)
