"""What is reported about the import of a COCO export: one sentence for each kind of thing."""

from __future__ import annotations

from workbench.datasets.formats import coco_json

MISSING = "{count} images that are listed are not there and were left out, such as {example}"
UNLISTED = "{count} images are in no annotation file and came in unlabelled, such as {example}"
NOT_ANNOTATED = (
    "{count} images are listed in files without annotations and came in unlabelled, such as "
    "{example}"
)
NO_SPLIT = "{count} images are listed without a split and went to train, such as {example}"
SEVERAL = (
    "{count} images are listed in several files, such as {example}: those of test count before "
    "those of val, and these before those of train; of one split, the boxes of all were taken"
)
DAMAGED = "{count} images are damaged and were left out, such as {example}"
SIZES = (
    "{count} images have another size than their annotations say, such as {example}: their boxes "
    "were taken as pixels of the image, have a look at them"
)
TURNED = (
    "{count} images have boxes for the picture before its EXIF rotation, which were turned with "
    "it, such as {example}"
)
MIRRORED = (
    "{count} images are turned or mirrored by their EXIF, and the annotations do not tell whether "
    "their boxes are, such as {example}: they were taken as boxes of the picture as it is shown, "
    "have a look at them"
)
CLIPPED = (
    "{count} boxes reached over the border of their image and were clipped, such as in {example}"
)
OUTSIDE = (
    "{count} boxes lie outside of their image or have no area and were left out, such as in "
    "{example}"
)

NOTHING = (
    "no annotation file has a box: all images that they list came in as showing nothing; if they "
    "are not annotated yet, import the pictures without the files"
)

COUNTED = {
    coco_json.CROWDS: (
        "{count} annotations of crowds (iscrowd) were left out: such a box holds many things at "
        "once"
    ),
    coco_json.NO_BOX: (
        "{count} annotations were left out: they have neither a box with finite numbers and an "
        "area nor a polygon"
    ),
    coco_json.NO_CATEGORY: "{count} annotations without a category were left out",
    coco_json.NO_IMAGE: "{count} annotations were left out: their image is not listed",
    coco_json.OUTLINES: "{count} annotations have outlines (segmentation): their boxes were taken",
    coco_json.KEYPOINTS: "{count} annotations have keypoints: only their boxes were taken",
}
"""By what `CocoFile.counts` counts."""
