"""What a plan and an account count: found = taken + left, and what was repaired is among the taken.

Pictures that come in cut off, and links that are left out, are told in them.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.formats.making import PICTURE, coco, folder, picture, voc, voc_object
from workbench import Dataset, import_accounts, import_dataset, plan_import, plan_merge
from workbench.datasets.formats.ledger import ANNOTATIONS, FILES, PICTURES, Entry, Ledger
from workbench.datasets.formats.plan import PlanFacts
from workbench.errors import ArchiveError
from workbench.persistence import Stores

OVER = {"bbox": [150, 10, 100, 50]}
"""A box that reaches over the border, and is clipped."""
SWAPPED = voc_object(box=(80, 60, 20, 10))
REPAIRED: dict[str, dict[str, Any]] = {
    "clipped": {"a.jpg": PICTURE, "b.json": coco(OVER, OVER | {"bbox": [20, 10, 60, 50]})},
    "swapped": {"a.jpg": PICTURE, "a.xml": voc(SWAPPED + voc_object(box=(1, 2, 30, 40)))},
    "both": {"a.jpg": PICTURE, "a.xml": voc(voc_object(box=(220, 60, 20, 10)))},
    "rescaled": {"a.jpg": PICTURE, "a.xml": voc(voc_object(box=(2, 2, 8, 6)), (100, 50))},
    "turned": {"a.jpg": picture(orientation=6), "a.xml": voc(voc_object())},
    "commas": {
        "data.yaml": "names: [cat]\n",
        "images/a.jpg": PICTURE,
        "labels/a.txt": "0,0.5,0.5,0.1,0.1\n0 0.25 0.35 0.3 0.5\n",
    },
    "crowds": {"a.jpg": PICTURE, "b.json": coco({"bbox": [1, 2, 30, 40], "iscrowd": 1})},
}


def _check(plan: PlanFacts) -> None:
    ledger = plan.ledger
    ledger.check()
    assert ledger.repaired(ANNOTATIONS) <= ledger.taken[ANNOTATIONS]
    for unit in (PICTURES, ANNOTATIONS):
        of_splits = sum(n for (own, _), n in ledger.by_split.items() if own == unit)
        assert of_splits == ledger.taken[unit]
    assert sum(counts["images"] for counts in plan.counts().values()) == ledger.taken[PICTURES]
    assert sum(counts["boxes"] for counts in plan.counts().values()) == ledger.taken[ANNOTATIONS]
    assert sum(plan.boxes_by_class().values()) == ledger.taken[ANNOTATIONS]


@pytest.mark.parametrize("kind", REPAIRED)
async def test_what_is_repaired_is_among_what_is_taken(
    tmp_path: Path, persistence_stores: Stores, kind: str
) -> None:
    source = folder(tmp_path / "in", REPAIRED[kind])
    plan = await plan_import(persistence_stores, source, "pets")
    _check(plan)
    assert plan.ledger.repaired(ANNOTATIONS) == 1
    none = await plan.choose(classes=dict.fromkeys(plan.source_classes))
    _check(none)
    assert "0 taken (0 repaired)" in str(none)
    assert none.ledger.repaired(ANNOTATIONS) == 0
    assert not [key for key in none.ledger.reasons if key[1] == "repaired"]
    await none.choose(classes={})
    made = await import_dataset(persistence_stores, source, "pets")
    [account] = await import_accounts(persistence_stores, "pets")
    assert account.ledger.repaired(ANNOTATIONS) == made.ledger.repaired(ANNOTATIONS) == 1


@pytest.mark.parametrize("kind", REPAIRED)
@pytest.mark.parametrize(
    "choice", [{}, {"existing": "add"}, {"existing": "replace"}, {"new": "leave"}]
)
async def test_what_stays_out_of_a_dataset_is_not_counted_as_repaired_either(
    tmp_path: Path, persistence_stores: Stores, kind: str, choice: dict[str, str]
) -> None:
    source = folder(tmp_path / "in", REPAIRED[kind])
    await import_dataset(persistence_stores, source, "pets")
    same = await plan_merge(persistence_stores, source, "pets", **choice)
    _check(same)
    assert (len(same.found), len(same.new), same.labels) == (1, 0, {})
    assert same.ledger.taken[ANNOTATIONS] == same.ledger.taken[PICTURES] == 0
    for split, filename in same.found.values():
        await persistence_stores.label.save("pets", split, filename, [])
    _check(await plan_merge(persistence_stores, source, "pets", **choice))
    other = folder(tmp_path / "other", {**REPAIRED[kind], "new.jpg": picture(50, 60)})
    _check(await plan_merge(persistence_stores, other, "pets", **choice))


def test_more_than_is_kept_can_be_withdrawn() -> None:
    ledger = Ledger()
    entry = Entry(ANNOTATIONS, "noted", "outlines", "a.json", 0, "a.jpg")
    ledger.add_all(entry, range(15_000))
    ledger.add_all(entry._replace(picture="b.jpg"), range(15_000))
    ledger.add(entry._replace(picture="b.jpg"), 5)
    ledger.add(entry._replace(picture="c.jpg"))
    assert len(ledger.entries) == 20_000
    ledger.withdraw({"b.jpg"}, lambda key: key[0] == ANNOTATIONS)
    assert ledger.reasons == {(ANNOTATIONS, "noted", "outlines"): 15_001}
    assert {e.picture for e in ledger.entries} == {"a.jpg"}
    ledger.withdraw({"a.jpg", "c.jpg"}, lambda key: True)
    assert (ledger.reasons, ledger.entries) == ({}, [])


def test_an_account_of_an_earlier_release_is_read() -> None:
    ledger = Ledger()
    ledger.found[ANNOTATIONS] = ledger.taken[ANNOTATIONS] = 1
    for reason in ("clipped", "swapped corners"):  # of one box
        ledger.add(Entry(ANNOTATIONS, "repaired", reason, "a.xml", 1, "a.jpg"))
    old = ledger.to_json()
    del old["repaired"]
    assert Ledger.from_json(old).repaired(ANNOTATIONS) == 1


def _encoded(kind: str, **options: Any) -> bytes:
    noise = Image.effect_noise((160, 120), 60).convert("RGB")
    buffer = io.BytesIO()
    noise.save(buffer, kind, **options)
    return buffer.getvalue()


WHOLE = {
    "plain.jpg": _encoded("JPEG"),
    "progressive.jpg": _encoded("JPEG", progressive=True),
    "trailing.jpg": _encoded("JPEG") + b"some more",
    "c.png": _encoded("PNG"),
    "d.bmp": _encoded("BMP"),
    "e.webp": _encoded("WEBP"),
}
CUT = {kind: data[: len(data) * 2 // 3] for kind, data in WHOLE.items()}


@pytest.mark.parametrize("packed", [False, True, "stored"])
async def test_a_picture_that_is_cut_off_is_told_as_health_tells_it(
    tmp_path: Path, persistence_stores: Stores, packed: bool | str
) -> None:
    files = {f"whole-{name}": data for name, data in WHOLE.items()}
    files |= {f"cut-{name}": data for name, data in CUT.items()}
    source = folder(tmp_path / "in", files)
    if packed:
        method = zipfile.ZIP_STORED if packed == "stored" else zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(tmp_path / "in.zip", "w", method) as archive:
            for path in sorted(source.iterdir()):
                archive.write(path, path.name)
        source = tmp_path / "in.zip"
    plan = await plan_import(persistence_stores, source, "pets")
    told = {entry.picture for entry in plan.ledger.some("cut off", 99)}
    assert {"cut-trailing.jpg", "cut-progressive.jpg", "cut-plain.jpg", "cut-c.png"} <= told
    assert not [name for name in told if "whole" in name]
    assert any("cut off before their end" in note for note in plan.notes)
    await plan.apply()
    report = await Dataset(persistence_stores, "pets").health()
    [finding] = [one for one in report.findings if one.kind == "truncated"]
    assert {filename for _, filename in finding.images} == told
    for name, data in files.items():  # not one byte is another
        assert await persistence_stores.image.read_bytes("pets", "train", name) == data


async def test_the_picture_in_a_picture_is_not_its_end(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    exif = Image.Exif()
    exif[0x927C] = WHOLE["plain.jpg"]  # ends with the marker of an end
    data = _encoded("JPEG", exif=exif)
    assert data.find(b"\xff\xd9") < len(data) - 2
    whole = await plan_import(
        persistence_stores, folder(tmp_path / "in", {"a.jpg": data, "b.jpg": data + b"x"}), "a"
    )
    assert not whole.ledger.some("cut off")
    cut = data[: data.find(b"\xff\xd9") + 400]
    plan = await plan_import(persistence_stores, folder(tmp_path / "cut", {"a.jpg": cut}), "b")
    assert [entry.picture for entry in plan.ledger.some("cut off")] == ["a.jpg"]


async def test_links_that_are_left_out_are_in_the_account(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    source = folder(
        tmp_path / "in",
        {"data.yaml": "names: [cat]\n", "images/a.jpg": PICTURE, "labels/a.txt": "0 .5 .5 .1 .1\n"},
    )
    store = folder(tmp_path / "store", {"b.jpg": PICTURE, "b.txt": "", "more/c.jpg": PICTURE})
    (source / "images/b.jpg").symlink_to(store / "b.jpg")
    (source / "labels/b.txt").symlink_to(store / "b.txt")
    (source / "images/more").symlink_to(store / "more")
    (source / "images/gone.jpg").symlink_to(store / "gone.jpg")
    plan = await plan_import(persistence_stores, source, "pets")
    _check(plan)
    left = {(e.unit, e.reason, e.file) for e in plan.ledger.entries if e.outcome == "left"}
    assert left == {
        (PICTURES, "link that leads out", "images/b.jpg"),
        (PICTURES, "link to nothing", "images/gone.jpg"),
        (FILES, "link that leads out", "labels/b.txt"),
        (FILES, "link that leads out", "images/more"),
    }
    assert (plan.ledger.found[PICTURES], plan.ledger.taken[PICTURES]) == (3, 1)
    assert any("workbench trust-links" in note for note in plan.notes)
    await plan.apply()
    [account] = await import_accounts(persistence_stores, "pets")
    assert account.ledger.left(PICTURES) == account.ledger.left(FILES) == 2


async def test_nothing_but_links_is_refused_with_what_to_do(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    source, store = tmp_path / "in", folder(tmp_path / "store", {"b.jpg": PICTURE})
    source.mkdir()
    (source / "b.jpg").symlink_to(store / "b.jpg")
    with pytest.raises(ArchiveError, match=r"1 link that leads out .*'b.jpg'.*trust-links"):
        await plan_import(persistence_stores, source)
