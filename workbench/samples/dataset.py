"""A small dataset of generated scenes, to try everything on."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.persistence import DataStores
from workbench.persistence.models import DatasetInfo, NewImage, Progress, no_progress
from workbench.samples.scenes import CLASSES, checked_size, scenes

_VAL_SHARE, _TEST_SHARE = 0.2, 0.1


async def create_shapes(
    stores: DataStores,
    name: str = "shapes",
    *,
    num_images: int = 200,
    image_size: int | tuple[int, int] = 160,
    seed: int = 0,
    unlabelled: int = 0,
    progress: Progress = no_progress,
) -> DatasetInfo:
    """Make a dataset of coloured circles, squares and triangles, all of it or nothing.

    70 % of the images are for training, 20 % for validation, 10 % for testing; each is the
    same in every dataset with this seed and image size.

    Parameters
    ----------
    stores : DataStores
    name : str
        Of the dataset to make.
    num_images : int
        At least 2, one to train on and one to validate on.
    image_size : int or (int, int)
        Side of a square, or width and height, in pixels.
    seed : int
        Not negative.
    unlabelled : int
        So many training images, the first ones by name, get no labels: something to annotate.
    progress : callable
        Told ``(done, total)`` after each image.

    Raises
    ------
    ValueError
        If a number cannot be; if the name is taken or is none
        (`AlreadyExistsError`, `InvalidNameError`).
    """
    checked_size(image_size)
    counts = _split_counts(num_images)
    if not 0 <= unlabelled <= counts["train"]:
        raise ValueError(
            f"unlabelled: expected 0 to {counts['train']}, the number of training images, "
            f"found {unlabelled}"
        )

    def images() -> Iterator[NewImage]:
        splits = [split for split, count in counts.items() for _ in range(count)]
        pairs = zip(splits, scenes(num_images, image_size=image_size, seed=seed), strict=True)
        for index, (split, scene) in enumerate(pairs):
            labels = None if index < unlabelled else scene.annotations
            yield NewImage(f"shapes_{index:05d}.jpg", split, scene.frame, labels)

    return await stores.dataset.create_from(
        name, CLASSES, images(), progress=progress, total=num_images
    )


def _split_counts(num_images: int) -> dict[str, int]:
    if num_images < 2:
        raise ValueError(
            f"num_images: expected at least 2, one to train on and one to validate on, "
            f"found {num_images}"
        )
    val = max(1, round(num_images * _VAL_SHARE))
    test = int(num_images * _TEST_SHARE)
    return {"train": num_images - val - test, "val": val, "test": test}
