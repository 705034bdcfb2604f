"""The `workbench` command and the JupyterLab that it starts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

import workbench
from workbench.cli import main
from workbench.errors import SetupError
from workbench.lab import (
    announcement,
    browser_obstacle,
    copy_notebooks,
    dataset_notebook,
    default_target,
    is_root,
    lab_arguments,
)
from workbench.persistence.links import leads_astray

ROOT = Path(__file__).resolve().parents[1]
EMPTY_NOTEBOOK = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"workbench {workbench.__version__}\n"


@pytest.mark.parametrize("port", ["0", "65536", "x", "-1", "١"])
def test_a_port_that_is_none_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["lab", f"--port={port}"])
    assert ended.value.code == 2
    assert "a port is a number from 1 to 65535" in capsys.readouterr().err


def test_a_notebook_that_is_not_there_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lab", str(tmp_path / "no.ipynb")]) == 1
    said = capsys.readouterr().err
    assert f"There is no dataset, notebook or folder '{tmp_path / 'no.ipynb'}'" in said


def test_a_notebook_opens_in_its_folder(tmp_path: Path) -> None:
    notebook = tmp_path / "my tour #1.ipynb"
    notebook.write_text(EMPTY_NOTEBOOK)
    arguments = lab_arguments(notebook, ip="localhost", port=None, browser=True)
    assert f"--ServerApp.root_dir={tmp_path.resolve()}" in arguments
    assert "--LabApp.default_url=/lab/tree/my%20tour%20%231.ipynb" in arguments
    assert "--ServerApp.open_browser=True" in arguments


def test_a_folder_opens_as_it_is(tmp_path: Path) -> None:
    arguments = lab_arguments(tmp_path, ip="localhost", port=None, browser=False)
    assert f"--ServerApp.root_dir={tmp_path.resolve()}" in arguments
    assert "--LabApp.default_url=/lab" in arguments
    assert "--ServerApp.open_browser=False" in arguments


def test_a_named_port_is_not_exchanged_for_another(tmp_path: Path) -> None:
    named = lab_arguments(tmp_path, ip="localhost", port=9000, browser=False)
    free = lab_arguments(tmp_path, ip="localhost", port=None, browser=False)
    assert {"--ServerApp.port=9000", "--ServerApp.port_retries=0"} <= set(named)
    assert {"--ServerApp.port=8888", "--ServerApp.port_retries=50"} <= set(free)


def test_root_is_allowed_only_where_it_runs(tmp_path: Path) -> None:
    arguments = lab_arguments(tmp_path, ip="localhost", port=None, browser=False)
    assert ("--allow-root" in arguments) == is_root()


def test_a_missing_target_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="give the path of one that exists"):
        lab_arguments(tmp_path / "gone", ip="localhost", port=None, browser=False)


def test_the_tour_of_the_current_folder_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tour = tmp_path / "notebooks" / "00_tour.ipynb"
    tour.parent.mkdir()
    tour.write_text(EMPTY_NOTEBOOK)
    monkeypatch.chdir(tmp_path)
    assert default_target() == tour


def test_copied_notebooks_are_not_written_over(tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    packed.mkdir()
    for name in ("00_tour.ipynb", "01_more.ipynb"):
        (packed / name).write_text(EMPTY_NOTEBOOK)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "00_tour.ipynb").write_text("my own notes")
    assert copy_notebooks(packed, mine) == mine
    assert (mine / "00_tour.ipynb").read_text() == "my own notes"
    assert (mine / "01_more.ipynb").read_text() == EMPTY_NOTEBOOK
    assert sorted(path.name for path in mine.iterdir()) == ["00_tour.ipynb", "01_more.ipynb"]


def test_notebooks_that_cannot_be_copied_are_one_sentence(tmp_path: Path) -> None:
    in_the_way = tmp_path / "workbench-notebooks"
    in_the_way.touch()
    with pytest.raises(SetupError, match="go to a folder that you can write to"):
        copy_notebooks(tmp_path, in_the_way)


@pytest.mark.parametrize(
    ("environ", "platform", "said"),
    [
        ({"CI": "true", "DISPLAY": ":0"}, "linux", "CI"),
        ({"SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22", "DISPLAY": ":10"}, "linux", "SSH"),
        ({"SSH_TTY": "/dev/ttys0"}, "darwin", "SSH"),
        ({}, "linux", "no display"),
        ({"DISPLAY": ""}, "linux", "no display"),
    ],
)
def test_what_keeps_a_browser_from_opening(
    environ: dict[str, str], platform: str, said: str
) -> None:
    obstacle = browser_obstacle(environ, platform)
    assert obstacle is not None
    assert said in obstacle


@pytest.mark.parametrize(
    ("environ", "platform"),
    [({"DISPLAY": ":0"}, "linux"), ({"WAYLAND_DISPLAY": "wayland-0"}, "linux"), ({}, "darwin")],
)
def test_a_desktop_opens_a_browser(
    environ: dict[str, str], platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webbrowser.get", lambda: object())
    assert browser_obstacle(environ, platform) is None


def test_the_announcement_names_the_tunnel_only_where_it_helps() -> None:
    address = "http://localhost:8890/lab?token=abc"
    remote = announcement(address, 8890, "localhost", "this machine has no display")
    assert address in remote
    assert "ssh -N -L 8890:localhost:8890" in remote
    assert "ssh" not in announcement(address, 8890, "0.0.0.0", "this machine has no display")
    assert "ssh" not in announcement(address, 8890, "localhost", None)


def test_jupyterlab_starts_on_the_notebook_and_asks_the_network_for_nothing(
    tmp_path: Path,
) -> None:
    notebook = tmp_path / "first steps.ipynb"
    notebook.write_text(EMPTY_NOTEBOOK)
    private = {
        name: str(tmp_path / name.lower())
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    command = [sys.executable, "-m", "workbench", "lab", "--no-browser", str(notebook)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **private},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as lab:
        watchdog = threading.Timer(120, lab.kill)  # a server that never speaks must not hang us
        watchdog.start()
        try:
            assert lab.stdout is not None
            said = ""
            while "Stop it with Ctrl-C." not in said:
                line = lab.stdout.readline()
                assert line, f"JupyterLab ended:\n{said}"
                said += line
            address = re.search(r"Workbench is at  (\S+)", said)
            assert address is not None
            with urllib.request.urlopen(address[1], timeout=60) as response:
                assert response.status == 200
                assert "/lab/tree/first%20steps.ipynb" in response.url
                page = response.read().decode()
        finally:
            watchdog.cancel()
            lab.terminate()
            lab.communicate()
    settings = re.search(r'<script id="jupyter-config-data"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert settings is not None
    configuration = json.loads(settings[1])
    assert configuration["news"] == {"disabled": True}
    assert configuration["extensionManager"]["can_install"] is False


TAKEN_MEANWHILE = """
import socket
from jupyterlab.labapp import LabApp
from tornado.netutil import bind_sockets
from workbench.lab import lab_arguments, listen
from pathlib import Path

arguments = lab_arguments(Path.cwd(), ip="127.0.0.1", port=None, browser=False)
server = LabApp.initialize_server(argv=arguments)
found = server.port
other = bind_sockets(found, "127.0.0.1")
listen(server, others=True)
assert server.port != found, found
socket.create_connection(("127.0.0.1", server.port), timeout=30).close()
print("listens")
"""


def test_links_are_trusted_and_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder, elsewhere = tmp_path / "pets", tmp_path / "elsewhere"
    (folder / "images").mkdir(parents=True)
    elsewhere.mkdir()
    assert main(["trust-links", str(folder)]) == 0
    assert "there is nothing to say" in capsys.readouterr().out
    (folder / "images" / "train").symlink_to(elsewhere)
    assert leads_astray(str(folder), str(folder / "images/train/a.jpg"))
    assert main(["trust-links", str(folder)]) == 0
    assert f"may lead to {elsewhere}." in capsys.readouterr().out
    assert not leads_astray(str(folder), str(folder / "images/train/a.jpg"))
    assert main(["trust-links", str(folder), "--forget"]) == 0
    assert leads_astray(str(folder), str(folder / "images/train/a.jpg"))
    assert main(["trust-links", str(folder), "--forget"]) == 0
    assert "nothing to take back" in capsys.readouterr().out
    (folder / "data.yaml").touch()
    assert main(["trust-links", str(tmp_path)]) == 1
    assert "found one that holds 1 dataset; say it for each" in capsys.readouterr().err
    assert main(["trust-links", str(tmp_path / "nothing")]) == 1
    assert "expected the folder of a dataset" in capsys.readouterr().err


def test_a_port_that_another_program_took_at_the_same_moment_is_left_to_it(
    tmp_path: Path,
) -> None:
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    private = {name: str(tmp_path / name.lower()) for name in names}
    done = subprocess.run(
        [sys.executable, "-c", TAKEN_MEANWHILE],
        cwd=tmp_path,
        env={**os.environ, **private, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.endswith("listens\n"), done.stdout + done.stderr


def test_a_dataset_is_made_and_a_notebook_that_opens_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "cups", "--classes", "cup, red saucer"]) == 0
    assert "workbench lab cups" in capsys.readouterr().out
    text = (tmp_path / "workbench-data" / "cups" / "data.yaml").read_text()
    assert "0: cup" in text
    assert "1: red saucer" in text
    assert main(["new", "cups"]) == 1  # it is there already

    data = Path("workbench-data")
    assert dataset_notebook("mugs", data) is None
    assert dataset_notebook("../cups", data) is None
    notebook = dataset_notebook("cups", data)
    assert notebook == Path("cups.ipynb")
    written = json.loads(notebook.read_text())
    # Else JupyterLab asks which kernel to take, before the page can be used.
    assert written["metadata"]["kernelspec"]["name"] == "python3"
    [cell] = written["cells"]
    assert cell["source"].splitlines()[-1] == "wb.open('cups')"
    notebook.write_text("mine")
    assert dataset_notebook("cups", data) == notebook
    assert notebook.read_text() == "mine"
