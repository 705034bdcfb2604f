"""Pictures that occur more than once, within a split or, worse, across splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from workbench.datasets.changes import counted
from workbench.datasets.health.evidence import Evidence
from workbench.datasets.health.findings import Finding, Repair
from workbench.datasets.similarity import Positions
from workbench.persistence.models import SPLITS, ImageKey, ImageMove

Groups = list[list[ImageKey]]

_ACROSS = "Validation on a picture that was trained on measures memory, not skill: "


def check(evidence: Evidence) -> Iterator[Finding]:
    """Find exact and near-duplicate images within and across splits."""
    content = evidence.facts["content"]
    exact = _keys(evidence, evidence.duplicates.exact)
    # A group of nothing but copies of one file is told of as that.
    near = _keys(
        evidence, [g for g in evidence.duplicates.near if len(set(content[g].tolist())) > 1]
    )
    groups = [g for g in exact if _across(g)]
    if groups:
        yield _finding(
            "exact-leak",
            groups,
            "picture",
            "stored in more than one split",
            f"{_ACROSS}the metrics of this dataset cannot be trusted.",
            [_keep_one(evidence, groups)],
        )
    groups = [g for g in near if _across(g)]
    if groups:
        yield _finding(
            "near-leak",
            groups,
            "group",
            "of images that look alike, in more than one split",
            f"{_ACROSS}frames of one video or edits of one photo belong in one split.",
            [_into_one_split(evidence, groups)],
        )
    groups = [g for g in exact if not _across(g)]
    if groups:
        yield _finding(
            "exact-duplicates",
            groups,
            "picture",
            "stored more than once within a split",
            "A copy adds nothing but weight; if the copies' labels differ, one is wrong.",
            [_keep_one(evidence, groups)],
        )
    groups = [g for g in near if not _across(g)]
    if groups:
        yield _finding(
            "near-duplicates",
            groups,
            "group",
            "of images that look alike, within a split",
            "Many versions of one picture teach little and count much; frames of a video are so.",
            [],
        )


def _keys(evidence: Evidence, groups: list[Positions]) -> Groups:
    return [[evidence.keys[position] for position in group.tolist()] for group in groups]


def _across(group: list[ImageKey]) -> bool:
    return len({split for split, _ in group}) > 1


def _finding(
    kind: str, groups: Groups, unit: str, what: str, why: str, repairs: list[Repair]
) -> Finding:
    images = [key for group in groups for key in group]
    return Finding(
        kind,
        f"{counted(len(groups), unit)} {what} ({counted(len(images), 'image')})",
        why,
        images,
        repairs=repairs,
        details=[", ".join(map("/".join, group)) for group in groups],
        groups=groups,
    )


def _keep_one(evidence: Evidence, groups: Groups) -> Repair:
    """Offer to keep, of each group, the image with the most boxes; train before val and test."""
    boxes = dict(zip(evidence.label_keys, evidence.labels.boxes_per_image().tolist(), strict=True))
    labelled = dict(zip(evidence.label_keys, evidence.labels.labelled.tolist(), strict=True))

    def worth(key: ImageKey) -> tuple[bool, int, int, str]:
        return (not labelled.get(key), -boxes.get(key, 0), SPLITS.index(key[0]), key[1])

    spare = [key for group in groups for key in sorted(group, key=worth)[1:]]
    return evidence.repairs.trash_images("Keep the best labelled of each, trash the rest", spare)


def _into_one_split(evidence: Evidence, groups: Groups) -> Repair:
    """Offer to move each group to the split that most of it is in."""
    taken = {(split, name.rpartition(".")[0]) for split, name in evidence.keys}
    moves, left_out = [], []
    for group in groups:
        counts = Counter(split for split, _ in group)
        target = max(SPLITS, key=lambda split: (counts[split], -SPLITS.index(split)))
        for split, name in group:
            place = target, name.rpartition(".")[0]
            if split == target:
                continue
            if place in taken:
                left_out.append(f"stays: {split}/{name}, because {target} has one of that name")
                continue
            taken.add(place)
            moves.append(ImageMove(name, split, target))
    return evidence.repairs.move_images("Move each group into one split", moves, left_out)
