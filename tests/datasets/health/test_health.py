"""A clean dataset has nothing wrong; of every planted fault each is found, and none invented."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.helpers.faults import DATASET_WIDE, contents, outcome, plant_all, subjects
from tests.helpers.pictures import encoded, jpeg, rotated_jpeg
from workbench.datasets.health import CHECKS, KINDS, SEVERITIES, HealthChecker, HealthReport, boxes
from workbench.errors import ConflictError
from workbench.persistence import Stores, create_memory_stores, create_stores
from workbench.persistence.models import Annotation, ImageKey, LabelTable
from workbench.samples.dataset import create_shapes

NAME = "shapes"


@pytest.fixture
async def stores(tmp_path: Path) -> Stores:
    stores = create_stores(data_dir=tmp_path / "data", models_dir=tmp_path / "models")
    await create_shapes(stores, NAME, num_images=100, image_size=160, seed=5)
    return stores


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data" / NAME


async def _check(stores: Stores, *only: str) -> HealthReport:
    return await HealthChecker(stores).run(NAME, only=only or None)


def test_every_check_says_what_it_finds() -> None:
    kinds = [kind for check in CHECKS for kind in check.kinds]
    assert sorted(kinds) == sorted(KINDS)
    assert len(set(kinds)) == len(kinds)


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_clean_dataset_has_nothing_wrong(seed: int) -> None:
    stores = create_memory_stores()
    await create_shapes(stores, NAME, num_images=120, image_size=96, seed=seed)
    report = await _check(stores)
    assert report.kinds == {"background"}
    assert report.num_images == report.examined == 120


async def test_each_planted_fault_is_found_and_none_invented(stores: Stores, root: Path) -> None:
    before = await _check(stores)
    expected = plant_all(root)
    assert set(expected) | DATASET_WIDE | {"unread"} == set(KINDS)
    report = await _check(stores)
    compared = outcome(before, report, expected)
    assert {kind: row[2] for kind, row in compared.items() if row[2]} == {}, "missed"
    assert {kind: row[3] for kind, row in compared.items() if row[3]} == {}, "invented"


async def test_findings_are_sorted_explained_and_tabulated(stores: Stores, root: Path) -> None:
    plant_all(root)
    report = await _check(stores)
    severities = [SEVERITIES.index(finding.severity) for finding in report]
    assert severities == sorted(severities)
    assert all(finding.why and "\n" not in finding.why for finding in report)
    frame = report.to_frame()
    assert list(frame["kind"]) == [finding.kind for finding in report]
    assert frame.set_index("kind").loc["exact-leak", "severity"] == "error"
    assert len(report.of_severity("info")) == severities.count(2)
    with pytest.raises(KeyError):
        report["no such kind"]


async def test_repairs_are_previewed_applied_and_undone(stores: Stores, root: Path) -> None:
    plant_all(root)
    whole = contents(root)
    repaired = set()
    for kind in [finding.kind for finding in await _check(stores)]:
        number = len((await _check(stores, kind))[kind].repairs)
        for index in range(number):
            report = await _check(stores, kind)
            repair = report[kind].repairs[index]
            preview = await repair.preview()
            assert preview.strip(), kind
            assert contents(root) == whole, f"the preview of {kind} changed something"
            change = await repair.apply()
            assert change.description
            left = subjects(await _check(stores, kind), kind)
            assert left < subjects(report, kind), f"{kind}: {repair.title}"
            assert not left or number > 1, f"{kind}: {repair.title} leaves {left}"
            await change.undo()
            assert contents(root) == whole, f"undoing {kind} left something behind"
            repaired.add(kind)
    assert repaired >= set(KINDS) - _WITHOUT_REPAIR


_WITHOUT_REPAIR = {
    "unlabelled",
    "background",
    "missing-image",
    "leads-out",
    "unread",
    "same-stem",
    "same-name-across-splits",
    "name-not-nfc",
    "contradicting-box",
    "empty-split",
    "class-unused",
    "class-absent-train",
    "class-absent-val",
    "imbalance",
    "near-duplicates",
}


async def test_a_repair_of_labels_changed_since_is_refused(stores: Stores, root: Path) -> None:
    name = (await stores.image.list(NAME, "train"))[0].filename
    path = root / "labels/train" / f"{Path(name).stem}.txt"
    path.write_text("0 0.5 0.5 0.2 0.2\nrubbish\n")
    repair = (await _check(stores))["unreadable-labels"].repairs[0]
    path.write_text("0 0.4 0.5 0.2 0.2\nrubbish\n")
    with pytest.raises(ConflictError):
        await repair.apply()
    assert path.read_text() == "0 0.4 0.5 0.2 0.2\nrubbish\n"


async def test_repairs_of_one_report_go_on_until_they_meet_in_an_image(
    stores: Stores, root: Path, first: Path
) -> None:
    """What one has changed is named where the next does not fit any more, and nothing is done."""
    other, both = (root / f"labels/train/{name}.txt" for name in _others(root, first)[:2])
    good, unknown, scored = "0 0.5 0.5 0.2 0.2", "9 0.5 0.5 0.2 0.2", "0 0.3 0.5 0.2 0.2 0.9"
    first.write_text(f"{good}\n{unknown}\n")
    other.write_text(f"{scored}\n")
    both.write_text(f"{unknown}\n{scored}\n")
    report = await _check(stores, "unknown-class", "confidence-column", "zero-area", "corrupt")
    await report["unknown-class"].repairs[0].apply()
    with pytest.raises(
        ConflictError, match=rf"train/{both.stem}\.jpg was changed by another repair"
    ):
        await report["confidence-column"].repairs[0].apply()
    assert other.read_text() == f"{scored}\n"
    await (await _check(stores))["confidence-column"].repairs[0].apply()
    assert len(other.read_text().split()) == 5
    # Without an image in both, one report is enough.
    first.write_text(f"{unknown}\n")
    other.write_text(f"{scored}\n")
    report = await _check(stores)
    await report["unknown-class"].repairs[0].apply()
    await report["confidence-column"].repairs[0].apply()
    assert first.read_text() == ""
    assert len(other.read_text().split()) == 5


async def test_a_repair_says_which_images_it_leaves_without_a_box(
    stores: Stores, root: Path, first: Path
) -> None:
    other = root / f"labels/train/{_others(root, first)[0]}.txt"
    first.write_text("9 0.5 0.5 0.2 0.2\n8 0.5 0.5 0.2 0.2\n")
    other.write_text("9 0.5 0.5 0.2 0.2\n0 0.5 0.5 0.2 0.2\n")
    repair = (await _check(stores))["unknown-class"].repairs[0]
    said = "3 rows of 2 label files changed; 1 image has no box left"
    preview = await repair.preview()
    assert preview.startswith(said)
    assert "counts as reviewed" in preview
    assert (await repair.apply()).description == said
    assert first.read_text() == ""


async def test_of_very_many_boxes_some_are_named_and_all_are_counted(
    stores: Stores, root: Path, first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boxes, "MOST_LISTED", 4)
    other = root / f"labels/train/{_others(root, first)[0]}.txt"
    first.write_text("0 0.5 0.5 0.2 0.2\n" * 6)
    other.write_text("1 0.50 .5 0.2 0.2\n" * 4)  # written in another way, and alike all the same
    finding = (await _check(stores, "duplicate-box"))["duplicate-box"]
    assert finding.title == "8 rows written twice in a label file"
    assert len(finding.boxes) == 4
    assert "first 4 are named" in finding.details[0]
    await finding.repairs[0].apply()
    finding = (await _check(stores, "duplicate-box"))["duplicate-box"]
    assert (len(finding.boxes), finding.details) == (4, [])
    await finding.repairs[0].apply()
    assert "duplicate-box" not in (await _check(stores)).kinds
    assert len(first.read_text().splitlines()) == len(other.read_text().splitlines()) == 1


async def test_undoing_never_destroys_newer_work(stores: Stores, root: Path) -> None:
    name = (await stores.image.list(NAME, "train"))[0].filename
    path = root / "labels/train" / f"{Path(name).stem}.txt"
    path.write_text("0 0.5 0.5 0.2 0.2\n0 0.5 0.5 0.2 0.2\n")
    change = await (await _check(stores))["duplicate-box"].repairs[0].apply()
    assert path.read_text() == "0 0.5 0.5 0.2 0.2\n"
    await stores.label.save(NAME, "train", name, [Annotation(1, 0.3, 0.3, 0.2, 0.2)])
    with pytest.raises(ConflictError):
        await change.undo()
    assert len(await stores.label.load(NAME, "train", name)) == 1


async def test_pixel_coordinates_become_fractions(stores: Stores, root: Path) -> None:
    name = (await stores.image.list(NAME, "train"))[0].filename
    path = root / "labels/train" / f"{Path(name).stem}.txt"
    path.write_text("1 80 40 16 32\n")
    await (await _check(stores))["box-out-of-range"].repairs[0].apply()
    assert await stores.label.load(NAME, "train", name) == [Annotation(1, 0.5, 0.25, 0.1, 0.2)]


@pytest.fixture
async def first(stores: Stores, root: Path) -> Path:
    """The label file of an image of the training split."""
    name = (await stores.image.list(NAME, "train"))[0].filename
    return root / "labels/train" / f"{Path(name).stem}.txt"


def _image_of(label: Path) -> ImageKey:
    return ("train", f"{label.stem}.jpg")


async def test_a_polygon_whose_points_are_a_little_outside_is_left_alone(
    stores: Stores, first: Path
) -> None:
    first.write_text("0 -0.0002 0.1 0.5 0.1 0.5 0.5\n")
    report = await _check(stores, "box-out-of-range", "box-over-border", "polygon-rows")
    assert report.kinds == {"polygon-rows"}
    first.write_text("0 0.2 0.1 1.9 0.1 0.5 0.5\n")
    assert (await _check(stores))["box-out-of-range"].images == [_image_of(first)]


async def test_two_polygons_with_one_box_around_them_are_no_copies(
    stores: Stores, first: Path
) -> None:
    lower, upper = "0 0.1 0.1 0.5 0.1 0.5 0.5\n", "0 0.1 0.1 0.1 0.5 0.5 0.5\n"
    first.write_text(lower + upper)
    report = await _check(stores, "duplicate-box", "near-duplicate-box")
    assert report.kinds == {"near-duplicate-box"}
    first.write_text(lower + lower)
    report = await _check(stores, "duplicate-box", "near-duplicate-box")
    assert report.kinds == {"duplicate-box"}


async def test_a_flat_polygon_has_no_area(stores: Stores, first: Path) -> None:
    first.write_text("0 0.1 0.1 0.5 0.1 0.4 0.1\n")
    assert (await _check(stores))["zero-area"].images == [_image_of(first)]


async def test_keypoints_are_no_coordinates_of_boxes(
    stores: Stores, root: Path, first: Path
) -> None:
    first.write_text(f"0 0.5 0.5 0.2 0.2{' 0.4 0.4 2' * 17}\n")
    ranges = ("box-out-of-range", "box-over-border", "zero-area")
    assert (await _check(stores, "keypoint-rows", *ranges)).kinds == {"keypoint-rows"}
    with (root / "data.yaml").open("a") as yaml:
        yaml.write("kpt_shape: [17, 3]\n")
    assert (await _check(stores, "keypoint-rows", *ranges)).kinds == set()


async def test_rows_with_commas_are_read_as_what_they_mean(stores: Stores, first: Path) -> None:
    text = "0,0.5,0.5,0.2,0.2\n1; 0.3; 0.3; 0.1; 0.1\n0 0,5 0,5 0,2 0,2\n9,0.5,0.5,0.2,0.2\n"
    first.write_text(text)
    repair = (await _check(stores))["unreadable-labels"].repairs[0]
    assert repair.title == "Put spaces in place of commas"
    change = await repair.apply()
    rows = first.read_text().splitlines()
    assert [[float(value) for value in row.split()] for row in rows[:2]] == [
        [0, 0.5, 0.5, 0.2, 0.2],
        [1, 0.3, 0.3, 0.1, 0.1],
    ]
    assert rows[2:] == text.splitlines()[2:]
    await change.undo()
    assert first.read_text() == text


async def test_no_repair_takes_the_labels_of_an_image_with_the_same_stem(
    stores: Stores, root: Path, first: Path
) -> None:
    image, twin = (root.joinpath(f"images/train/{first.stem}{ext}") for ext in (".jpg", ".png"))
    other = root / f"images/train/{_others(root, first)[0]}.jpg"
    kept = image.read_bytes()
    for path in (twin, other):
        path.write_bytes(b"no picture")
    report = await _check(stores)
    assert set(report["corrupt"].images) == {("train", twin.name), ("train", other.name)}
    repair = report["corrupt"].repairs[0]
    assert f"left as it is: train/{twin.name}, which shares its label file" in (
        await repair.preview()
    )
    change = await repair.apply()
    assert (first.exists(), twin.exists(), other.exists()) == (True, True, False)
    await change.undo()
    assert other.exists()
    assert image.read_bytes() == kept


async def test_one_image_that_must_stay_does_not_keep_others_from_their_repair(
    stores: Stores, root: Path, first: Path
) -> None:
    twin = root / f"images/train/{first.stem}.png"
    twin.write_bytes(encoded(".png", 1, 64, 64))
    names = [first.stem, *_others(root, first)[:1]]
    for seed, name in enumerate(names):
        (root / f"images/train/{name}.jpg").write_bytes(rotated_jpeg(seed, 64, 96))
    await (await _check(stores))["exif-rotation"].repairs[0].apply()
    assert (await _check(stores))["exif-rotation"].images == [("train", f"{names[0]}.jpg")]


async def test_labels_behind_a_link_stay_and_the_rest_is_repaired(
    stores: Stores, root: Path, first: Path, tmp_path: Path
) -> None:
    other = root / f"labels/train/{_others(root, first)[0]}.txt"
    mine = tmp_path / "mine.txt"
    good = "0 0.5 0.5 0.2 0.2\n"
    for path in (first, other, mine):
        path.write_text(f"{good}9 0.5 0.5 0.2 0.2\n")
    first.unlink()
    first.symlink_to(mine)
    report = await _check(stores)
    assert report["leads-out"].details[1:] == [f"labels/train/{first.name} leads to {mine}"]
    for finding in report:  # of whatever kind: one that raises would be the last
        for repair in finding.repairs:
            await (await repair.apply()).undo()
    repair = report["unknown-class"].repairs[0]
    assert f"left as it is: train/{first.stem}.jpg, whose labels are behind" in (
        await repair.preview()
    )
    await repair.apply()
    assert other.read_text() == good
    assert mine.read_text() == f"{good}9 0.5 0.5 0.2 0.2\n"
    assert first.is_symlink()


async def test_a_gif_becomes_a_png(stores: Stores, root: Path, first: Path) -> None:
    (root / f"images/train/{first.stem}.jpg").write_bytes(encoded(".gif", 1, 64, 64))
    report = await _check(stores)
    assert "tiny-image" not in report.kinds
    change = await report["wrong-extension"].repairs[0].apply()
    new = root / f"images/train/{first.stem}.png"
    assert new.read_bytes()[1:4] == b"PNG"
    await change.undo()
    assert not new.exists()


def _others(root: Path, label: Path) -> list[str]:
    """Names of images of train besides that of a label file, without the extension."""
    stems = sorted(path.stem for path in (root / "images/train").glob("*.jpg"))
    return [stem for stem in stems if stem != label.stem]


async def test_a_dataset_without_validation_images(stores: Stores) -> None:
    await stores.image.delete_many(
        NAME, [("val", image.filename) for image in await stores.image.list(NAME, "val")]
    )
    report = await _check(stores)
    assert report["empty-split"].title == "no images in val"
    assert "class-absent-val" not in report.kinds


async def test_an_empty_dataset_is_healthy(stores: Stores) -> None:
    await stores.dataset.create("empty", ["cat"])
    assert (await HealthChecker(stores).run("empty")).findings == []


async def test_only_some_kinds(stores: Stores) -> None:
    assert (await _check(stores, "background")).kinds == {"background"}
    assert (await _check(stores, "blurred")).kinds == set()
    with pytest.raises(ValueError, match="no such"):
        await _check(stores, "no such")


async def test_decomposed_names_are_only_called_that(stores: Stores, root: Path) -> None:
    name = unicodedata.normalize("NFD", "é.jpg")
    (root / "images/test" / name).write_bytes(jpeg(1, 64, 64))
    report = await _check(stores)
    assert report["name-not-nfc"].images == [("test", name)]
    assert "unread" not in report.kinds


class _Refusing:
    """An image store that may not read one of its files."""

    def __init__(self, store: object, refused: ImageKey) -> None:
        self._store = store
        self._refused = refused

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def read_many(self, dataset: str, images: Sequence[ImageKey]) -> list[object]:
        contents = await self._store.read_many(dataset, images)  # type: ignore[attr-defined]
        return [
            PermissionError("not yours") if key == self._refused else data
            for key, data in zip(images, contents, strict=True)
        ]


async def test_a_file_that_may_not_be_read_is_unread(stores: Stores) -> None:
    key = ("train", (await stores.image.list(NAME, "train"))[0].filename)
    refusing = _Refusing(stores.image, key)
    apart = Stores(stores.dataset, refusing, stores.label, stores.model)  # type: ignore[arg-type]
    assert (await _check(apart))["unread"].images == [key]


class _Counting:
    """An image store that notes which images were read."""

    def __init__(self, store: object) -> None:
        self._store = store
        self.read: list[ImageKey] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def read_many(self, dataset: str, images: Sequence[ImageKey]) -> object:
        self.read += images
        return await self._store.read_many(dataset, images)  # type: ignore[attr-defined]


def _counting(stores: Stores) -> tuple[Stores, _Counting]:
    counting = _Counting(stores.image)
    return (
        Stores(stores.dataset, counting, stores.label, stores.model),  # type: ignore[arg-type]
        counting,
    )


async def test_a_second_run_reads_only_what_changed(stores: Stores) -> None:
    stores, image = _counting(stores)
    first = await _check(stores)
    assert len(image.read) == first.examined == 100
    image.read.clear()
    again = await _check(stores)
    assert (image.read, again.examined) == ([], 0)
    assert again.to_frame().equals(first.to_frame())
    await stores.image.save_bytes(NAME, "train", "new.jpg", jpeg(3, 64, 64))
    name = (await stores.image.list(NAME, "val"))[0].filename
    await stores.image.save_bytes(NAME, "val", name, jpeg(4, 64, 64))
    moved = (await stores.image.list(NAME, "test"))[0].filename
    await stores.image.delete(NAME, "test", moved)
    await _check(stores)
    assert sorted(image.read) == [("train", "new.jpg"), ("val", name)]


async def test_a_cancelled_run_keeps_what_it_has(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.datasets.fact_cache.BATCH_IMAGES", 32)
    stores, image = _counting(stores)

    def cancel(done: int, total: int) -> None:
        if done >= 48:
            raise KeyboardInterrupt

    seen: list[tuple[int, int]] = []
    with pytest.raises(KeyboardInterrupt):
        await HealthChecker(stores).run(NAME, progress=cancel)
    image.read.clear()
    await HealthChecker(stores).run(NAME, progress=lambda done, total: seen.append((done, total)))
    assert len(image.read) == 100 - 48
    assert seen[-1] == (52, 52)


@pytest.mark.parametrize("changes", [1, 99])
async def test_classes_that_others_change_meanwhile_are_looked_at_again(
    stores: Stores, root: Path, monkeypatch: pytest.MonkeyPatch, changes: int
) -> None:
    load_all, label = stores.label.load_all, sorted((root / "labels" / "train").iterdir())[0]
    made: list[str] = []

    async def change_first(dataset: str) -> LabelTable:
        if len(made) < changes:
            classes = (await stores.dataset.get(NAME)).classes
            made.append(f"new{len(made)}")
            await stores.dataset.update_classes(NAME, [*classes, made[-1]])
            label.write_text(f"{len(classes)} 0.5 0.5 0.2 0.2\n")
        return await load_all(dataset)

    monkeypatch.setattr(stores.label, "load_all", change_first)
    if changes == 1:
        assert "new0" in (await _check(stores))["class-absent-val"].details
    else:
        with pytest.raises(ConflictError, match=f"{NAME}: its classes were changed"):
            await _check(stores)


async def test_a_damaged_cache_is_made_anew(stores: Stores) -> None:
    first = await _check(stores)
    for damage in (b"", b"{}\n", b'{"images": 5}\nshort', b"\xff" * 99):
        for key in ("image-facts", "image-groups"):
            await stores.dataset.save_cache(NAME, key, damage)
        again = await _check(stores)
        assert again.examined == 100
        assert again.to_frame().equals(first.to_frame())
