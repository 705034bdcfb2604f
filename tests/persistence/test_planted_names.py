"""Names in planted files that no file system takes, and pipes in folders that are imported."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.archives import small_dataset
from tests.helpers.crash_points import BOX
from workbench import import_dataset
from workbench.errors import WorkbenchError
from workbench.persistence import Stores

HALF = "\ud800"
LONG = "a" * 300
TX = ".workbench/tx/20261128-1"


def _plan(target: str) -> dict[str, Any]:
    return {"steps": [[f"{TX}/0", target, False]], "appended": [], "made": []}


PLANS: dict[str, Any] = {
    "a list as a folder": {"steps": [], "appended": [], "made": [[]]},
    "a dict as a folder": {"steps": [], "appended": [], "made": [{}]},
    "half a pair in labels": _plan(f"labels/train/{HALF}.txt"),
    "half a pair in images": _plan(f"images/train/{HALF}.jpg"),
    "half a pair, old form": [[HALF, "b"]],
    "too long for labels": _plan(f"labels/train/{LONG}.txt"),
    "too long for what goes": _plan(f"{TX}/gone-{LONG}"),
}


def _write(folder: Path) -> None:
    for name, data in small_dataset().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


@pytest.fixture
def pets(persistence_stores: Stores, tmp_path: Path) -> Path:
    _write(tmp_path / "data" / "pets")
    return tmp_path / "data" / "pets"


@pytest.mark.parametrize("case", PLANS)
async def test_a_plan_with_such_names_is_set_aside(
    persistence_stores: Stores, pets: Path, case: str
) -> None:
    (pets / TX).mkdir(parents=True)
    (pets / TX / "plan.json").write_text(json.dumps(PLANS[case]))
    assert [one.name for one in await persistence_stores.dataset.list()] == ["pets"]
    await persistence_stores.label.save("pets", "val", "b.jpg", [BOX])
    assert await persistence_stores.label.load("pets", "val", "b.jpg") == [BOX]
    assert not (pets / ".workbench" / "tx").exists()


@pytest.mark.parametrize("name", [HALF, LONG])
async def test_a_trash_entry_with_such_names_spoils_no_other(
    persistence_stores: Stores, pets: Path, name: str
) -> None:
    bad = await persistence_stores.image.delete("pets", "train", "a.jpg")
    good = await persistence_stores.image.delete("pets", "val", "b.jpg")
    path = pets / ".workbench" / "trash" / bad.id / "entry.json"
    entry = json.loads(path.read_text())
    entry["files"] = [[name, "labels/train/a.txt"]]
    path.write_text(json.dumps(entry))
    listed = await persistence_stores.image.list_trash("pets")
    assert good.id in [one.id for one in listed]
    await persistence_stores.image.restore("pets", good.id)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes in folders")
@pytest.mark.parametrize("place", ["images/train/f.jpg", "labels/train/f.txt", "data.yaml"])
@pytest.mark.parametrize("way", ["import_dataset", "import_folder"])
async def test_a_pipe_in_a_folder_is_not_waited_for(
    persistence_stores: Stores, tmp_path: Path, place: str, way: str
) -> None:
    source = tmp_path / "export"
    _write(source)
    (source / place).unlink(missing_ok=True)
    os.mkfifo(source / place)

    async def bring_in() -> None:
        if way == "import_dataset":
            await import_dataset(persistence_stores, source, name="pets")
        else:
            await persistence_stores.dataset.import_folder(source, "pets")

    refused = ""
    async with asyncio.timeout(30):
        try:
            await bring_in()
        except WorkbenchError as error:
            refused = str(error)
    if refused:
        assert Path(place).name in refused
        assert await persistence_stores.dataset.list() == []
