"""A folder of models from a stranger: its facts lead nowhere else."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.planted import Planted, limited, model_facts
from workbench.errors import InvalidDatasetError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes as POSIX has them")


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    return Planted(tmp_path)


async def assert_damaged(planted: Planted) -> None:
    """The healthy model is there and works; the planted one says what is wrong, and leads nowhere.

    It is refused with the same words, and can be moved to the trash and back.
    """
    stores = planted.stores()
    good, net = await limited(stores.model.list())
    assert (good.name, good.problem, net.name, net.weights_state) == ("good", "", "net", "unknown")
    assert "net/" in net.problem
    for use in (stores.model.load, stores.model.set_active, stores.model.get):
        with pytest.raises(InvalidDatasetError) as refused:
            await limited(use("net"))
        assert str(refused.value) == net.problem
    entry = await limited(stores.model.delete("net"))
    assert [info.name for info in await limited(stores.model.list())] == ["good"]
    assert (await limited(stores.model.restore(entry.id))).problem
    assert (await limited(stores.model.list()))[1] == net
    assert await limited(stores.model.load("good")) == planted.models / "good/weights.pt"
    active = await limited(stores.model.set_active("good"))
    assert active is not None
    assert active.is_active
    planted.assert_nothing_outside_changed()
    planted.assert_no_secret_inside()


def weights(**changes: Any) -> dict[str, Any]:
    kept = model_facts()["weights"]
    assert isinstance(kept, dict)
    return kept | changes


FACTS = {
    "weights outside": model_facts(weights=weights(file="../../home/.ssh/id_rsa")),
    "weights of another": model_facts(weights=weights(file="../good/weights.pt")),
    "absolute weights": model_facts(weights=weights(file="/etc/passwd")),
    "weights are a number": model_facts(weights=weights(file=7)),
    "no weights": model_facts(weights={}),
    "no metrics": model_facts(metrics=None),
    "metrics of text": model_facts(metrics={"map": "x"}),
    "classes are a number": model_facts(class_names=3),
    "no time": model_facts(created_at="now"),
    "no zone": model_facts(created_at="2026-01-01T00:00:00"),
    "epochs of text": model_facts(epochs_completed="many"),
    "details are text": model_facts(details="text"),
    "a list": [],
    "a number": 7,
    "no JSON": b"{",
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("name", FACTS)
async def test_facts_that_cannot_be(planted: Planted, name: str) -> None:
    content = FACTS[name]
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    (planted.models / "net/model.json").write_bytes(data)
    await assert_damaged(planted)


@pytest.mark.parametrize("kind", ["link", "dangling", "pipe", "folder"])
@pytest.mark.parametrize("file", ["model.json", "weights.pt"])
async def test_files_of_a_model_that_are_none(planted: Planted, file: str, kind: str) -> None:
    path = planted.models / "net" / file
    content = path.read_bytes()
    path.unlink()
    if kind == "link":
        (planted.home / file).write_bytes(content)
        planted.remember()
        path.symlink_to(planted.home / file)
    elif kind == "dangling":
        path.symlink_to(planted.home / "nothing")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    await assert_damaged(planted)


ACTIVE = {
    "outside": {"name": "../home"},
    "a number": {"name": 7},
    "no name": {},
    "a list": [],
    "hidden": {"name": ".workbench"},
    "no JSON": b"{",
    "empty": b"",
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("name", ACTIVE)
async def test_an_active_model_that_cannot_be(planted: Planted, name: str) -> None:
    content = ACTIVE[name]
    (planted.models / ".workbench").mkdir()
    (planted.models / ".workbench/active.json").write_bytes(
        content if isinstance(content, bytes) else json.dumps(content).encode()
    )
    stores = planted.stores()
    assert await limited(stores.model.get_active()) is None
    assert [info.is_active for info in await limited(stores.model.list())] == [False, False]
    assert (await limited(stores.model.set_active("net"))) is not None
    planted.assert_nothing_outside_changed()


@pytest.mark.parametrize(
    "file", ["active.json", "generation", "tx", "tmp", "trash", "lock", "dangling lock"]
)
@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "file"])
async def test_hidden_files_of_another_kind(planted: Planted, file: str, kind: str) -> None:
    path = planted.models / ".workbench" / file.split()[-1]
    path.parent.mkdir()
    if kind == "link":
        path.symlink_to(planted.home / ("nothing" if " " in file else "tmp"))
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"")
    stores = planted.stores()
    assert [info.name for info in await limited(stores.model.list(), (path,))] == ["good", "net"]
    if path.name == "lock" and kind != "file":
        with pytest.raises(InvalidDatasetError, match="lock file of our own"):
            await limited(stores.model.rename("net", "net2"), (path,))
    else:
        await limited(stores.model.rename("net", "net2"), (path,))
        await limited(stores.model.set_active("net2"), (path,))
        await limited(stores.model.delete("net2"), (path,))
        assert len(await limited(stores.model.list_trash(), (path,))) == 1
    planted.assert_nothing_outside_changed()


async def test_the_hidden_folder_as_a_link_is_refused(planted: Planted) -> None:
    (planted.models / ".workbench").symlink_to(planted.home)
    stores = planted.stores()
    assert [info.name for info in await limited(stores.model.list())] == ["good", "net"]
    with pytest.raises(InvalidDatasetError, match="found a link"):
        await limited(stores.model.set_active("net"))
    assert await limited(stores.model.list_trash()) == []
    planted.assert_nothing_outside_changed()


async def test_a_model_that_the_user_has_linked_works(planted: Planted) -> None:
    (planted.models / "net").rename(planted.folder / "elsewhere")
    (planted.models / "net").symlink_to(planted.folder / "elsewhere")
    stores = planted.stores()
    assert await limited(stores.model.load("net")) == planted.models / "net/weights.pt"
