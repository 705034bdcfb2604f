"""Start JupyterLab on a notebook: on a desktop, over SSH, as root in a container.

Nothing is asked of the network: JupyterLab's news feed, its check for a newer
release and its extension catalogue are switched off.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import socket
import sys
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from workbench.errors import SetupError, plain_words

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

_PRIVATE = (
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
)
# Asks whether it may fetch news, even where none can be fetched: the question covers buttons.
_QUESTION_ABOUT_NEWS = "@jupyterlab/apputils-extension:announcements"
_FIRST_PORT = 8888
_OTHER_PORTS_TO_TRY = 50
_TRIES = 5
# A notebook that names no kernel makes JupyterLab ask for one before anything can be done.
_KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
_TOUR = "00_tour.ipynb"
# A wheel brings the notebooks along as this folder of the package; a checkout has none there.
_PACKED = Path(__file__).with_name("notebooks")
_COPIES = "workbench-notebooks"


def dataset_notebook(name: str, data: Path | str) -> Path | None:
    """Return a notebook in the current folder that opens a dataset; made if it is not there.

    Parameters
    ----------
    name : str
        Of the dataset.
    data : Path or str
        The folder that holds the datasets, or the address of a place in a bucket.

    Returns
    -------
    Path or None
        None if there is no such dataset.
    """
    from workbench.persistence.addresses import place_of

    place = place_of(data)
    if Path(name).name != name or not _is_dataset(name, place):
        return None
    file = Path(f"{name}.ipynb")
    if not file.exists():
        lines = ["from workbench import Workbench", "", f"wb = Workbench({str(place)!r})"]
        cell: dict[str, Any] = {
            "id": "open",
            "cell_type": "code",
            "source": "\n".join([*lines, f"wb.open({name!r})"]),
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        notebook = {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {"kernelspec": _KERNEL},
            "cells": [cell],
        }
        file.write_text(json.dumps(notebook, indent=1), encoding="utf-8")
    return file


def _is_dataset(name: str, place: Path | str) -> bool:
    if isinstance(place, Path):
        return (place.expanduser() / name / "data.yaml").is_file()
    from workbench.persistence import create_stores
    from workbench.persistence.addresses import Places

    return asyncio.run(create_stores(place, Places.of(place).models).dataset.exists(name))


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
        A notebook or a folder to open; the tour if it is left out. Where Workbench was
        installed from a wheel, the notebooks are first copied into the current folder.
    ip : str
        Address to listen on. The default is reachable from this machine only.
    port : int, optional
        A port that must be used; the first free one from 8888 if it is left out.
    browser : bool
        Open a browser, where this machine can show one.

    Raises
    ------
    SetupError
        If `target` is not there, or the notebooks cannot be copied.
    """
    target = default_target() if target is None else target.expanduser()
    obstacle = "--no-browser was given" if not browser else browser_obstacle(os.environ)
    arguments = lab_arguments(target, ip=ip, port=port, browser=obstacle is None)

    # A kernel of this environment must win over a "python3" in the user's home.
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    from jupyterlab.labapp import LabApp

    from workbench.lab_socket import send_promptly

    server = LabApp.initialize_server(argv=arguments)
    listen(server, others=port is None)
    send_promptly(server)
    _leave_out(_QUESTION_ABOUT_NEWS, server.web_app.settings)

    def announce() -> None:
        # 0.0.0.0 is where the server listens; it is no address that a browser could open.
        address = server.public_url.replace("//0.0.0.0:", f"//{socket.gethostname()}:")
        print(announcement(address, server.port, ip, obstacle), flush=True)

    server.io_loop.add_callback(announce)
    server.start()


def listen(server: ServerApp, *, others: bool) -> None:
    """Let a server that is set up, but not started, listen from now on.

    By itself it finds a free port, lets go of it, and takes it again when its loop runs,
    after it has written down its address. Of two that start at the same moment, the later
    one ended there, with an address that never answered.

    Parameters
    ----------
    server : ServerApp
        As `LabApp.initialize_server` returns it.
    others : bool
        Look for the next free port where another program was faster.

    Raises
    ------
    SystemExit
        If there is no port to listen on. The server has logged why.
    """
    for left in reversed(range(_TRIES if others else 1)):
        try:
            # What is to be called when the loop runs is called: taking the port.
            server.io_loop.run_sync(lambda: None)
        except SystemExit:
            if not left:
                raise
            server.init_httpserver()
        else:
            return


def _leave_out(extension: str, settings: dict[str, Any]) -> None:
    """Let the pages of a server do without one of JupyterLab's own extensions.

    They do not ask whether JupyterLab is to be built again either, for which it starts Node.js
    each time that a page is opened: what comes with an installation is built already.
    """
    earlier = settings.get("page_config_hook")

    def without(handler: object, page_config: dict[str, Any]) -> dict[str, Any]:
        if earlier is not None:
            page_config = earlier(handler, page_config)
        disabled = page_config.get("disabledExtensions", [])
        return page_config | {
            "disabledExtensions": [*disabled, extension],
            "buildCheck": False,
        }

    settings["page_config_hook"] = without


def default_target(packed: Path = _PACKED) -> Path:
    """Return the tour: of the current folder, of this checkout, or copied from the package.

    Parameters
    ----------
    packed : Path
        Where a wheel puts the notebooks.

    Returns
    -------
    Path
        The current folder where no tour is found.

    Raises
    ------
    SetupError
        If the notebooks cannot be copied.
    """
    for root in (Path.cwd(), Path(__file__).resolve().parents[1]):
        tour = root / "notebooks" / _TOUR
        if tour.is_file():
            return tour
    if (packed / _TOUR).is_file():
        return copy_notebooks(packed, Path.cwd() / _COPIES) / _TOUR
    return Path.cwd()


def copy_notebooks(source: Path, target: Path) -> Path:
    """Copy notebooks into a folder of the user's, and leave what is there as it is.

    Parameters
    ----------
    source : Path
        A folder of notebooks.
    target : Path
        The folder to copy to, made if it is missing.

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    SetupError
        If `target` cannot be written.
    """
    try:
        target.mkdir(exist_ok=True)
        for notebook in sorted(source.glob("*.ipynb")):
            copy = target / notebook.name
            if not copy.exists():
                # Renamed when it is complete: half a notebook would never be replaced.
                part = target / f".{notebook.name}.{os.getpid()}.part"
                shutil.copyfile(notebook, part)
                part.replace(copy)
    except OSError as error:
        raise SetupError(
            f"The notebooks could not be copied to {str(target)!r} ({plain_words(error)}): "
            "go to a folder "
            "that you can write to, or name a notebook or a folder to open"
        ) from error
    return target


def lab_arguments(target: Path, *, ip: str, port: int | None, browser: bool) -> list[str]:
    """Return JupyterLab's command line for a notebook or a folder.

    Raises
    ------
    SetupError
        If `target` is not there.
    """
    if not target.exists():
        raise SetupError(
            f"There is no dataset, notebook or folder {str(target)!r}: give the path of one that "
            f"exists, seen from {str(Path.cwd())!r}, or make a dataset with `workbench new`"
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
        # A port that the user named may be the end of a tunnel, so no other port is tried.
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
