"""``workbench serve``: the app on uvicorn, for this machine only unless told otherwise."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import uvicorn

from workbench.api.app import PREFIX, create_app
from workbench.api.settings import ApiLimits
from workbench.api.token import TOKEN_VARIABLE
from workbench.errors import SetupError

_SECONDS_TO_FINISH = 3
_LOOPBACK = ("127.", "::1", "localhost")


def serve(
    *,
    data_dir: Path,
    models_dir: Path | None = None,
    runs_dir: Path | None = None,
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
        If the port cannot be used.
    """
    for folder in (data_dir, models_dir, runs_dir):
        if folder is not None and Path(folder).exists() and not Path(folder).is_dir():
            raise SetupError(f"{folder}: expected a folder, found a file; name another one")
    given = os.environ.pop(TOKEN_VARIABLE, "").strip()
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
    print(f"Workbench serves {data_dir} at http://{shown}:{address[1]}{PREFIX}", flush=True)
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
        app,
        access_log=False,
        log_level="warning",
        server_header=False,
        root_path=root_path,
        timeout_graceful_shutdown=_SECONDS_TO_FINISH,
        # What a proxy says of the client is believed of a proxy on this machine only.
        forwarded_allow_ips="127.0.0.1",
    )
    with suppress(KeyboardInterrupt):  # raised once more when all has come to its end
        uvicorn.Server(config).run(sockets=[listening])


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
