"""The listing of common operations in the design, word for word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.backends import Backend
from tests.helpers.pictures import frame as make_frame
from workbench.persistence import (
    get_dataset_store,
    get_image_store,
    get_label_store,
    get_model_store,
    get_stores,
    set_stores,
)
from workbench.persistence.models import Annotation


@pytest.fixture
def started(backend: Backend) -> Iterator[Backend]:
    set_stores(backend.stores)
    yield backend
    set_stores(None)


async def test_the_listing_of_common_operations(started: Backend, tmp_path: Path) -> None:
    assert get_stores() is started.stores
    folder = tmp_path / "out"
    folder.mkdir()
    frame = make_frame(height=48, width=64)

    ds = get_dataset_store()
    info = await ds.create("my_dataset", classes=["cat", "dog", "bird"])
    assert info.num_images == {"train": 0, "val": 0, "test": 0}
    datasets = await ds.list()
    assert [d.name for d in datasets] == ["my_dataset"]
    assert datasets[0].classes == ["cat", "dog", "bird"]
    await ds.update_classes("my_dataset", ["person", "car", "truck"])
    assert (await ds.get("my_dataset")).classes == ["person", "car", "truck"]
    await ds.save_prompts("my_dataset", {0: ["a person", "a human"], 1: ["a car"]})
    prompts = await ds.get_prompts("my_dataset")
    assert prompts == {0: ["a person", "a human"], 1: ["a car"]}

    img = get_image_store()
    image_info = await img.save("my_dataset", "train", "frame_001.jpg", frame)
    assert (image_info.filename, image_info.split) == ("frame_001.jpg", "train")
    assert (image_info.width, image_info.height) == (64, 48)
    everything = await img.list("my_dataset")
    only = await img.list("my_dataset", split="train")
    assert everything == only
    assert [i.filename for i in only] == ["frame_001.jpg"]
    assert (only[0].split, only[0].has_labels) == ("train", False)
    assert only[0].size_bytes == image_info.size_bytes > 0
    assert (only[0].width, only[0].height) == (0, 0)
    array = await img.load("my_dataset", "train", "frame_001.jpg")
    assert (array.shape, array.dtype) == ((48, 64, 3), np.dtype(np.uint8))
    assert np.abs(array.astype(int) - frame.astype(int)).mean() < 8  # JPEG is lossy

    lbl = get_label_store()
    await lbl.save(
        "my_dataset",
        "train",
        "frame_001.jpg",
        [Annotation(class_id=0, x=0.45, y=0.5, width=0.3, height=0.6)],
    )
    annotations = await lbl.load("my_dataset", "train", "frame_001.jpg")
    assert annotations == [Annotation(0, 0.45, 0.5, 0.3, 0.6)]

    await img.move("my_dataset", "frame_001.jpg", "train", "val")
    await lbl.move("my_dataset", "frame_001.jpg", "train", "val")
    assert await lbl.load("my_dataset", "val", "frame_001.jpg") == annotations
    assert (await ds.get("my_dataset")).num_images == {"train": 0, "val": 1, "test": 0}

    zip_path = await ds.export_zip("my_dataset", output_path=folder)
    assert zip_path == folder / "my_dataset.zip"
    imported = await ds.import_zip(zip_path, name="imported_copy")
    assert (imported.name, imported.classes) == ("imported_copy", ["person", "car", "truck"])
    assert await lbl.load("imported_copy", "val", "frame_001.jpg") == annotations

    mdl = get_model_store()
    (tmp_path / "best.pt").write_bytes(b"weights")
    info_of_model = await mdl.save(
        name="yolo_cats_v1",
        weights_path=tmp_path / "best.pt",
        base_model="yolo11n",
        dataset_name="my_dataset",
        epochs_completed=50,
        metrics={"best_map50": 0.87},
    )
    assert (info_of_model.best_map50, info_of_model.is_active) == (0.87, False)
    await mdl.set_active("yolo_cats_v1")
    active = await mdl.get_active()
    assert active is not None
    assert (active.name, active.is_active) == ("yolo_cats_v1", True)
    weights = await mdl.load(active.name)
    assert weights.read_bytes() == b"weights"
