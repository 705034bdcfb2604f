"""The server as JupyterHub's users reach it: through a running Jupyter, by its login."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.serving import ROOT
from tests.browser.annotating import write_dataset

_SECONDS = 90


@pytest.fixture
def jupyter(tmp_path: Path) -> Iterator[httpx.Client]:
    """A Jupyter server over a folder with a dataset; its client is logged in."""
    work = tmp_path / "work"
    write_dataset(work, "pets")
    (work / "data").rename(work / "workbench-data")  # where `workbench serve` looks by default
    folders = {
        name: str(tmp_path / name.lower())
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    environment = os.environ | folders | {"PYTHONPATH": str(ROOT)}
    log = tmp_path / "jupyter.log"
    command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--ServerApp.port=0"]
    command += ["--allow-root", "--ServerApp.ip=127.0.0.1"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, cwd=work)
    try:
        info = _started(process, Path(folders["JUPYTER_RUNTIME_DIR"]), log)
        headers = {"Authorization": f"token {info['token']}"}
        with httpx.Client(base_url=info["url"], headers=headers, timeout=_SECONDS) as client:
            yield client
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


def _started(process: subprocess.Popen[bytes], runtime: Path, log: Path) -> dict[str, str]:
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        for file in runtime.glob("jpserver-*.json"):
            try:
                found: dict[str, str] = json.loads(file.read_text())
            except json.JSONDecodeError:
                continue  # still being written
            return found
        time.sleep(0.1)
    raise AssertionError(f"Jupyter did not start:\n{log.read_text(errors='replace')[-3000:]}")


@pytest.mark.long
def test_who_is_logged_in_to_jupyter_reaches_the_server(jupyter: httpx.Client) -> None:
    assert jupyter.get("workbench-api/v1/status").json()["version"]
    listed = jupyter.get("workbench-api/v1/datasets").json()
    assert [one["name"] for one in listed["items"]] == ["pets"]
    box = {"class_id": 0, "x": 0.5, "y": 0.5, "width": 0.2, "height": 0.2}
    images = jupyter.get("workbench-api/v1/datasets/pets/images").json()["items"]
    where = f"workbench-api/v1/datasets/pets/labels/{images[0]['split']}/{images[0]['filename']}"
    saved = jupyter.put(where, json={"boxes": [box]})
    assert saved.status_code == 200, saved.text
    assert jupyter.get(where).headers["etag"] == saved.headers["etag"]
    stranger = httpx.get(f"{jupyter.base_url}workbench-api/v1/status", follow_redirects=False)
    assert stranger.status_code in {302, 403}
    # A job says where it is below Jupyter's address.
    job = jupyter.post("workbench-api/v1/datasets/pets/health", json={})
    assert job.headers["location"].startswith("/workbench-api/v1/jobs/"), job.headers["location"]
