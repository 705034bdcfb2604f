"""Pictures of many kinds of things, to teach a detector what a thing is, before it sees real ones.

A picture has one to four kinds. Those of one kind look alike, as they do in real datasets: cells,
screws, berries, signs. A kind is a family of outlines (the class), with a colour, a size, a
filling and an edge of its own. Things touch and cover each other, stick out, are pale or sharp, and
lie among lines and specks that are none. The families say nothing about any real dataset; what is
to be learned is where a thing ends and the next begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from workbench.geometry import to_normalised
from workbench.persistence.models import Annotation

Floats = npt.NDArray[np.float32]
Frame = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]
Rng = np.random.Generator

_FINER = 4
"""Outlines are drawn so many times larger, and scaled down, for soft edges."""
_LEAST_SEEN = 0.3
_MOST_THINGS = 48


def _round(rng: Rng) -> Points:
    return _polar(np.ones(48))


def _oval(rng: Rng) -> Points:
    return _polar(np.ones(48)) * [1.0, rng.uniform(0.4, 0.85)]


def _lump(rng: Rng) -> Points:
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    radius = np.ones(64)
    for wave in range(2, 7):
        radius += rng.uniform(0, 0.5) / wave * np.cos(wave * angles + rng.uniform(0, 2 * np.pi))
    return _polar(radius) * [1.0, rng.uniform(0.6, 1.0)]


def _box(rng: Rng) -> Points:
    half = rng.uniform(0.45, 1.0)
    return np.array([[-1, -half], [1, -half], [1, half], [-1, half]])


def _polygon(rng: Rng) -> Points:
    return _polar(rng.uniform(0.85, 1.0, int(rng.choice([3, 5, 6]))))


def _star(rng: Rng) -> Points:
    tips = int(rng.integers(4, 9))
    radius = np.ones(2 * tips)
    radius[::2] = rng.uniform(0.35, 0.6)
    return _polar(radius)


def _rod(rng: Rng) -> Points:
    half = rng.uniform(0.1, 0.25)
    ends = _polar(np.ones(24)) * half
    right, left = np.roll(ends, 6, axis=0)[:12], np.roll(ends, 6, axis=0)[12:]
    reach = np.array([1 - half, 0])
    return np.concatenate([right + reach, left - reach])


def _crescent(rng: Rng) -> Points:
    angles = np.linspace(-2.0, 2.0, 24)
    outer = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    inner = outer[::-1] * rng.uniform(0.5, 0.75) + [rng.uniform(0.1, 0.25), 0]
    return np.concatenate([outer, inner])


FAMILIES: dict[str, Callable[[Rng], Points]] = {
    "round": _round,
    "oval": _oval,
    "lump": _lump,
    "box": _box,
    "polygon": _polygon,
    "star": _star,
    "rod": _rod,
    "crescent": _crescent,
}
"""Outlines within about one unit of the middle, by the name of their class."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What things of one kind have in common."""

    family: str
    outline: Points
    radius: float
    spread: float
    colour: Floats
    inside: Floats
    rim: float
    rim_width: float
    inner: float
    grain: float
    opacity: float
    lit: float


def scenes(count: int, *, seed: int = 0) -> Iterator[tuple[Frame, list[Annotation]]]:
    """Yield pictures (BGR) with the boxes of what is on them; class ids of `FAMILIES`."""
    for child in np.random.SeedSequence(seed).spawn(count):
        yield _scene(np.random.default_rng(child))


def _scene(rng: Rng) -> tuple[Frame, list[Annotation]]:
    width, height = (int(side) for side in rng.choice([192, 224, 256], 2))
    canvas = _ground(rng, width, height)
    ground = canvas.mean(axis=(0, 1))
    _clutter(rng, canvas)
    kinds = [_kind(rng, ground, min(width, height)) for _ in range(int(rng.integers(1, 5)))]
    owner = np.full((height, width), -1, dtype=np.int32)
    things: list[tuple[int, tuple[int, int, int, int], int]] = []
    for kind, count in _crowd(rng, kinds, width * height):
        centre = rng.uniform([0, 0], [width, height])
        huddle = rng.uniform() < 0.3
        for _ in range(count):
            where = centre + rng.normal(0, kind.radius * 2.5, 2) if huddle else None
            where = rng.uniform([0, 0], [width, height]) if where is None else where
            _put(rng, canvas, owner, kind, where, things)
    frame = _seen(rng, canvas)
    names = list(FAMILIES)
    boxes = []
    for place, (family, box, area) in enumerate(things):
        if np.count_nonzero(owner == place) >= _LEAST_SEEN * area:
            boxes.append((family, box))
    xywh = to_normalised(np.array([b for _, b in boxes], dtype=float).reshape(-1, 4), width, height)
    assert all(family < len(names) for family, _ in boxes)
    return frame, [
        Annotation(family, *row) for (family, _), row in zip(boxes, xywh.tolist(), strict=True)
    ]


def _polar(radius: npt.NDArray[np.floating]) -> Points:
    angles = np.linspace(0, 2 * np.pi, len(radius), endpoint=False)
    return np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)


def _colour(rng: Rng) -> Floats:
    hsv = np.array([[[rng.uniform(0, 180), rng.uniform(0, 1) ** 1.5 * 255, rng.uniform(20, 255)]]])
    return np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2BGR)[0, 0], np.float32)


def _clouds(rng: Rng, width: int, height: int) -> Floats:
    """Return relief of several sizes, -1..1 about."""
    relief = np.zeros((height, width), np.float32)
    for cells in (2, 5, 14, 40):
        if rng.uniform() < 0.6:
            coarse = rng.uniform(-1, 1, (cells, cells)).astype(np.float32)
            relief += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) / 2
    return relief


def _ground(rng: Rng, width: int, height: int) -> Floats:
    relief = _clouds(rng, width, height) * rng.uniform(0, 45)
    if rng.uniform() < 0.2:
        x, y = np.meshgrid(np.arange(width), np.arange(height))
        angle, waves = rng.uniform(0, np.pi), rng.uniform(0.05, 0.6)
        stripes = np.sin(waves * (x * np.cos(angle) + y * np.sin(angle)))
        relief += (np.sign(stripes) if rng.uniform() < 0.3 else stripes) * rng.uniform(5, 30)
    tint = _colour(rng) / 255 * rng.uniform(0, 1) + rng.uniform(0.3, 1)
    return np.asarray(_colour(rng) + relief[..., None] * tint, np.float32)


def _clutter(rng: Rng, canvas: Floats) -> None:
    height, width = canvas.shape[:2]
    for _ in range(int(rng.integers(0, 6)) if rng.uniform() < 0.5 else 0):
        begin, end = rng.uniform(-40, [width + 40, height + 40], (2, 2)).astype(int).tolist()
        colour, thick = _colour(rng).tolist(), int(rng.integers(1, 4))
        cv2.line(canvas, begin, end, colour, thick, cv2.LINE_AA)
    for _ in range(int(rng.integers(0, 40)) if rng.uniform() < 0.4 else 0):
        at = rng.uniform(0, [width, height]).astype(int).tolist()
        cv2.circle(canvas, at, int(rng.integers(0, 3)), _colour(rng).tolist(), -1, cv2.LINE_AA)


def _kind(rng: Rng, ground: Floats, side: int) -> Kind:
    family = str(rng.choice(list(FAMILIES)))
    # As different from the ground as real things are: some stand out, some hardly do.
    own = _colour(rng)
    colour = ground + (own - ground) * rng.choice([0.25, 0.5, 1.0, 1.0])
    inside = colour + (_colour(rng) - colour) * (rng.uniform(0, 1) if rng.uniform() < 0.4 else 0)
    return Kind(
        family,
        FAMILIES[family](rng),
        float(np.exp(rng.uniform(np.log(7), np.log(0.3 * side)))),
        rng.uniform(0.02, 0.3),
        np.asarray(colour, np.float32),
        np.asarray(inside, np.float32),
        rng.uniform(-90, 90) if rng.uniform() < 0.5 else 0.0,
        rng.uniform(0.06, 0.5),
        rng.uniform(0.2, 0.75) if rng.uniform() < 0.4 else 0.0,
        rng.uniform(0, 40) if rng.uniform() < 0.4 else 0.0,
        rng.uniform(0.5, 1) if rng.uniform() < 0.4 else 1.0,
        rng.uniform(0, 40) if rng.uniform() < 0.4 else 0.0,
    )


def _crowd(rng: Rng, kinds: list[Kind], area: int) -> list[tuple[Kind, int]]:
    """Return how many of each kind there are: a share of the picture's area is covered."""
    counts = []
    left = _MOST_THINGS
    for kind in kinds:
        cover = rng.uniform(0.02, 0.45) * area / len(kinds)
        count = int(np.clip(cover / (2.2 * kind.radius**2), 1, left))
        counts.append((kind, count))
        left = max(left - count, 1)
    return counts


def _put(
    rng: Rng,
    canvas: Floats,
    owner: npt.NDArray[np.int32],
    kind: Kind,
    where: Points,
    things: list[tuple[int, tuple[int, int, int, int], int]],
) -> None:
    """Draw a thing, and note its class, its box within the picture, and its pixels."""
    height, width = owner.shape
    radius = kind.radius * float(np.exp(rng.normal(0, kind.spread)))
    turn = rng.uniform(0, 2 * np.pi)
    cosine, sine = np.cos(turn), np.sin(turn)
    outline = kind.outline * (1 + rng.normal(0, 0.03, (len(kind.outline), 1)))
    points = outline @ np.array([[cosine, sine], [-sine, cosine]]) * radius
    reach = int(np.ceil(np.abs(points).max())) + 3
    side = 2 * reach + 1
    left, top = int(where[0]) - reach, int(where[1]) - reach
    inner = (
        slice(max(-top, 0), min(height - top, side)),
        slice(max(-left, 0), min(width - left, side)),
    )
    if inner[0].start >= inner[0].stop or inner[1].start >= inner[1].stop:
        return
    fine = np.zeros((side * _FINER, side * _FINER), np.uint8)
    cv2.fillPoly(fine, [np.rint((points + reach + 0.5) * _FINER).astype(np.int32)], 255)
    mask: Frame = np.asarray(cv2.resize(fine, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    covers = mask[inner] > 127
    whole = int(np.count_nonzero(mask > 127))
    rows, columns = np.nonzero(covers)
    if len(rows) < max(_LEAST_SEEN * whole, 12):
        return
    window = (
        slice(top + inner[0].start, top + inner[0].stop),
        slice(left + inner[1].start, left + inner[1].stop),
    )
    alpha = mask[inner][..., None].astype(np.float32) / 255 * kind.opacity
    canvas[window] += (_filled(rng, kind, mask, radius)[inner] - canvas[window]) * alpha
    owner[window][covers] = len(things)
    x, y = window[1].start, window[0].start
    box = (
        int(x + columns.min()), int(y + rows.min()),
        int(x + columns.max() + 1), int(y + rows.max() + 1),
    )  # fmt: skip
    things.append((list(FAMILIES).index(kind.family), box, whole))


def _filled(rng: Rng, kind: Kind, mask: Frame, radius: float) -> Floats:
    """Return the colours of a thing: its filling, its rim, light from a side, and grain."""
    side = mask.shape[0]
    fill = np.empty((side, side, 3), np.float32)
    fill[:] = kind.colour + rng.normal(0, 6, 3)
    depth = cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 3) / max(radius, 1)
    if kind.inner:
        share = np.clip((depth - (1 - kind.inner) * depth.max()) * radius / 2 + 0.5, 0, 1)
        fill += (kind.inside - fill) * share[..., None]
    if kind.rim:
        fill += kind.rim * np.clip(1 - depth / kind.rim_width, 0, 1)[..., None]
    if kind.lit:
        slope = np.linspace(-1, 1, side, dtype=np.float32)
        fill += kind.lit * (slope[:, None] + slope[None, :])[..., None] / 2
    if kind.grain:
        cells = max(side // 4, 2)
        grain = rng.normal(0, kind.grain, (cells, cells)).astype(np.float32)
        fill += cv2.resize(grain, (side, side), interpolation=cv2.INTER_LINEAR)[..., None]
    return fill


def _seen(rng: Rng, canvas: Floats) -> Frame:
    """Return what a camera makes of it: uneven light, blur, noise, and no colour now and then."""
    height, width = canvas.shape[:2]
    light = 1 + _clouds(rng, width, height) * rng.uniform(0, 0.2)
    lit = canvas * light[..., None]
    if rng.uniform() < 0.5:
        lit = np.asarray(cv2.GaussianBlur(lit, (0, 0), rng.uniform(0.3, 1.6)), np.float32)
    noisy = lit + rng.normal(0, rng.uniform(0, 9), lit.shape)
    frame = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    if rng.uniform() < 0.1:
        grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)
    return frame
