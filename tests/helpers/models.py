"""A model that is half good, and labels that are half right, for tests of what shows mistakes.

After the two epochs of `trained_once` all confidences are the same, and no box is any good.
So the last layer is turned up, which spreads confidences and gives boxes of sensible size,
and labels are made of what the model then finds: some of it, moved, renamed or left out.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.helpers.training import CLASSES, Trained, shapes
from workbench.labelling.predictor import Predictor
from workbench.persistence import Stores
from workbench.persistence.models import Annotation, NewImage
from workbench.training.environment import import_ultralytics

SIDE = 64
NOTHING = Annotation(0, 0.5, 0.5, 0.98, 0.02)
"""A label that no model finds."""


def spread_weights(trained: Trained, path: Path, blind_to: int | None = None) -> Path:
    """Write weights that find boxes of many confidences, but none of the class `blind_to`."""
    import_ultralytics()
    import torch
    from ultralytics import YOLO

    yolo = YOLO(trained.run.path / "weights" / "best.pt")
    with torch.no_grad():
        head = yolo.model.model[-1]
        for classes, sides in zip(head.cv3, head.cv2, strict=True):
            classes[-1].weight *= 100
            classes[-1].bias += 5
            if blind_to is not None:
                classes[-1].bias[blind_to] -= 50
            sides[-1].bias.view(4, -1)[:, 1] += 6  # of 16 distances, in strides
    yolo.save(path)
    return path


async def add_model(stores: Stores, name: str, weights: Path) -> None:
    """Put weights into the store as a model of `make_found`'s dataset, and make it active."""
    metrics = {"best_map50": 0.5, "best_map50_95": 0.25, "precision": 0.6, "recall": 0.7}
    await stores.model.save(name, weights, "yolo11n.yaml", "found", 2, metrics, class_names=CLASSES)
    await stores.model.set_active(name)


async def make_found(stores: Stores, num_images: int = 16) -> None:
    """Make the dataset ``found`` out of what the active model finds on drawn shapes.

    Of the boxes on an image, the first is labelled as it was found, the second as the other
    class, the third moved aside, the fourth not at all, and so on.
    """
    frames = [image.content for image in shapes(num_images, 0, size=SIDE)]
    predictor = Predictor(stores, device="cpu")
    try:
        predicted = await predictor.predict_many(frames, 0.001)
    finally:
        predictor.close()
    images = []
    for number, (frame, found) in enumerate(zip(frames, predicted, strict=True)):
        assert isinstance(frame, np.ndarray)
        chosen = found[:: max(1, len(found) // 8)][:8]
        labels = [_labelled(place, box) for place, box in enumerate(chosen)]
        kept = [label for label in labels if label is not None]
        if number == 0:
            kept.append(NOTHING)
        images.append(NewImage(f"image_{number:02d}.png", "val", frame, kept))
    images.append(NewImage("train_00.png", "train", images[0].content, []))
    await stores.dataset.create_from("found", CLASSES, images)


def _labelled(place: int, box: Annotation) -> Annotation | None:
    turn = place % 4
    if turn == 3:
        return None
    if turn == 2:
        to_the_right = min(box.x + 0.35 * box.width, 1 - box.width / 2 + 0.2 * box.width)
        return Annotation(box.class_id, to_the_right, box.y, box.width, box.height)
    class_id = 1 - box.class_id if turn == 1 else box.class_id
    return Annotation(class_id, box.x, box.y, box.width, box.height)
