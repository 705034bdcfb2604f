"""What is around the shapes: a textured background, light that falls unevenly, and noise."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Frame = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """Background, light and noise of a scene.

    Parameters
    ----------
    background : ndarray of float64, shape (height, width, 3)
        BGR, 0..255, before light and noise.
    direction : float
        Where the light comes from, in radians.
    contrast : float
        How much brighter than the middle the bright side is: 0.2 is a fifth.
    noise : float
        Standard deviation of the noise, in grey levels.
    """

    background: Floats
    direction: float
    contrast: float
    noise: float

    @classmethod
    def random(cls, rng: np.random.Generator, width: int, height: int) -> Surroundings:
        """Return surroundings that `rng` picks."""
        return cls(
            background=_texture(rng, width, height),
            direction=rng.uniform(0, 2 * np.pi),
            contrast=rng.uniform(0.05, 0.4),
            noise=rng.uniform(2.0, 8.0),
        )

    def lit(self, colours: Floats, rng: np.random.Generator, turn: float = 0.0) -> Frame:
        """Return a picture as a camera would see it: lit, noisy, and in whole grey levels.

        Parameters
        ----------
        colours : ndarray of float64, shape (height, width, 3)
            BGR, 0..255.
        rng : Generator
            Makes the noise.
        turn : float
            Radians by which the light's direction is turned.
        """
        height, width = colours.shape[:2]
        x = np.linspace(-1.0, 1.0, width)
        y = np.linspace(-1.0, 1.0, height)[:, np.newaxis]
        angle = self.direction + turn
        slope = (x * np.cos(angle) + y * np.sin(angle)) / np.sqrt(2.0)
        light = (1.0 + self.contrast * slope)[..., np.newaxis]
        noise = rng.normal(0.0, self.noise, colours.shape)
        levels = np.clip(np.rint(colours * light + noise), 0, 255)
        return np.asarray(levels, dtype=np.uint8)


def random_colour(
    rng: np.random.Generator,
    saturation: tuple[float, float],
    value: tuple[float, float],
    hue: tuple[float, float] = (0.0, 1.0),
) -> tuple[float, float, float]:
    """Return a random colour, BGR 0..255; hue, saturation and value are from ranges in 0..1."""
    red, green, blue = colorsys.hsv_to_rgb(
        rng.uniform(*hue) % 1.0, rng.uniform(*saturation), rng.uniform(*value)
    )
    return blue * 255, green * 255, red * 255


def _texture(rng: np.random.Generator, width: int, height: int) -> Floats:
    """Return a muted colour with clouds of several sizes and, now and then, stripes."""
    base = np.array(random_colour(rng, saturation=(0.0, 0.25), value=(0.35, 0.7)))
    tint = np.array(random_colour(rng, saturation=(0.0, 0.3), value=(0.8, 1.0))) / 255
    relief = np.zeros((height, width))
    for cells, strength in ((3, 26.0), (8, 14.0), (24, 8.0)):
        coarse = rng.uniform(-1.0, 1.0, (cells, cells))
        relief += strength * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    if rng.uniform() < 0.35:
        relief += _stripes(rng, width, height)
    return np.asarray(base + relief[..., np.newaxis] * tint)


def _stripes(rng: np.random.Generator, width: int, height: int) -> Floats:
    angle = rng.uniform(0, np.pi)
    waves = rng.uniform(5, 14) * 2 * np.pi / min(width, height)
    x, y = np.arange(width), np.arange(height)[:, np.newaxis]
    return np.asarray(
        rng.uniform(5.0, 12.0) * np.sin(waves * (x * np.cos(angle) + y * np.sin(angle)))
    )
