"""Scenes of coloured shapes with their exact boxes, as an endless source of labelled images.

Circles, squares and triangles of any rotation lie on textured backgrounds, cover each other
in part and stick out of the image. Bars and crosses belong to no class, so that a detector
has something to tell apart. A lighting gradient and sensor noise come on top.

Everything is pure: the same arguments give the same pixels with the same version of numpy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from workbench.geometry import to_normalised
from workbench.persistence.models import Annotation
from workbench.samples.shapes import DISTRACTORS, SHAPES, Sprite, draw
from workbench.samples.surroundings import Surroundings, random_colour

CLASSES: tuple[str, ...] = tuple(SHAPES)
"""Class names of all samples; the position is the class id."""

Frame = npt.NDArray[np.uint8]

SMALLEST_SIDE = 32
LEAST_VISIBLE = 0.4
"""Share of an object that must be seen for it to count as being there."""

# Each class has a family of colours, broad and next to its neighbours', so that a small
# detector learns something in minutes; distractors are of any colour, so that colour alone
# does not do.
_HUES: dict[str, tuple[float, float]] = {
    "circle": (-0.06, 0.16),  # red to yellow
    "square": (0.24, 0.48),  # green to cyan
    "triangle": (0.56, 0.80),  # blue to violet
}

_STILL, _MOVING = 0, 1  # so that a video and a dataset of one seed do not look alike
_EMPTY_EVERY = 25  # one image in so many has nothing to find: detectors need those, too


class Scene(NamedTuple):
    """One image with what is on it.

    Parameters
    ----------
    frame : ndarray of uint8, shape (height, width, 3)
        BGR.
    annotations : list of Annotation
        The smallest box around the visible pixels of each object; class ids of `CLASSES`.
    """

    frame: Frame
    annotations: list[Annotation]


@dataclass(frozen=True, slots=True)
class _Moving:
    """A sprite with its velocity in pixels and its spin in radians, both per second."""

    sprite: Sprite
    velocity: tuple[float, float]
    spin: float

    def at(self, seconds: float, width: int, height: int) -> Sprite:
        return replace(
            self.sprite,
            x=_bounce(self.sprite.x + self.velocity[0] * seconds, self.sprite.radius, width),
            y=_bounce(self.sprite.y + self.velocity[1] * seconds, self.sprite.radius, height),
            angle=self.sprite.angle + self.spin * seconds,
        )


def scenes(
    count: int, *, image_size: int | tuple[int, int] = 160, seed: int = 0
) -> Iterator[Scene]:
    """Yield images that have nothing to do with each other.

    Parameters
    ----------
    count : int
    image_size : int or (int, int)
        Side of a square, or width and height, in pixels; at least 32.
    seed : int
        Not negative. Image ``i`` depends on it and on ``i`` only, not on `count`.

    Raises
    ------
    ValueError
        If `image_size` is too small.
    """
    width, height = checked_size(image_size)
    for index in range(count):
        rng = np.random.default_rng([seed, _STILL, index])
        surroundings = Surroundings.random(rng, width, height)
        empty = index % _EMPTY_EVERY == _EMPTY_EVERY - 1
        shapes = [] if empty else rng.choice(CLASSES, rng.integers(1, 5)).tolist()
        sprites = _random_sprites(rng, width, height, shapes)
        yield _still(sprites, surroundings, rng)


def moving_scenes(
    count: int,
    *,
    fps: float = 15.0,
    image_size: int | tuple[int, int] = (320, 240),
    seed: int = 0,
) -> Iterator[Scene]:
    """Yield the frames of one shot in which shapes drift, turn and bounce off the borders.

    An object that is mostly hidden behind another has no box until it comes out again.

    Parameters
    ----------
    count : int
        Number of frames.
    fps : float
        Frames per second, which sets how far things move from frame to frame.
    image_size : int or (int, int)
        Side of a square, or width and height, in pixels; at least 32.
    seed : int
        Not negative.

    Raises
    ------
    ValueError
        If `image_size` is too small or `fps` is not positive.
    """
    width, height = checked_size(image_size)
    if not fps > 0:
        raise ValueError(f"fps: expected a number above 0, found {fps}")
    rng = np.random.default_rng([seed, _MOVING])
    surroundings = Surroundings.random(rng, width, height)
    things = _random_cast(rng, surroundings)
    for index in range(count):
        sprites = [thing.at(index / fps, width, height) for thing in things]
        picture = draw(sprites, surroundings.background)
        # A quarter of a turn of the light in ten seconds, as if a cloud came by.
        frame = surroundings.lit(picture.colours, rng, turn=np.pi / 20 * index / fps)
        yield Scene(frame, _annotations(sprites, picture.boxes, picture.visible, width, height))


def checked_size(image_size: int | tuple[int, int]) -> tuple[int, int]:
    """Return width and height in pixels, or raise ``ValueError`` if they are too small."""
    width, height = (image_size, image_size) if isinstance(image_size, int) else image_size
    if min(width, height) < SMALLEST_SIDE:
        raise ValueError(
            f"image_size: expected at least {SMALLEST_SIDE} pixels, found {width} x {height}"
        )
    return width, height


def _still(sprites: list[Sprite], surroundings: Surroundings, rng: np.random.Generator) -> Scene:
    height, width = surroundings.background.shape[:2]
    picture = draw(sprites, surroundings.background)
    # Something that nobody could name should not be on the picture at all. Taking one away
    # shows more of the others, so this ends after at most as many rounds as there are sprites.
    while hidden := [
        i for i, share in enumerate(picture.visible) if sprites[i].is_object and _hidden(share)
    ]:
        del sprites[min(hidden, key=lambda i: picture.visible[i])]
        picture = draw(sprites, surroundings.background)
    frame = surroundings.lit(picture.colours, rng)
    return Scene(frame, _annotations(sprites, picture.boxes, picture.visible, width, height))


def _hidden(visible: float) -> bool:
    return visible < LEAST_VISIBLE


def _annotations(
    sprites: list[Sprite],
    boxes: list[tuple[int, int, int, int]],
    visible: list[float],
    width: int,
    height: int,
) -> list[Annotation]:
    return [
        Annotation(CLASSES.index(sprite.kind), *to_normalised(box, width, height)[0].tolist())
        for sprite, box, share in zip(sprites, boxes, visible, strict=True)
        if sprite.is_object and not _hidden(share)
    ]


def _random_sprites(
    rng: np.random.Generator, width: int, height: int, shapes: list[str]
) -> list[Sprite]:
    """Return objects and some distractors in random order; the last one lies on top."""
    distractors = rng.choice(tuple(DISTRACTORS), rng.integers(0, 3)).tolist()
    kinds = rng.permutation([*shapes, *distractors]).tolist()
    return [_random_sprite(rng, kind, width, height) for kind in kinds]


def _random_cast(rng: np.random.Generator, surroundings: Surroundings) -> list[_Moving]:
    """Return what is on a shot: an object of each class and one more, none hidden at first."""
    height, width = surroundings.background.shape[:2]
    while True:
        shapes = [*CLASSES, str(rng.choice(CLASSES))]
        things = [
            _Moving(sprite, _random_velocity(rng, width, height), rng.uniform(-0.8, 0.8))
            for sprite in _random_sprites(rng, width, height, shapes)
        ]
        beginning = [thing.at(0.0, width, height) for thing in things]
        if not any(map(_hidden, draw(beginning, surroundings.background).visible)):
            return things


def _random_sprite(rng: np.random.Generator, kind: str, width: int, height: int) -> Sprite:
    return Sprite(
        kind=kind,
        x=rng.uniform(0.06, 0.94) * width,
        y=rng.uniform(0.06, 0.94) * height,
        radius=rng.uniform(0.13, 0.24) * min(width, height),
        angle=rng.uniform(0, 2 * np.pi),
        colour=random_colour(rng, (0.5, 0.95), (0.5, 1.0), _HUES.get(kind, (0.0, 1.0))),
    )


def _random_velocity(rng: np.random.Generator, width: int, height: int) -> tuple[float, float]:
    speed = rng.uniform(0.08, 0.25) * min(width, height)
    direction = rng.uniform(0, 2 * np.pi)
    return speed * np.cos(direction), speed * np.sin(direction)


def _bounce(position: float, margin: float, length: float) -> float:
    """Fold a straight way back into the image, as a ball between two walls moves.

    The two margins, together less than half of the image, keep things from spending much
    of their time half outside.
    """
    room = length - 2 * margin
    return margin + room - abs((position - margin) % (2 * room) - room)
