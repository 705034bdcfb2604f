"""Pictures of what a model finds while it is trained, drawn on a few images of val."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8]

NUM_SAMPLES = 4
_LONGEST_SIDE = 320
_CONFIDENCE = 0.25
_MOST_BOXES = 50
_WHITE = (255, 255, 255)
_QUALITY = 80
_TEXT_SCALE = 0.4
# Colours that stay apart for people who do not see red and green; BGR. After Okabe and Ito.
_COLOURS = (
    (0, 159, 230),
    (233, 180, 86),
    (115, 158, 0),
    (66, 228, 240),
    (178, 114, 0),
    (0, 94, 213),
    (167, 121, 204),
)


def draw_samples(trainer: Any) -> Iterator[tuple[str, bytes]]:
    """Yield name and JPEG of a few images of val with the boxes that the model finds now.

    Parameters
    ----------
    trainer : ultralytics.engine.trainer.BaseTrainer
        Right after a validation: the averaged model is ready to predict, and the validator
        knows how to read its answers.
    """
    import torch

    dataset, model, validator = trainer.test_loader.dataset, trainer.ema.ema, trainer.validator
    steps = max(len(dataset) // NUM_SAMPLES, 1)
    model.eval()
    for index in range(0, min(len(dataset), steps * NUM_SAMPLES), steps):
        item = dataset[index]
        # Not inference mode: its tensors could not be updated by the next epoch.
        with torch.no_grad():
            pixels = item["img"][None].to(trainer.device).float() / 255
            [found] = validator.postprocess(model(pixels))
        frame = _frame(item["img"])
        height, width = frame.shape[:2]
        scale = min(_LONGEST_SIDE / max(height, width), 1.0)
        truth = item["bboxes"].cpu().numpy() * np.array([width, height, width, height])
        centre, half = truth[:, :2], truth[:, 2:4] / 2
        chosen = (found["conf"] > _CONFIDENCE).nonzero().flatten()[:_MOST_BOXES]
        yield (
            Path(item["im_file"]).stem,
            draw(
                frame,
                scale,
                np.hstack([centre - half, centre + half]),
                found["bboxes"][chosen].cpu().numpy(),
                found["cls"][chosen].cpu().numpy().astype(np.int64),
                found["conf"][chosen].cpu().numpy(),
                trainer.data["names"],
            ),
        )


def draw(
    frame: Frame,
    scale: float,
    truth: npt.NDArray[np.floating],
    boxes: npt.NDArray[np.floating],
    class_ids: npt.NDArray[np.int64],
    confidences: npt.NDArray[np.floating],
    names: dict[int, str],
) -> bytes:
    """Return a small JPEG with boxes.

    Parameters
    ----------
    frame : ndarray of uint8, shape (height, width, 3)
        BGR.
    scale : float
        Pixels of the result for one of `frame`.
    truth, boxes : ndarray, shape (n, 4)
        Pixel xyxy in `frame`: what is labelled, in white, and what was found, in the
        colour of its class.
    class_ids, confidences : ndarray, shape (n,)
        Of what was found.
    names : dict of int to str
        The classes.
    """
    import cv2

    canvas = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    for box in np.round(truth * scale).astype(int).tolist():
        cv2.rectangle(canvas, (box[0], box[1]), (box[2], box[3]), _WHITE, 1)
    answers = zip(np.round(boxes * scale).astype(int).tolist(), class_ids, confidences, strict=True)
    for box, class_id, confidence in answers:
        colour = _COLOURS[int(class_id) % len(_COLOURS)]
        cv2.rectangle(canvas, (box[0], box[1]), (box[2], box[3]), colour, 2)
        text = f"{_ascii(names[int(class_id)])} {confidence:.2f}"
        (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, _TEXT_SCALE, 1)
        left, bottom = box[0], max(box[1], height + below)
        cv2.rectangle(canvas, (left, bottom - height - below), (left + width, bottom), colour, -1)
        place = (left, bottom - below)
        cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, _TEXT_SCALE, (0, 0, 0), 1)
    _, data = cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return data.tobytes()


def _frame(pixels: Any) -> Frame:
    # Ultralytics holds RGB, channels first; OpenCV draws on BGR, channels last.
    return np.ascontiguousarray(pixels.numpy()[::-1].transpose(1, 2, 0))


def _ascii(name: str) -> str:
    return name.encode("ascii", "replace").decode()  # OpenCV's fonts have no other letters
