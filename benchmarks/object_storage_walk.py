"""How soon the next image of a dataset in a bucket is painted, with 20 ms added to each request.

    python benchmarks/object_storage_walk.py --check    # a few minutes
    python benchmarks/object_storage_walk.py --quick    # fewer images, for a look

``--check`` exits 1 where the bound is missed. The server and the proxy are those of
`object_storage.py`, the page and its clock those of `annotator.py`: from the key press to the end
of the frame in which picture and box are painted, when there was time to fetch the image ahead.
Beside it, in the same run, the same pictures in a folder.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from benchmarks.annotator import NEXT_BOUND_MS, SIZES, Bench, annotating, walk  # noqa: E402
from benchmarks.annotator_hand import shown_ms  # noqa: E402
from benchmarks.annotator_subjects import WORKBENCH, Subject, write_walk  # noqa: E402
from benchmarks.measure import print_columns, say  # noqa: E402
from tests.storage.s3_proxy import BUCKET, S3Proxy, environment, s3_server  # noqa: E402

LATENCY_S = 0.02

# The folder's name is the prefix; the folder itself keeps what is read, and the models.
CELL = """
import os
os.environ.update({told!r})
os.environ["XDG_CACHE_HOME"] = {{folder!r}} + "/cache"
from workbench import AnnotatePanel, create_stores
prefix = {{folder!r}}.rpartition("/")[2]
stores = create_stores("s3://{bucket}/" + prefix, {{folder!r}} + "/models")
panel = AnnotatePanel("bench", split="train", stores=stores, height={{shown[1]}})
panel
"""


def in_bucket(s3: S3Proxy) -> Subject:
    """Return the annotator, on the dataset in the bucket that has its folder's name."""
    # Pairs, not a dict: the cell is formatted once more, and braces would be taken for fields.
    cell = CELL.format(told=[*environment(s3).items()], bucket=BUCKET)
    ours = WORKBENCH
    return Subject("in a bucket", ours.kind, ours.root, ours.focus, ours.next_key, cell)


def upload_walk(folder: Path, width: int, height: int, images: int) -> None:
    """Write the pictures of a walk into a folder, and from there into the bucket."""
    import obstore
    from obstore.store import from_url

    write_walk(folder, width, height, images)
    store = from_url(f"s3://{BUCKET}/{folder.name}", client_options={"allow_http": True})
    data = folder / "data"
    for path in sorted(data.rglob("*")):
        if path.is_file():
            obstore.put(store, path.relative_to(data).as_posix(), path)


def measure(bench: Bench, s3: S3Proxy) -> list[tuple[tuple[str, ...], bool]]:
    """Return the lines of the table, and whether the bound of each is missed."""
    lines = []
    for name, size in SIZES:
        say(f"measuring next image, {name}")
        folder = walk(bench, WORKBENCH, size, 0.0)
        bucket = walk(bench, in_bucket(s3), size, 0.0, upload_walk)
        missed = bucket.median > NEXT_BOUND_MS
        told = "MISSED" if missed else "met"
        work = f"next: {name}"
        lines.append(((work, str(folder), str(bucket), shown_ms(NEXT_BOUND_MS), told), missed))
    return lines


def main() -> int:
    """Measure; return 1 if a bound is missed and that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="exit 1 if a bound is missed")
    parser.add_argument("--quick", action="store_true", help="fewer images")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="bucket-walk-") as state,
        s3_server() as s3,
        patch.dict(os.environ, environment(s3) | {"XDG_STATE_HOME": state}),
        annotating(options.quick) as bench,
    ):
        s3.latency_s = LATENCY_S
        lines = measure(bench, s3)
    headings = ("ms, median / 90%", "in a folder", "in a bucket", "at most", "")
    print_columns(headings, [cells for cells, _ in lines])
    return int(options.check and any(missed for _, missed in lines))


if __name__ == "__main__":
    sys.exit(main())
