"""Generated scenes as a feed: a camera for tours, notebooks and tests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from workbench.capture.feed import Feed
from workbench.capture.frames import Frame, Pause
from workbench.samples.scenes import checked_size, moving_scenes

_ENDLESS = 2**31


class GeneratedFeed(Feed):
    """Shapes that drift over a background, see `workbench.samples.scenes.moving_scenes`.

    Parameters
    ----------
    image_size : int or (int, int)
        Side of a square, or width and height, in pixels.
    fps : float
    count : int or None
        Number of frames; None: endless.
    seed : int
    realtime : bool
        Whether frames come at `fps` and are dropped where nobody takes them, as a camera's
        are; or as fast as they are taken, and none is lost.
    """

    def __init__(
        self,
        *,
        image_size: int | tuple[int, int] = (320, 240),
        fps: float = 15.0,
        count: int | None = None,
        seed: int = 0,
        realtime: bool = True,
    ) -> None:
        size = checked_size(image_size)
        if not fps > 0:
            raise ValueError(f"fps: expected a number above 0, found {fps}")
        super().__init__(
            partial(_frames, size, fps, _ENDLESS if count is None else count, seed, realtime),
            name="generated scenes",
            patient=not realtime,
            stall_after=None,
        )


def _frames(
    size: tuple[int, int], fps: float, count: int, seed: int, realtime: bool
) -> Iterator[Frame | Pause]:
    started = time.time()
    scenes = moving_scenes(count, fps=fps, image_size=size, seed=seed)
    for number, scene in enumerate(scenes):
        due = started + number / fps
        if realtime and (wait := due - time.time()) > 0:
            yield Pause(wait)
        yield Frame(scene.frame, due, number)
