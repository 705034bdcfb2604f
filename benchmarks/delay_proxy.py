"""A TCP relay on localhost that holds back everything for a while, in both directions.

Between a browser and a server it stands for a network with that round trip. The delay can
be changed while connections are open; the order of the bytes never changes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_CHUNK = 1 << 16


class DelayProxy:
    """Relays connections to a port of this machine.

    Parameters
    ----------
    target : int
        Port that is relayed to.

    Attributes
    ----------
    round_trip : float
        Seconds that are added to a round trip, half of them each way.
    port : int
        Port that it listens on.
    """

    def __init__(self, target: int) -> None:
        self.round_trip = 0.0
        self.port = 0
        self._target = target
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> asyncio.Server:
        """Start to listen; the caller closes the server."""
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
            for work in (self._receive(source, late), self._deliver(late, sink)):
                task = asyncio.get_running_loop().create_task(work)
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _receive(
        self, source: asyncio.StreamReader, late: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        now = asyncio.get_running_loop().time
        try:
            while data := await source.read(_CHUNK):
                late.put_nowait((now() + self.round_trip / 2, data))
        except ConnectionError:
            pass  # the other side hears of it as an end, like any other
        late.put_nowait((now(), b""))

    @staticmethod
    async def _deliver(
        late: asyncio.Queue[tuple[float, bytes]], sink: asyncio.StreamWriter
    ) -> None:
        now = asyncio.get_running_loop().time
        try:
            while True:
                due, data = await late.get()
                if due > now():
                    await asyncio.sleep(due - now())
                if not data:
                    break
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            pass  # the browser has closed the page
        finally:
            sink.close()

    def cancel(self) -> None:
        """Drop what is under way."""
        for task in tuple(self._tasks):
            task.cancel()


@contextmanager
def delaying(target: int) -> Iterator[DelayProxy]:
    """Run a proxy to port `target` on a thread of its own."""
    proxy = DelayProxy(target)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(proxy.serve(), loop).result()

    async def end() -> None:
        server.close()
        proxy.cancel()
        await asyncio.sleep(0)

    try:
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
