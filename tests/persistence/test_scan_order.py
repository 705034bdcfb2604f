"""A scan that remembers the order of names says what one says that does not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.persistence import Stores, create_stores
from workbench.persistence.storage.local import storage
from workbench.persistence.stores import image_listing
from workbench.persistence.stores.image_order import order_of


@pytest.fixture(autouse=True)
def _always_remember(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_listing, "WORTH_REMEMBERING", 0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "data" / "zoo"
    for kind in ("images", "labels"):
        (root / kind / "train").mkdir(parents=True)
    (root / "data.yaml").write_text("names: [cat]\n")
    for name in ("b.jpg", "a.JPEG", "c.tiff", ".hidden.jpg", "notes.md", "x.y.png"):
        (root / "images/train" / name).write_bytes(name.encode())
    for name in ("b.txt", "x.y.txt", "nobody.txt", "a.json"):
        (root / "labels/train" / name).write_bytes(b"")
    (root / "images/train/folder.jpg").mkdir()
    return root


@pytest.fixture
def stores(root: Path) -> Stores:
    return create_stores(root.parent, root.parent.parent / "models")


async def _names_and_labels(stores: Stores) -> list[tuple[str, bool]]:
    table = await stores.image.scan("zoo")
    return list(zip(table.filenames, (table.label_bytes >= 0).tolist(), strict=True))


async def test_the_second_scan_remembers(stores: Stores, root: Path, tmp_path: Path) -> None:
    expected = [("a.JPEG", False), ("b.jpg", True), ("c.tiff", False), ("x.y.png", True)]
    assert await _names_and_labels(stores) == expected
    memory = root / ".workbench/cache/scan"
    whole = memory.read_bytes()
    # Nobody would work out an order without the first image: what shows it has remembered it.
    with np.load(memory) as arrays:
        other = dict(arrays)
    for kind in ("images", "labels"):
        other[f"train_{kind}"] = other[f"train_{kind}"][1:]
    with memory.open("wb") as file:
        np.savez(file, **other)
    assert await _names_and_labels(create_stores(root.parent, tmp_path / "models")) == expected[1:]
    memory.write_bytes(whole)
    assert await _names_and_labels(stores) == expected
    (root / "images/train/b.jpg").write_bytes(b"longer than it was")
    assert (await stores.image.scan("zoo")).size_bytes.tolist() == [6, 18, 6, 7]


async def test_files_that_come_and_go_are_seen(stores: Stores, root: Path) -> None:
    await _names_and_labels(stores)
    (root / "labels/train/b.txt").rename(root / "labels/train/a.txt")
    (root / "images/train/c.tiff").unlink()
    (root / "images/train/folder.jpg").rmdir()
    (root / "images/train/folder.jpg").write_bytes(b"")
    assert await _names_and_labels(stores) == [
        ("a.JPEG", True),
        ("b.jpg", False),
        ("folder.jpg", False),
        ("x.y.png", True),
    ]


async def test_a_damaged_memory_is_none(stores: Stores, root: Path) -> None:
    expected = await _names_and_labels(stores)
    memory = root / ".workbench/cache/scan"
    whole = memory.read_bytes()
    for damage in (b"", b"PK", whole[:-30], whole[: len(whole) // 2], b"\0" * len(whole)):
        memory.write_bytes(damage)
        assert await _names_and_labels(stores) == expected


async def test_leftovers_of_dead_processes_are_removed(stores: Stores, root: Path) -> None:
    cache = root / ".workbench/cache"
    cache.mkdir(parents=True)
    old, new = cache / "1-0-ab.tmp", cache / "2-0-cd.tmp"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    await stores.dataset.save_cache("zoo", "index", b"data")
    assert sorted(path.name for path in cache.iterdir()) == ["2-0-cd.tmp", "index"]
    assert storage.LEFTOVER_S > 60


_NAMES = st.lists(
    st.from_regex(r"[a-c.]{1,3}\.(jpg|PNG|webp|txt)", fullmatch=True), unique=True, max_size=12
)


@given(images=_NAMES, labels=_NAMES)
def test_the_order_is_that_of_names(images: list[str], labels: list[str]) -> None:
    order = order_of(images, labels, None)
    found = [images[place] for place in order.images.tolist()]
    assert found == sorted(
        name for name in images if not name.startswith(".") and not name.endswith(".txt")
    )
    for name, place in zip(found, order.labels.tolist(), strict=True):
        label = f"{name.rpartition('.')[0]}.txt"
        assert (labels[place] == label) if place >= 0 else (label not in labels)
    assert order_of(images, labels, order) is order
    other = order_of(images, [*labels, "new.txt"], order)
    assert other is not order
