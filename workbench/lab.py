"""Start JupyterLab on a notebook: on a desktop, over SSH, as root in a container.

Nothing is asked of the network: JupyterLab's news feed, its check for a newer
release and its extension catalogue are switched off.
"""

from __future__ import annotations

import os
import shlex
import socket
import sys
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from workbench.errors import SetupError

_PRIVATE = (
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
)
# Asks whether it may fetch news, even where none can be fetched: the question covers buttons.
_QUESTION_ABOUT_NEWS = "@jupyterlab/apputils-extension:announcements"
_FIRST_PORT = 8888
_OTHER_PORTS_TO_TRY = 50
_TOUR = Path("notebooks", "00_tour.ipynb")


def start_lab(
    target: Path | None = None,
    *,
    ip: str = "localhost",
    port: int | None = None,
    browser: bool = True,
) -> None:
    """Run JupyterLab in this process until it is stopped.

    Parameters
    ----------
    target : Path, optional
        A notebook or a folder to open; the tour if it is left out.
    ip : str
        Address to listen on. The default is reachable from this machine only.
    port : int, optional
        A port that must be used; the first free one from 8888 if it is left out.
    browser : bool
        Open a browser, where this machine can show one.

    Raises
    ------
    SetupError
        If `target` is not there.
    """
    target = default_target() if target is None else target.expanduser()
    obstacle = "--no-browser was given" if not browser else browser_obstacle(os.environ)
    arguments = lab_arguments(target, ip=ip, port=port, browser=obstacle is None)

    # A kernel of this environment must win over a "python3" in the user's home.
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    from jupyterlab.labapp import LabApp

    from workbench.lab_socket import send_promptly

    server = LabApp.initialize_server(argv=arguments)
    send_promptly(server)
    _leave_out(_QUESTION_ABOUT_NEWS, server.web_app.settings)

    def announce() -> None:
        # 0.0.0.0 is where the server listens; it is no address that a browser could open.
        address = server.public_url.replace("//0.0.0.0:", f"//{socket.gethostname()}:")
        print(announcement(address, server.port, ip, obstacle), flush=True)

    # The loop binds the port before it comes to this: who reads the address can open it.
    server.io_loop.add_callback(announce)
    server.start()


def _leave_out(extension: str, settings: dict[str, Any]) -> None:
    """Let the pages of a server do without one of JupyterLab's own extensions."""
    earlier = settings.get("page_config_hook")

    def without(handler: object, page_config: dict[str, Any]) -> dict[str, Any]:
        if earlier is not None:
            page_config = earlier(handler, page_config)
        disabled = page_config.get("disabledExtensions", [])
        return page_config | {"disabledExtensions": [*disabled, extension]}

    settings["page_config_hook"] = without


def default_target() -> Path:
    """Return the tour below the current folder or in this checkout, else the current folder."""
    for root in (Path.cwd(), Path(__file__).resolve().parents[1]):
        if (root / _TOUR).is_file():
            return root / _TOUR
    return Path.cwd()


def lab_arguments(target: Path, *, ip: str, port: int | None, browser: bool) -> list[str]:
    """Return JupyterLab's command line for a notebook or a folder.

    Raises
    ------
    SetupError
        If `target` is not there.
    """
    if not target.exists():
        raise SetupError(
            f"There is no notebook or folder {str(target)!r}: give the path of one that exists, "
            f"seen from {str(Path.cwd())!r}"
        )
    target = target.resolve()
    root = target if target.is_dir() else target.parent
    page = "/lab" if target.is_dir() else f"/lab/tree/{quote(target.name)}"
    arguments = [
        *_PRIVATE,
        f"--ServerApp.root_dir={root}",
        # The page, and not the file, is what the printed address opens on another computer.
        f"--LabApp.default_url={page}",
        f"--ServerApp.ip={ip}",
        f"--ServerApp.port={_FIRST_PORT if port is None else port}",
        # A port that somebody named is the end of a tunnel: another one would be of no use.
        f"--ServerApp.port_retries={_OTHER_PORTS_TO_TRY if port is None else 0}",
        f"--ServerApp.open_browser={browser}",
        "--Application.log_level=WARN",
    ]
    if is_root():
        arguments.append("--allow-root")
    return arguments


def is_root() -> bool:
    """Tell whether this process runs as root, which is normal in a container."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def browser_obstacle(environ: Mapping[str, str], platform: str = sys.platform) -> str | None:
    """Say why no browser window can be shown on this machine, or None if one can."""
    if environ.get("CI"):
        return "this is a CI run"
    if any(environ.get(name) for name in ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY")):
        return "you are connected over SSH"
    has_display = environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")
    if platform not in ("win32", "darwin") and not has_display:
        return "this machine has no display"
    try:
        webbrowser.get()
    except webbrowser.Error:
        return "this machine has no browser"
    return None


def announcement(address: str, port: int, ip: str, obstacle: str | None) -> str:
    """Return what the user has to know: the address, and how to reach it from elsewhere."""
    lines = ["", f"Workbench is at  {address}", ""]
    if obstacle is not None:
        lines.append(f"No browser is opened here ({obstacle}): open that address yourself.")
        if ip in ("localhost", "127.0.0.1", "::1"):
            tunnel = f"ssh -N -L {port}:localhost:{port} {shlex.quote(socket.gethostname())}"
            lines += [
                "From another computer, first forward the port by running there:",
                f"    {tunnel}",
                "(with your own name for this machine). Through such a tunnel the page counts as",
                "localhost, so that its camera works. In a container, publish the port and add",
                "--ip 0.0.0.0.",
            ]
        lines.append("")
    lines.append("Stop it with Ctrl-C.")
    return "\n".join(lines)
