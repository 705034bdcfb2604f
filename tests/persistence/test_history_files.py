"""The history on disk: appended to, month by month, and readable after a crash."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.pictures import jpeg
from workbench.persistence import Stores
from workbench.persistence.history import (
    Record,
    format_records,
    new_edit,
    new_moves,
    parse_records,
    parse_records_about,
    select_edits,
)
from workbench.persistence.models import Annotation

texts = st.none() | st.binary(max_size=40)


@given(st.lists(st.tuples(texts, texts), max_size=5))
def test_any_bytes_survive(pairs: list[tuple[bytes | None, bytes | None]]) -> None:
    records = [new_edit("train", "ü.jpg", before, after) for before, after in pairs]
    moves = new_moves([(("train", "ü.jpg"), ("val", "b.jpg")), (("val", "c.jpg"),) * 2])
    assert len(moves) == 1
    assert parse_records(format_records([*records, *moves])) == [*records, *moves]


@given(st.integers(0, 400))
def test_a_line_that_was_cut_off_spoils_no_other(length: int) -> None:
    first, second = new_edit("train", "a.jpg", b"1", b"2"), new_edit("val", "b.jpg", None, b"")
    torn = format_records([first])[:length]
    assert parse_records(torn + format_records([second]))[-1] == second


images = st.tuples(st.sampled_from(["train", "val"]), st.sampled_from(["a.jpg", 'ü"\\.jpg']))


steps = images.map(lambda image: [new_edit(*image, None, b"")]) | st.tuples(images, images).map(
    lambda way: new_moves([way])
)


@given(st.lists(steps, max_size=12), images)
def test_the_history_of_one_image_is_found_without_reading_all(
    taken: list[list[Record]], image: tuple[str, str]
) -> None:
    records = [record for step in taken for record in step]
    lines = format_records(records).split(b"\n")

    found = select_edits(parse_records_about(reversed(lines), *image), *image, None)

    assert found == select_edits(records, *image, None)


async def test_polygons_that_were_given_up_can_be_brought_back(
    persistence_stores: Stores, tmp_path: Path
) -> None:
    stores = persistence_stores
    await stores.dataset.create("cells", ["cell"])
    await stores.image.save_bytes("cells", "train", "a.jpg", jpeg(1))
    file = tmp_path / "data/cells/labels/train/a.txt"
    file.write_bytes(b"0 0.1 0.1 0.4 0.1 0.4 0.4\r\n")
    box = Annotation(0, 0.5, 0.5, 0.25, 0.5)
    await stores.label.save("cells", "train", "a.jpg", [box], discard_other_rows=True)

    [log] = (tmp_path / "data/cells/.workbench/history").iterdir()
    [line] = [json.loads(line) for line in log.read_text().splitlines() if line]
    assert line["image"] == "train/a.jpg"
    assert line["before"] == "0 0.1 0.1 0.4 0.1 0.4 0.4\r\n"
    assert line["after"] == "0 0.50000000 0.50000000 0.25000000 0.50000000\n"

    [edit] = await stores.label.history("cells")
    await stores.label.revert("cells", edit.id)
    assert file.read_bytes() == b"0 0.1 0.1 0.4 0.1 0.4 0.4\r\n"
