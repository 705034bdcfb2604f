"""The sample dataset and video, looked at as raw files."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import AsyncMock

import cv2
import numpy as np
import pytest

from workbench.errors import AlreadyExistsError
from workbench.persistence import DatasetStore, Stores
from workbench.persistence.models import NewImage
from workbench.samples import CLASSES, create_shapes, moving_scenes, write_video


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_dataset_with_images_labels_and_something_left_to_do(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    told: list[tuple[int, int]] = []

    info = await create_shapes(
        persistence_stores,
        "tiny",
        num_images=10,
        image_size=64,
        unlabelled=3,
        progress=lambda done, total: told.append((done, total)),
    )

    root = tmp_path / "data" / "tiny"
    assert info.classes == list(CLASSES)
    assert info.num_images == {"train": 7, "val": 2, "test": 1}
    assert _names(root / "images" / "train") == [f"shapes_{i:05d}.jpg" for i in range(7)]
    assert _names(root / "labels" / "train") == [f"shapes_{i:05d}.txt" for i in range(3, 7)]
    assert len(_names(root / "labels" / "val")) == 2
    frame = cv2.imread(str(root / "images" / "val" / "shapes_00007.jpg"))
    assert frame is not None
    assert frame.shape == (64, 64, 3)
    assert told[-1] == (10, 10)


async def test_images_do_not_depend_on_how_many_there_are() -> None:
    async def made(num_images: int) -> list[NewImage]:
        store = AsyncMock(spec=DatasetStore)
        stores = Stores(dataset=store, image=AsyncMock(), label=AsyncMock(), model=AsyncMock())
        await create_shapes(stores, num_images=num_images, image_size=64, seed=4)
        return list(store.create_from.await_args.args[2])

    few, many = await made(4), await made(8)

    for first, second in zip(few, many, strict=False):
        assert first.filename == second.filename
        assert np.array_equal(first.content, second.content)
        assert first.annotations == second.annotations


async def test_a_name_that_is_taken_is_refused(persistence_stores: Stores) -> None:
    await persistence_stores.dataset.create("shapes")

    with pytest.raises(AlreadyExistsError):
        await create_shapes(persistence_stores, num_images=2, image_size=64)


@pytest.mark.parametrize(
    ("wish", "problem"),
    [
        ({"num_images": 1}, "num_images: expected at least 2"),
        ({"num_images": 10, "unlabelled": 8}, "unlabelled: expected 0 to 7"),
        ({"image_size": 8}, "image_size: expected at least 32"),
    ],
)
async def test_numbers_that_cannot_be_are_named(
    persistence_stores: Stores, wish: dict[str, int], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        await create_shapes(persistence_stores, **wish)

    assert not await persistence_stores.dataset.exists("shapes")


@pytest.mark.parametrize("name", ["shot.avi", "shot.mp4"])
def test_a_video_holds_the_scenes(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / "new" / name, seconds=1, fps=10, image_size=(96, 64), seed=2)

    reader = cv2.VideoCapture(str(path))
    frames = []
    while (read := reader.read())[0]:
        frames.append(read[1])
    fps = reader.get(cv2.CAP_PROP_FPS)
    reader.release()

    assert _names(path.parent) == [name]
    assert len(frames) == 10
    assert fps == pytest.approx(10)
    scenes = list(moving_scenes(10, fps=10, image_size=(96, 64), seed=2))
    errors = [
        np.abs(frame.astype(float) - scene.frame).mean()
        for frame, scene in zip(frames, scenes, strict=True)
    ]
    assert max(errors) < 12


def test_a_video_that_cannot_be_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "shot.avi"
    path.write_bytes(b"old")

    with pytest.raises(ValueError, match="at least 32"):
        write_video(path, image_size=8)
    with pytest.raises(ValueError, match="not one frame"):
        write_video(path, seconds=0)
    with pytest.raises(ValueError, match=r"\.avi or \.mp4"):
        write_video(tmp_path / "shot.gif")

    assert path.read_bytes() == b"old"
    assert _names(tmp_path) == ["shot.avi"]


def test_a_video_that_is_interrupted_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "shot.avi"
    path.write_bytes(b"old")
    shot = moving_scenes(2, image_size=64)

    def interrupted(*_: object, **__: object):
        yield next(shot)
        raise KeyboardInterrupt

    monkeypatch.setattr("workbench.samples.video.moving_scenes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_video(path, image_size=64)

    assert path.read_bytes() == b"old"
    assert _names(tmp_path) == ["shot.avi"]
