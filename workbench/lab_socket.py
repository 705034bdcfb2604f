"""The connection between a page and a kernel, which sends each message at once.

TCP holds a small message back while an earlier one is unacknowledged (Nagle's algorithm),
and the receiver holds its acknowledgement back for up to 40 ms. A kernel answers in
several small messages (busy, the answer, idle), so the answer often arrives 40 ms late.
Tornado leaves Nagle's algorithm on for WebSockets unless it is told otherwise.
"""

from __future__ import annotations

from asyncio import Future

from jupyter_server.serverapp import ServerApp
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

_SETTING = "kernel_websocket_connection_class"


class PromptConnection(ZMQChannelsWebsocketConnection):
    """A connection that sends each message as soon as it has it."""

    def connect(self) -> Future[None] | None:  # type: ignore[override]  # as its base does
        """Connect to the kernel's channels; the page's WebSocket is open by now."""
        self.websocket_handler.set_nodelay(True)
        return super().connect()


def send_promptly(server: ServerApp) -> bool:
    """Let a server that is set up, but not started, use `PromptConnection`.

    Returns
    -------
    bool
        False where somebody chose another kind of connection (a gateway to kernels
        elsewhere, for instance), which then stays.
    """
    settings = server.web_app.settings
    if settings[_SETTING] is not ZMQChannelsWebsocketConnection:
        return False
    settings[_SETTING] = PromptConnection
    return True
