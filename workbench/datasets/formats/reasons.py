"""Why something was left out, repaired or is worth a note: one sentence for each reason."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from workbench.persistence.archive.notes import of_one
from workbench.persistence.yolo.label_text import MAX_ROWS

# Of annotations that are left out.
NO_PICTURE = "no picture"
NO_IMAGE = "not listed"
AMBIGUOUS = "ambiguous"
CROWDS = "crowds"
NO_BOX = "no box"
NO_THING = "no thing"
NO_CATEGORY = "no class"
BAD_ROW = "unreadable"
OUTSIDE = "outside"
TWICE = "twice"
TOO_MANY = "too many on one picture"
CLASS_LEFT = "class left out"
POLYGON_LEFT = "polygon left out"
DAMAGED_PICTURE = "damaged picture"
PICTURE_LEFT = "picture left out"
OTHER_VERSION = "another annotator"
OTHER_GROUP = "said once more"
PREDICTED = "prediction"
DELETED = "deleted"
OTHER_FOLDER = "another folder of labels"
IGNORED = "ignored region"
NOT_HERE = "not in the dataset"
LABELLED_ALREADY = "labelled already"
THERE_ALREADY = "there already"
PICTURE_THERE = "picture there already"
NAME_TAKEN = "name taken"

# Of annotations that are repaired.
CLIPPED = "clipped"
CORNER_ROWS = "corners for centre and sides"
SIDES_ROWS = "corner for centre"
PERCENT = "percent for fractions"
SWAPPED = "swapped corners"
FRACTIONS = "fractions for pixels"
PIXELS = "pixels for fractions"
RESCALED = "rescaled"
TURNED = "turned"
COMMAS = "commas"
SIGNS = "signs in rows"
UTF16 = "other encoding"
CLASS_NAMES = "class names in rows"
KEYPOINT_ROWS = "keypoints without a shape"
SCORED_OUTLINES = "confidence behind an outline"
CROWDS_TAKEN = "crowds taken"

# Of annotations, as a note.
OUTLINES = "outlines"
ROTATED = "rotated"
MASKS = "masks"
KEYPOINTS = "keypoints"
SHOWN = "as shown"
ROWS = "rows kept"

# Of pictures.
DAMAGED = "damaged"
NOT_A_PICTURE = "no picture inside"
NO_CODEC = "unsupported"
MASK_BESIDE = "masks beside pictures"
MASK_FOLDER = "masks of other pictures"
UNLABELLED_LEFT = "unlabelled, left out"
UNLISTED = "without annotation"
NOT_ANNOTATED = "file without annotations"
ALL_LEFT = "all annotations left"
MISSING = "missing"
NO_SPLIT = "no split"
CUT_OFF = "cut off"
DEEP = "more than 8 bits"
PAGES = "several pages"
SEVERAL = "several files"
SIZES = "other size"
MIRRORED = "mirrored"
HALVED = "clipped to less than half"
SHARED_NAME = "shared name"
SHARED_LABELS = "shared labels"
NEARLY = "nearly the same name"

# Of files.
VIDEO = "video"
NOT_CONVERTED = "not converted"
FILE_UNREADABLE = "damaged file"
OTHER_FORMAT = "another format"
CACHE = "cache"
ARRAY = "array"
PICKLE = "pickle"
SCRIPT = "script"
OTHER_FILE = "other file"
HIDDEN_FILE = "hidden"
ARCHIVE = "archive"
DANGLING = "link to nothing"
LEADS_OUT = "link that leads out"

OF_COMING = frozenset(
    {UNLISTED, NOT_ANNOTATED, ALL_LEFT, UNLABELLED_LEFT, NO_SPLIT, CUT_OFF, DEEP, PAGES}
)
"""Notes about pictures that come in; of those that are there already they would be wrong."""

OF_BOXES = frozenset({SEVERAL, SIZES, MIRRORED, HALVED, NEARLY, SHARED_LABELS})
"""Notes about pictures whose boxes come in."""

_OUT = "{count} annotations were left out: "

SENTENCES = {
    NO_PICTURE: _OUT + "<their|its> picture is not there, such as {example}",
    NO_IMAGE: _OUT + "<their|its> image is not listed, such as {example}",
    AMBIGUOUS: _OUT + "several pictures could be meant, such as {example}",
    CROWDS: (
        "{count} annotations of crowds (iscrowd) were left out: such a box holds many things at "
        "once"
    ),
    NO_BOX: (
        _OUT
        + "<they have|it has> neither a box with finite numbers and an area nor a polygon, such as "
        "{example}"
    ),
    NO_THING: (
        "{count} annotations were left out, of whose line or area of the road a box says nothing, "
        "such as {example}"
    ),
    NO_CATEGORY: "{count} annotations without a category were left out, such as {example}",
    BAD_ROW: "{count} annotations cannot be read and were left out, such as {example}",
    OUTSIDE: (
        "{count} boxes lie outside of their image or have no area and were left out, such as in "
        "{example}"
    ),
    TWICE: "{count} annotations stand in several files and were taken once, such as {example}",
    TOO_MANY: _OUT + f"more than {MAX_ROWS:,} stand on one picture, {{example}}",
    CLASS_LEFT: _OUT + "<their classes are|its class is> not wanted, such as {example}",
    POLYGON_LEFT: "{count} annotations that are more than a box were left out, as was chosen",
    DAMAGED_PICTURE: _OUT + "<their|its> picture is damaged, such as {example}",
    PICTURE_LEFT: _OUT + "<their|its> picture is left out, such as {example}",
    PREDICTED: ("{count} predictions that nobody has accepted were left out, such as in {example}"),
    OTHER_VERSION: (
        "{count} annotations belong to a further version of a picture that several people "
        "annotated and were left out: what is marked as the truth was taken, else the first, such "
        "as in {example}"
    ),
    OTHER_GROUP: (
        "{count} annotations repeat what was taken already of the same picture, as outlines and "
        "boxes do, and <were|was> left out, such as in {example}"
    ),
    DELETED: ("{count} annotations are marked as deleted and were left out, such as {example}"),
    OTHER_FOLDER: (
        _OUT + "<their pictures have|its picture has> a file in the folder of labels that belongs "
        "to it, such as {example}: move that folder away to have these read"
    ),
    NOT_HERE: "{count} {unit} are new to the dataset and were left out, such as {example}",
    LABELLED_ALREADY: (
        _OUT + "<their|its> picture has other labels already, which were kept, such as {example}"
    ),
    THERE_ALREADY: "{count} annotations are in the dataset already, such as of {example}",
    PICTURE_THERE: (
        "{count} pictures are in the dataset already and were not copied again, such as {example}"
    ),
    NAME_TAKEN: (
        "{count} {unit} were left out because another picture has the name, such as {example}"
    ),
    IGNORED: (
        "{count} annotations mark what is not to be looked at and were left out, such as {example}"
    ),
    CLIPPED: (
        "{count} boxes reached over the border of their image and were clipped, such as in "
        "{example}"
    ),
    HALVED: (
        "{count} images have boxes of which more than half lay outside and was cut off, such as "
        "{example}: have a look whether <their|its> numbers mean what they were taken "
        "for"
    ),
    CORNER_ROWS: (
        "{count} rows are two corners (x1 y1 x2 y2) where YOLO has a centre and sides, and were "
        "read as such, because all boxes are inside of their images that way (rows='centre' takes "
        "them as they stand), such as {example}"
    ),
    SIDES_ROWS: (
        "{count} rows are the upper left corner and sides (left top width height) where YOLO has "
        "the centre, and were read as such, because all boxes are inside of their images that way "
        "(rows='centre' takes them as they stand), such as {example}"
    ),
    PERCENT: (
        "{count} rows are in percent where YOLO has fractions of the picture (0..1), and were read "
        "as such (units='pixels' takes them as pixels), such as {example}"
    ),
    SWAPPED: "{count} boxes had their corners swapped and were put right, such as {example}",
    FRACTIONS: (
        "{count} boxes are fractions of the picture (0..1) where the format has pixels and were "
        "read as such, such as {example}"
    ),
    PIXELS: (
        "{count} rows are in pixels where YOLO has fractions of the picture, and were read as "
        "such, such as {example}"
    ),
    RESCALED: (
        "{count} boxes are for a picture of another size and the same shape, and were scaled, "
        "such as {example}"
    ),
    TURNED: (
        "{count} boxes are for the picture before its EXIF rotation and were turned with it, such "
        "as {example}"
    ),
    SIGNS: (
        "{count} rows have brackets, quotes, comments or other signs beside <their|its> numbers, "
        "and <were|was> read without them, such as {example}"
    ),
    COMMAS: "{count} rows are separated by commas or semicolons and were read, such as {example}",
    UTF16: "{count} rows are in another encoding than UTF-8 and were read, such as {example}",
    CLASS_NAMES: "{count} rows begin with a class name in place of a number, such as {example}",
    KEYPOINT_ROWS: (
        "{count} rows hold a box and keypoints although data.yaml has no kpt_shape: <their boxes "
        "were|its box was> taken, such as {example}"
    ),
    SCORED_OUTLINES: (
        "{count} rows have a confidence behind <their outlines|its outline>, and <were|was> read "
        "without it, such as {example}"
    ),
    CROWDS_TAKEN: (
        "{count} annotations are marked as crowds (iscrowd), as is all of <their|its> file: <their "
        "boxes were|its box was> taken, such as {example}"
    ),
    OUTLINES: (
        "{count} annotations have outlines (segmentation): <their boxes were|its box was> taken"
    ),
    ROTATED: (
        "{count} annotations are rotated: the upright <boxes around them were|box around it was> "
        "taken"
    ),
    MASKS: "{count} annotations have masks: the <boxes around these were|box around it was> taken",
    KEYPOINTS: "{count} annotations have keypoints: only <their boxes were|its box was> taken",
    ROWS: (
        "{count} rows are more than a box (polygon, keypoints, confidence): <their boxes "
        "are|its box is> shown, and <the rows kept as they are|the row kept as it is>"
    ),
    SHOWN: (
        "{count} boxes are for the picture as it is shown, although the size that is written "
        "beside <them|it> is that of before its EXIF rotation, such as {example}"
    ),
    DAMAGED: "{count} images are damaged and were left out, such as {example}",
    CUT_OFF: (
        "{count} images are cut off before their end and come in so, such as {example}: training "
        "leaves such a picture out, so copy or download it again"
    ),
    NOT_A_PICTURE: "{count} images hold something else and were left out, such as {example}",
    NO_CODEC: (
        "{count} images are in formats that training does not read and were left out, such as "
        "{example}: choose convert='png' (or 'jpeg') to take copies of them that it reads"
    ),
    DEEP: (
        "{count} images have more than 8 bits for each value, such as {example}, of which training "
        "and display use the upper 8: choose convert='png' to spread the range that is used"
    ),
    PAGES: (
        "{count} images have several pages, such as {example}, of which only the first is seen: "
        "choose convert='png' to make an image of each"
    ),
    VIDEO: (
        "{count} videos were left out, such as {example}: choose 'Frames of the videos' "
        "(frame_step=30 takes each 30th frame as an image)"
    ),
    NOT_CONVERTED: "{count} files could not be made into pictures, such as {example}",
    MASK_FOLDER: (
        "{count} images lie in folders of their own under the names of annotated pictures, as "
        "masks do, and <were|was> left out, such as {example}"
    ),
    MASK_BESIDE: (
        "{count} images are called like masks of others beside them, and <were|was> left out, such "
        "as {example}: give them other names to have them taken"
    ),
    UNLABELLED_LEFT: "{count} images without annotation were left out, as was chosen",
    UNLISTED: (
        "{count} images are in no annotation file and came in unlabelled, such as {example}"
    ),
    NOT_ANNOTATED: (
        "{count} images are listed in files without annotations and came in unlabelled, such as "
        "{example}"
    ),
    ALL_LEFT: (
        "{count} images came in unlabelled because not one of their annotations could be taken, "
        "such as {example}"
    ),
    MISSING: "{count} images that are listed are not there and were left out, such as {example}",
    NO_SPLIT: "{count} images lie in no split and went to train, such as {example}",
    SEVERAL: (
        "{count} images are listed in several files, such as {example}: those of test count before "
        "those of val, and these before those of train; of one split, the boxes of all were taken"
    ),
    SIZES: (
        "{count} images have another size than their annotations say, such as {example}: the "
        "boxes were taken as pixels of the image, have a look at them"
    ),
    MIRRORED: (
        "{count} images are turned or mirrored by their EXIF, and the annotations do not tell "
        "whether <their|its> boxes are, such as {example}: they were taken as boxes of the picture "
        "as it is shown, have a look at them"
    ),
    NEARLY: (
        "{count} images have a name that differs a little from that of their annotation file, and "
        "<are the only ones|is the only one> that it can mean, such as {example}"
    ),
    SHARED_NAME: (
        "{count} images share name and label file with another and nothing tells which is meant, "
        "such as {example}"
    ),
    SHARED_LABELS: (
        "{count} images share <their label files|its label file> with another of the same name, "
        "such as {example}: both have its boxes, have a look at them"
    ),
    FILE_UNREADABLE: (
        "{count} annotation files cannot be read, such as {example}: <their|its> images came in "
        "unlabelled"
    ),
    OTHER_FORMAT: (
        "{count} annotation files in another format were not taken, such as {example}: choose the "
        "format to take them"
    ),
    CACHE: "{count} cache files of training tools were dropped, such as {example}",
    ARRAY: "{count} NumPy files were dropped, such as {example}: training reads them as images",
    PICKLE: "{count} pickle files were dropped, such as {example}: opening one can run code",
    OTHER_FILE: "{count} other files were dropped, such as {example}",
    HIDDEN_FILE: "{count} hidden files were dropped, such as {example}",
    DANGLING: ("{count} {unit} behind links to what is not there were left out, such as {example}"),
    LEADS_OUT: (
        "{count} {unit} behind links that lead out of the folder were left out, such as {example}"
    ),
    ARCHIVE: "{count} archives beside the pictures were not opened, such as {example}",
}
"""``{example}`` is the first of them; of ``<their|its>`` the second is said of one thing."""

_EITHER = re.compile(r"<([^|>]*)\|([^>]*)>")


def sentence_of(reason: str, count: int, unit: str, example: str) -> str:
    """Return what is said of so many things."""
    text = _EITHER.sub(lambda found: found[2 if count == 1 else 1], SENTENCES[reason])
    return of_one(text.format(count=f"{count:,}", unit=unit, example=example))


def on_spellings(classes: Iterable[str]) -> list[str]:
    """Return a sentence for each group of classes that differ in upper and lower case only."""
    spellings: dict[str, set[str]] = defaultdict(set)
    for name in classes:
        spellings[name.casefold()].add(name)
    return [
        f"the classes {', '.join(sorted(same))} differ in upper and lower case only and stay "
        f"apart; merge them if they are one"
        for same in spellings.values()
        if len(same) > 1
    ]
