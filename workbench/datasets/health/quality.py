"""Pictures that are blurred, dark or overexposed beside the others of the dataset.

All bounds are relative to the dataset: fluorescence images are dark and scans are white by
nature, and a finding that names every image helps nobody.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from workbench.datasets.changes import counted
from workbench.datasets.health.evidence import Evidence
from workbench.datasets.health.findings import Finding

_FEWEST = 10  # images from which there is something to be relative to
_BLURRED = 2.7  # times less sharp than the median, at least
_DEVIATIONS = 3.5
_DARK_MEAN, _DARK_HIGHLIGHT, _DARK_SHARE = 40.0, 90.0, 0.4
_WHITE, _MORE_WHITE = 0.4, 0.3  # share of pixels at 250 or above


def check(evidence: Evidence) -> Iterator[Finding]:
    """Find pictures on which there is little to see."""
    facts, good = evidence.facts, evidence.good
    if good.sum() < _FEWEST:
        return
    mean, white = facts["mean"], facts["white"]
    dark = good & (mean < _DARK_MEAN) & (facts["highlight"] < _DARK_HIGHLIGHT)
    dark &= mean < _DARK_SHARE * np.median(mean[good])
    bright = good & (white > _WHITE) & (white > np.median(white[good]) + _MORE_WHITE)
    sharpness = np.log(np.maximum(facts["sharpness"], 1e-9))
    usual = np.median(sharpness[good])
    spread = 1.4826 * np.median(np.abs(sharpness[good] - usual))
    blurred = good & (sharpness < usual - max(np.log(_BLURRED), _DEVIATIONS * spread))
    for kind, chosen, what, why in (
        (
            "blurred",
            blurred & ~dark & ~bright,
            "far less sharp than the others",
            "Edges of things cannot be told, so their boxes are guesses.",
        ),
        (
            "dark",
            dark,
            "nearly black",
            "Nothing can be seen that could be labelled or learnt.",
        ),
        (
            "overexposed",
            bright,
            "burnt out to white",
            "What was there is lost in the white, and a missing label is no proof of nothing.",
        ),
    ):
        images = evidence.choose(chosen)
        if images:
            yield Finding(
                kind,
                f"{counted(len(images), 'image')} {what}",
                why,
                images,
                repairs=[evidence.repairs.trash_images("Move to the trash", images)],
            )
