"""A dataset is judged before training starts on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.training import CLASSES, TINY, make_shapes
from workbench.errors import TrainingError
from workbench.persistence import Stores
from workbench.persistence.models import DatasetInfo, LabelTable
from workbench.training.checks import find_problems
from workbench.training.config import TrainingConfig
from workbench.training.data_versions import version_of
from workbench.training.problems import ERROR, WARNING, Problem
from workbench.training.runner import TrainingRunner

INFO = DatasetInfo("cells", Path("/cells"), ["red", "white"])


def table(*images: tuple[str, list[int] | None]) -> LabelTable:
    """A table of images: the split, and the class ids of their boxes (None: not labelled)."""
    boxes = [(i, class_id) for i, (_, ids) in enumerate(images) for class_id in ids or []]
    return LabelTable(
        filenames=[f"{i}.jpg" for i in range(len(images))],
        splits=[split for split, _ in images],
        labelled=np.array([ids is not None for _, ids in images], dtype=bool),
        image_index=np.array([i for i, _ in boxes], dtype=np.int64),
        class_id=np.array([class_id for _, class_id in boxes], dtype=np.int64),
        boxes=np.full((len(boxes), 4), 0.5),
    )


def errors(info: DatasetInfo, labels: LabelTable) -> list[str]:
    return [str(p) for p in find_problems(info, labels) if p.severity == ERROR]


def warnings(info: DatasetInfo, labels: LabelTable) -> list[str]:
    return [str(p) for p in find_problems(info, labels) if p.severity == WARNING]


def test_a_sound_dataset_has_nothing_to_complain_about() -> None:
    sound = table(("train", [0, 1]), ("train", []), ("val", [0, 1]))
    assert find_problems(INFO, sound) == []


@pytest.mark.parametrize(
    ("images", "problem", "remedy"),
    [
        ([("val", [0])], "no images in train", "capture or import"),
        ([("train", None), ("val", [0])], "there is no box on 1 image in train", "label some"),
        ([("train", []), ("val", [0])], "there is no box on 1 image in train", "label some"),
        ([("train", [0])], "no images in val", "move some images to val"),
        ([("train", [0]), ("val", None)], "there is no box on 1 image in val", "label some"),
        ([("train", [0, 7]), ("val", [0])], "class ids 7", "append the missing names"),
    ],
)
def test_what_makes_training_pointless_is_an_error_with_a_remedy(
    images: list[tuple[str, list[int] | None]], problem: str, remedy: str
) -> None:
    [error] = errors(INFO, table(*images))
    assert problem in error
    assert remedy in error


def test_an_empty_dataset_names_both_splits() -> None:
    assert len(errors(INFO, table())) == 2


def test_a_dataset_without_classes_says_so_first() -> None:
    [error] = errors(DatasetInfo("cells", Path("/cells"), []), table(("train", [0])))
    assert "has no classes: give it some" in error


def test_a_class_without_boxes_is_a_warning_for_each_split() -> None:
    train, val = warnings(INFO, table(("train", [0]), ("val", [1])))
    assert "No box in train for white" in train
    assert "No box in val for red" in val


@pytest.mark.parametrize(
    ("as_background", "fate"), [(False, "are left out"), (True, "count as background")]
)
def test_unlabelled_images_are_a_warning(as_background: bool, fate: str) -> None:
    images = [("train", [0, 1]), ("val", [0, 1]), *[("train", None)] * 7]
    [problem] = find_problems(INFO, table(*images), as_background)
    warning = str(problem)
    assert problem.images == tuple(("train", f"{i}.jpg") for i in range(2, 9))
    assert warning.startswith(f"7 images of train have no labels yet and {fate}")
    assert "2.jpg, 3.jpg, 4.jpg, 5.jpg, 6.jpg and 2 more" in warning


# --- with a dataset on disk


def labels_of(tmp_path: Path, name: str) -> Path:
    return tmp_path / "data" / "shapes" / "labels" / "train" / f"{name}.txt"


async def problems_of(stores: Stores, tmp_path: Path, **settings: object) -> list[Problem]:
    runner = TrainingRunner(stores, tmp_path / "runs")
    return await runner.check(TrainingConfig(**{**TINY, **settings}))  # type: ignore[arg-type]


async def test_each_image_that_training_would_drop_is_named(
    persistence_stores: Stores, tmp_path: Path
) -> None:
    await make_shapes(persistence_stores)
    assert await problems_of(persistence_stores, tmp_path) == []
    labels_of(tmp_path, "train_001").write_text("0 2.5 0.5 0.2 0.2\n")
    labels_of(tmp_path, "train_002").write_text("0 0.5 0.5 0.2 0.2 0.9\n")
    image = tmp_path / "data" / "shapes" / "images" / "train" / "train_003.png"
    image.write_bytes(image.read_bytes()[:-200])
    problems = await problems_of(persistence_stores, tmp_path)
    assert {key for problem in problems for key in problem.images} == {
        ("train", f"train_00{number}.png") for number in (1, 2, 3)
    }
    assert all(problem.severity == WARNING for problem in problems)
    assert all("training leaves them out" in problem.text for problem in problems)
    assert not (tmp_path / "runs").exists()


async def test_a_split_of_which_nothing_would_be_left_is_an_error(
    persistence_stores: Stores, tmp_path: Path
) -> None:
    await make_shapes(persistence_stores, num_train=2, num_val=2)
    for image in (tmp_path / "data" / "shapes" / "images" / "train").iterdir():
        image.write_bytes(image.read_bytes()[:200])
    first, *_ = await problems_of(persistence_stores, tmp_path)
    assert first.severity == ERROR
    assert first.text.startswith("every labelled image of train is damaged")


async def test_looking_at_images_can_be_cancelled(
    persistence_stores: Stores, tmp_path: Path
) -> None:
    await make_shapes(persistence_stores)

    def cancel(done: int, total: int) -> None:
        raise InterruptedError(f"after {done} of {total}")

    runner = TrainingRunner(persistence_stores, tmp_path / "runs")
    with pytest.raises(InterruptedError, match="of 16"):
        await runner.start(TrainingConfig(**TINY), progress=cancel)
    assert not (tmp_path / "runs").exists()


# --- which version of the dataset it is


async def version_name(stores: Stores, version: str = "") -> str | None:
    found = await version_of(stores, TrainingConfig(dataset="shapes", version=version))
    return None if found is None else found.name


async def test_a_version_is_found_by_what_is_in_it(persistence_stores: Stores) -> None:
    stores = persistence_stores
    await make_shapes(stores, num_train=3, num_val=2)
    assert await version_name(stores) is None
    await stores.dataset.freeze("shapes", "v1")
    assert await version_name(stores) == "v1"
    await stores.dataset.freeze("shapes", "v1 again")
    assert await version_name(stores) == "v1 again"
    assert await version_name(stores, "v1") == "v1"
    await stores.label.save("shapes", "train", "train_000.png", [])
    assert await version_name(stores) is None
    assert await version_name(stores, "v1") == "v1"
    with pytest.raises(TrainingError, match="has no version 'v2': there are v1, v1 again"):
        await version_name(stores, "v2")


async def test_a_version_is_checked_as_it_was(persistence_stores: Stores, tmp_path: Path) -> None:
    stores = persistence_stores
    await make_shapes(stores)
    labels_of(tmp_path, "train_001").write_text("0 0.5 0.5 0.2 0.2 0.9\n")
    await stores.dataset.freeze("shapes", "damaged")
    labels_of(tmp_path, "train_001").write_text("")
    assert await problems_of(stores, tmp_path) == []
    [problem] = await problems_of(stores, tmp_path, version="damaged")
    assert problem.images == (("train", "train_001.png"),)
    await stores.dataset.freeze("shapes", "sound")
    assert await problems_of(stores, tmp_path, version="sound") == []
    assert not (tmp_path / "runs").exists()  # nothing was copied


async def test_a_run_trains_on_the_version_that_it_names(
    persistence_stores: Stores, tmp_path: Path
) -> None:
    stores = persistence_stores
    await make_shapes(stores, num_train=4, num_val=2)
    frozen = await stores.dataset.freeze("shapes", "v1")
    before = labels_of(tmp_path, "train_000").read_bytes()
    await stores.dataset.update_classes("shapes", [*CLASSES, "later"])
    await stores.label.save("shapes", "train", "train_000.png", [])
    await stores.image.delete("shapes", "train", "train_001.png")
    runner = TrainingRunner(stores, tmp_path / "runs")
    # Nothing needs to be learned: no such device.
    config = TrainingConfig(**{**TINY, "device": "none", "version": "v1"})
    run = await runner.start(config)
    await run.cancel()
    assert (run.job.dataset_version, run.job.version_digest) == ("v1", frozen.digest)
    assert run.job.class_names == CLASSES
    assert run.job.num_images == {"train": 4, "val": 2, "test": 0}
    assert (run.path / "data/labels/train/train_000.txt").read_bytes() == before
    assert len(list((run.path / "data/images/train").iterdir())) == 4
