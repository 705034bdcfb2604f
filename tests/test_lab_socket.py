"""Messages of a kernel go out at once in a JupyterLab that `workbench lab` starts."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from workbench.lab_socket import PromptConnection, send_promptly

SETTING = "kernel_websocket_connection_class"


HANDSHAKE = (
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: d29ya2JlbmNoLXRlc3RzIQ==\r\n\r\n"
)

CLOSE = bytes((0x88, 0x80, 0, 0, 0, 0))  # RFC 6455: a masked frame that says goodbye


async def test_the_pages_socket_does_not_wait_for_acknowledgements(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ZMQChannelsWebsocketConnection, "connect", lambda self: None)
    found: list[bool] = []
    opened, closed = asyncio.Event(), asyncio.Event()

    class Page(WebSocketHandler):
        def open(self, *args: str, **kwargs: str) -> None:
            stream: Any = self.ws_connection
            # Without its constructor, which looks for a kernel.
            monkeypatch.setattr(PromptConnection, "websocket_handler", self)
            connection = PromptConnection.__new__(PromptConnection)
            for prepare in (lambda: None, connection.connect):
                prepare()
                option = stream.stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                found.append(bool(option))
            opened.set()

        def on_close(self) -> None:
            closed.set()

    listening, port = bind_unused_port()
    server = HTTPServer(Application([("/", Page)]))
    server.add_socket(listening)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HANDSHAKE.encode())
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    async with asyncio.timeout(30):
        await opened.wait()
        writer.write(CLOSE)
        await closed.wait()
    writer.close()
    server.stop()
    assert found == [False, True]


def test_a_connection_of_somebody_elses_choice_stays() -> None:
    class Gateway:
        """Stands for a connection to kernels elsewhere."""

    usual: Any = SimpleNamespace(
        web_app=SimpleNamespace(settings={SETTING: ZMQChannelsWebsocketConnection})
    )
    chosen: Any = SimpleNamespace(web_app=SimpleNamespace(settings={SETTING: Gateway}))
    assert send_promptly(usual)
    assert not send_promptly(chosen)
    assert usual.web_app.settings[SETTING] is PromptConnection
    assert chosen.web_app.settings[SETTING] is Gateway
