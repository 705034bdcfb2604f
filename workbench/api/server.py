"""``workbench serve``: the app on uvicorn, for this machine only unless told otherwise."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from workbench.api.app import PREFIX, create_app
from workbench.api.settings import ApiLimits
from workbench.api.token import TOKEN_VARIABLE, is_token
from workbench.errors import SetupError
from workbench.persistence.addresses import Places, bucket_at, place_of, roots_at

_log = logging.getLogger(__name__)

_SECONDS_TO_FINISH = 3
_LOOPBACK = ("127.", "::1", "localhost")


def serve(
    *,
    data_dir: Path | str,
    models_dir: Path | str | None = None,
    runs_dir: Path | str | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    allow_origins: Sequence[str] = (),
    limits: ApiLimits | None = None,
    root_path: str = "",
) -> None:
    """Serve until somebody ends the process; print the address and the token once.

    Parameters
    ----------
    port : int
        0 takes a free one.
    root_path : str
        Where a proxy has put the server.

    Notes
    -----
    The environment variable ``WORKBENCH_API_TOKEN`` sets the token, which is not printed then.

    Raises
    ------
    SetupError
        If the port, a folder or the token cannot be used.
    """
    given = os.environ.pop(TOKEN_VARIABLE, "").strip()
    if given and not is_token(given):
        raise SetupError(
            f"{TOKEN_VARIABLE}: expected letters, digits and signs of ASCII without spaces and "
            "new lines, as a header can carry them, found others; choose another token"
        )
    _make_folders(data_dir, models_dir, runs_dir)
    app = create_app(
        data_dir=data_dir,
        models_dir=models_dir,
        runs_dir=runs_dir,
        token=given or None,
        limits=limits,
        allow_origins=allow_origins,
    )
    listening = _listen(host, port)
    address = listening.getsockname()
    shown = f"[{address[0]}]" if ":" in address[0] else address[0]

    def announce() -> None:
        print(
            f"Workbench serves {place_of(data_dir)} at http://{shown}:{address[1]}{PREFIX}",
            flush=True,
        )
        if not given:
            print(f"Clients send the header  Authorization: Bearer {app.state.token}", flush=True)
        if not host.startswith(_LOOPBACK):
            print(
                f"Whoever reaches {host} sees the token pass by unencrypted: "
                "put a proxy with TLS in front.",
                file=sys.stderr,
                flush=True,
            )

    config = uvicorn.Config(
        _BrokenOffInWords(app),
        access_log=False,
        log_level="warning",
        server_header=False,
        root_path=root_path,
        timeout_graceful_shutdown=_SECONDS_TO_FINISH,
        # What a proxy says of the client is believed of a proxy on this machine only.
        forwarded_allow_ips="127.0.0.1",
    )
    with suppress(KeyboardInterrupt):  # raised once more when all has come to its end
        _Server(config, app, announce).run(sockets=[listening])


class _Server(uvicorn.Server):
    """Says when it is ready, and lets streams of events end before it waits for requests.

    Parameters
    ----------
    config : uvicorn.Config
    app : FastAPI
    announce : callable
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._state = app.state
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        await super().startup(sockets)
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve what has begun, and end."""
        state = getattr(self._state, "workbench", None)
        if state is not None:
            state.ending.set()
        await super().shutdown(sockets)


class _BrokenOffInWords:
    """ASGI middleware that tells in one line which request the end of the server broke off.

    Parameters
    ----------
    app : ASGI application
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if scope["type"] != "http":
                raise
            # Its task ends here, and uvicorn would print where each of its calls stood.
            _log.warning("%s %s: broken off, the server ends", scope["method"], scope["path"])


def _make_folders(
    data_dir: Path | str, models_dir: Path | str | None, runs_dir: Path | str | None
) -> None:
    """Make what is missing of the folders, so that what is wrong is told before all else."""
    places = Places.of(data_dir, models_dir, runs_dir)
    if isinstance(places.data, str):
        roots_at(places.data)
    for named in (places.models, places.runs):
        if isinstance(named, str):
            bucket_at(named)
    for option, place in (
        ("--data", places.data),
        ("--models", places.models),
        ("--runs", places.runs),
    ):
        if isinstance(place, str):
            continue
        found = ""
        try:
            if place.exists() and not place.is_dir():
                found = "a file"
            elif option != "--runs" or place.exists():  # that one is made with the first run
                place.mkdir(parents=True, exist_ok=True)
                next(place.iterdir(), None)
        except OSError as error:
            found = error.strerror or str(error)
        if found:
            raise SetupError(
                f"{place}: expected a folder, or a place to make one, found: {found}; "
                f"name another one with {option}"
            )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named: only then asyncio sends small answers at once, and not after the
    # client has acknowledged the piece before, for which it takes up to 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name != "nt":  # there it would let two servers share the port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128)
        listening.set_inheritable(True)
    except OSError as error:
        listening.close()
        raise SetupError(
            f"{host}:{port}: expected an address and a free port to listen on, found: "
            f"{error.strerror}; choose others with --host and --port"
        ) from error
    return listening
