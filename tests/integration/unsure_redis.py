"""A way to Redis on which a push comes to grief as a test wants it: a proxy that cuts, holds and refuses."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from common.tasks import end

Mishap = Literal["", "push lost", "answer lost", "held", "loading"]


@dataclass
class _Redis:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    answering: "asyncio.Task[None]"


class UnsureRedis:
    """Mishaps befall the next pushes, one each, an empty one being none; "loading" befalls the next connection."""

    def __init__(self, redis_url: str) -> None:
        self.url = ""
        self.mishaps: deque[Mishap] = deque()
        self.held = asyncio.Event()  # a push is
        self.released = asyncio.Event()
        self.was_ended = asyncio.Event()  # the held push's connection, by Redis
        self._path = unquote(urlsplit(redis_url).path)
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        assert task is not None
        self._serving[task] = writer
        with suppress(OSError):
            from_redis, to_redis = await asyncio.open_unix_connection(self._path)
            redis = _Redis(from_redis, to_redis, asyncio.create_task(_pump(from_redis, writer)))
            try:
                while chunk := await reader.read(65536):
                    if not await self._pass_on(chunk, redis, writer):
                        break
            finally:
                await end(redis.answering)
                to_redis.close()
        writer.close()
        del self._serving[task]

    async def close(self) -> None:
        """End every connection."""
        self.released.set()
        serving = dict(self._serving)
        for writer in serving.values():
            writer.transport.abort()
        if serving:
            await asyncio.wait(serving)

    async def _pass_on(self, chunk: bytes, redis: "_Redis", writer: asyncio.StreamWriter) -> bool:
        if self.mishaps and self.mishaps[0] == "loading" and b"LLEN" in chunk:
            self.mishaps.popleft()
            writer.write(b"-LOADING Redis is loading the dataset in memory\r\n" * 3)
            return True
        mishap = self.mishaps.popleft() if self.mishaps and b"RPUSH" in chunk else ""
        if mishap == "push lost":
            return False
        if mishap == "held":
            await end(redis.answering)
            self.held.set()
            if not await redis.reader.read(1):
                self.was_ended.set()
            await self.released.wait()
        if mishap == "answer lost":
            await end(redis.answering)
        redis.writer.write(chunk)
        await redis.writer.drain()
        if mishap == "answer lost":
            await redis.reader.readuntil(b"*2")  # what EXEC did
            return False
        return True


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def unsure_redis(redis_url: str) -> AsyncIterator[UnsureRedis]:
    """A proxy on a free port, before the Redis at this address of a UNIX socket."""
    proxy = UnsureRedis(redis_url)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
        await server.wait_closed()
