"""Dealing images out to splits: nothing lost, nothing parted, every class spread."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.backends import BACKENDS, make_backend
from tests.helpers.pictures import jpeg
from workbench.datasets.grouping import group_index, group_of_name
from workbench.datasets.splits import SplitPlanner
from workbench.datasets.stratification import deal
from workbench.errors import ConflictError, NotFoundError
from workbench.persistence import Stores, create_memory_stores
from workbench.persistence.models import Annotation, NewImage
from workbench.persistence.sources import ImageSource
from workbench.samples.scenes import scenes

PICTURE = jpeg(1)


def box(class_id: int) -> Annotation:
    return Annotation(class_id, 0.5, 0.5, 0.25, 0.25)


def image(name: str, split: str, classes: list[int] | None) -> NewImage:
    return NewImage(name, split, PICTURE, None if classes is None else [box(i) for i in classes])


async def make(stores: Stores, images: list[NewImage], classes: int = 4) -> None:
    await stores.dataset.create_from("set", [f"class {i}" for i in range(classes)], images)


@pytest.fixture(params=sorted(BACKENDS))
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    return make_backend(request.param, tmp_path).stores


async def places(stores: Stores) -> dict[str, str]:
    return {i.filename: i.split for i in await stores.image.list("set")}


# --- dealing ------------------------------------------------------------------------------


def entries(labels: list[Counter[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = [(g, k, n) for g, counts in enumerate(labels) for k, n in sorted(counts.items())]
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]


@given(
    labels=st.lists(st.lists(st.integers(0, 4), max_size=6), max_size=40),
    ratios=st.lists(st.integers(0, 5), min_size=3, max_size=3).filter(any),
    seed=st.integers(0, 3),
    data=st.data(),
)
def test_every_group_gets_one_part_that_shall_have_some(
    labels: list[list[int]], ratios: list[int], seed: int, data: st.DataObject
) -> None:
    shares = [ratio / sum(ratios) for ratio in ratios]
    sizes = np.ones(len(labels), dtype=np.int64)
    pins = st.lists(st.integers(-1, 2), min_size=len(labels), max_size=len(labels))
    pinned = np.array(data.draw(pins), dtype=np.int64)
    columns = entries([Counter(row) for row in labels])
    parts = deal(sizes, *columns, shares, seed=seed, pinned=pinned)
    assert parts.tolist() == deal(sizes, *columns, shares, seed=seed, pinned=pinned).tolist()
    for part, pin in zip(parts.tolist(), pinned.tolist(), strict=True):
        assert part == pin if pin >= 0 else shares[part] > 0


def skewed(seed: int) -> list[Counter[int]]:
    rng = random.Random(seed)
    chances = [0.9, 0.4, 0.1, 0.03, 0.01, 0.004]
    return [
        Counter({k: rng.randint(1, 6) for k, chance in enumerate(chances) if rng.random() < chance})
        for _ in range(1000)
    ]


def distance(labels: list[Counter[int]], parts: list[int], shares: list[float]) -> float:
    """Mean over classes and parts of the distance of a class's share from the one wanted."""
    total: Counter[int] = Counter()
    per_part = [Counter[int]() for _ in shares]
    for counts, part in zip(labels, parts, strict=True):
        total.update(counts)
        per_part[part].update(counts)
    return float(
        np.mean(
            [
                abs(per_part[part][k] / n - share)
                for k, n in total.items()
                for part, share in enumerate(shares)
            ]
        )
    )


@pytest.mark.parametrize("seed", range(5))
def test_stratified_shares_are_far_nearer_than_random_ones(seed: int) -> None:
    labels, shares = skewed(seed), [0.7, 0.2, 0.1]
    sizes = np.ones(len(labels), dtype=np.int64)
    parts = deal(sizes, *entries(labels), shares, seed=seed)
    shuffled = parts.tolist()
    random.Random(seed).shuffle(shuffled)
    found = distance(labels, parts.tolist(), shares)
    assert found < distance(labels, shuffled, shares) / 4
    assert found < 0.02
    counts = np.bincount(parts, minlength=3) / len(labels)
    assert np.abs(counts - shares).max() < 0.02


@pytest.mark.parametrize("images_of_a_class", [2, 3, 4])
def test_rare_classes_do_not_add_up_to_another_ratio(images_of_a_class: int) -> None:
    labels = [Counter({i // images_of_a_class: 1}) for i in range(100 * images_of_a_class)]
    sizes = np.ones(len(labels), dtype=np.int64)
    parts = deal(sizes, *entries(labels), [0.8, 0.2, 0.0], seed=0)
    assert np.bincount(parts, minlength=3) / len(labels) == pytest.approx([0.8, 0.2, 0], abs=0.03)


@given(
    count=st.integers(1, 12),
    ratios=st.lists(st.integers(0, 99), min_size=3, max_size=3).filter(any),
    classes=st.lists(st.integers(0, 3), min_size=12, max_size=12),
)
def test_whoever_shall_have_some_gets_some_if_there_are_enough(
    count: int, ratios: list[int], classes: list[int]
) -> None:
    shares = [ratio / sum(ratios) for ratio in ratios]
    labels = [Counter({k: 1}) for k in classes[:count]]
    parts = deal(np.ones(count, dtype=np.int64), *entries(labels), shares, seed=0)
    wanted = {part for part, share in enumerate(shares) if share > 0}
    assert set(parts.tolist()) <= wanted
    assert len(set(parts.tolist())) == min(count, len(wanted))


def test_what_a_part_has_already_counts_for_it() -> None:
    none = np.empty(0, dtype=np.int64)
    two = np.ones(2, dtype=np.int64)
    shares = [0.8, 0.2, 0.0]
    assert sorted(deal(two, none, none, none, shares, seed=0).tolist()) == [0, 1]
    filled = deal(two, none, none, none, shares, seed=0, filled=[True, True, False])
    assert filled.tolist() == [0, 0]


def test_without_labels_the_counts_are_exact() -> None:
    none = np.empty(0, dtype=np.int64)
    parts = deal(np.ones(100, dtype=np.int64), none, none, none, [0.7, 0.2, 0.1], seed=1)
    assert np.bincount(parts).tolist() == [70, 20, 10]
    assert parts.tolist() != sorted(parts.tolist())


# --- groups -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "group"),
    [
        (["video_000123.jpg", "video_000124.png", "video-7.jpg", "video (3).jpg"], "video"),
        (["clip2_frame0001.jpg", "clip2_frame_2.jpg", "clip2-12.jpg"], "clip2"),
        (["cam_mp4-12_jpg.rf.0a1B2c.jpg", "cam_mp4-9_jpg.rf.ffff.jpg"], "cam_mp4"),
        (["cat_jpg.rf.0a1B2c.jpg", "cat_jpg.rf.12345678.jpg"], "cat"),
        (
            [
                "00000IMG_00000_BURST20240203040506_COVER.jpg",
                "00001IMG_00001_BURST20240203040506.jpg",
            ],
            "BURST20240203040506",
        ),
        (
            ["IMG_20240203_040506_BURST1.jpg", "IMG_20240203_040506_BURST2.jpg"],
            "IMG_20240203_040506",
        ),
        (["000123.jpg"], "000123"),
        (["cat.jpg"], "cat"),
    ],
)
def test_groups_are_read_from_names(names: list[str], group: str) -> None:
    assert {group_of_name(name) for name in names} == {group}


def test_groups_come_from_functions_mappings_or_names() -> None:
    names = ["a_1.jpg", "a_2.jpg", "b_1.jpg", "c.jpg"]
    assert group_index(names, None).tolist() == [0, 1, 2, 3]
    assert group_index(names, "name").tolist() == [0, 0, 1, 2]
    assert group_index(names, {"a_1.jpg": 7, "b_1.jpg": 7}).tolist() == [0, 1, 0, 2]
    assert group_index(names, lambda name: name[0] if name < "b" else None).tolist() == [0, 0, 1, 2]
    with pytest.raises(ValueError, match="'stem'"):
        group_index(names, "stem")


@given(
    names=st.lists(
        st.tuples(st.sampled_from("abcdef"), st.integers(0, 99)), unique=True, min_size=12
    ),
    seed=st.integers(0, 9),
)
async def test_a_plan_loses_and_doubles_nothing_and_parts_no_group(
    names: list[tuple[str, int]], seed: int
) -> None:
    stores = create_memory_stores()
    rng = random.Random(seed)
    images = [
        image(
            f"{scene}_{number}.jpg",
            rng.choice(["train", "val", "test"]),
            rng.choice([None, [], [0], [1, 1], [0, 2]]),
        )
        for scene, number in names
    ]
    await make(stores, images)
    before = await places(stores)
    scenes = {scene for scene, _ in names}
    if len(scenes) < 2:
        with pytest.raises(ValueError, match="too few"):
            await SplitPlanner(stores).plan("set", {"train": 2, "val": 1}, group_by="name")
        return
    plan = await SplitPlanner(stores).plan(
        "set", {"train": 2, "val": 1}, group_by="name", seed=seed
    )
    change = await plan.apply()
    after = await places(stores)
    assert before.keys() == after.keys()
    assert set(after.values()) <= {"train", "val"}
    for scene in scenes:
        assert len({split for name, split in after.items() if name.startswith(scene)}) == 1
    for new in images:
        key = after[new.filename], new.filename
        assert await stores.label.exists("set", *key) == (new.annotations is not None)
        assert await stores.label.load("set", *key) == (new.annotations or [])
    assert plan.after.images.tolist() == [
        list(after.values()).count(split) for split in ("train", "val", "test")
    ]
    again = await SplitPlanner(stores).plan(
        "set", {"train": 2, "val": 1}, group_by="name", seed=seed
    )
    assert again.moves == []
    await change.undo()
    assert await places(stores) == before


# --- plans --------------------------------------------------------------------------------


async def test_the_preview_is_what_happens(stores: Stores) -> None:
    await make(stores, [image(f"{i:02}.jpg", "train", [0, 1] if i % 2 else []) for i in range(20)])
    plan = await SplitPlanner(stores).plan("set", {"train": 0.8, "val": 0.2})
    assert (await stores.dataset.get("set")).num_images["train"] == 20
    frame = plan.to_frame()
    assert frame.loc["images", ("train", "before")] == 20
    assert frame.loc["images", [("train", "after"), ("val", "after")]].tolist() == [16, 4]
    assert frame.loc["class 1", [("train", "after"), ("val", "after")]].tolist() == [8, 2]
    assert frame.loc["background", ("val", "share")] == pytest.approx(0.2)

    change = await plan.apply()
    assert change.description == "4 images moved to their new splits"
    assert (await stores.dataset.get("set")).num_images == {"train": 16, "val": 4, "test": 0}
    table = await stores.label.load_all("set", "val")
    assert table.class_counts(4).tolist() == plan.after.boxes[1].tolist() == [2, 2, 0, 0]
    await change.undo()
    assert (await stores.dataset.get("set")).num_images["train"] == 20


async def test_seeds_differ_and_repeat(stores: Stores) -> None:
    await make(stores, [image(f"{i:02}.jpg", "train", None) for i in range(30)])
    planner = SplitPlanner(stores)
    first = await planner.plan("set", seed=1)
    assert first.moves == (await planner.plan("set", seed=1)).moves
    assert first.moves != (await planner.plan("set", seed=2)).moves
    assert len(first.moves) == 6


async def test_new_frames_follow_the_rest_of_their_video(stores: Stores) -> None:
    old = [image(f"a_{i}.jpg", "val", [0]) for i in range(3)]
    new = [image(f"{scene}_{i}.jpg", "train", [0]) for scene in "abcdef" for i in range(10, 12)]
    await make(stores, [*old, *new])
    chosen = [("train", i.filename) for i in new]
    plan = await SplitPlanner(stores).plan(
        "set", {"train": 1, "test": 1}, group_by="name", only=chosen
    )
    await plan.apply()
    found = await places(stores)
    assert {split for name, split in found.items() if name.startswith("a")} == {"val"}
    rest = Counter(split for name, split in found.items() if not name.startswith("a"))
    assert sorted(rest.items(), key=lambda item: item[1])[0][1] == 4
    assert rest.keys() == {"train", "test"}
    with pytest.raises(NotFoundError, match=r"val/none\.jpg"):
        await SplitPlanner(stores).plan("set", only=[("val", "none.jpg")])


async def test_what_was_captured_in_one_go_stays_together(stores: Stores) -> None:
    await make(stores, [])
    names = [f"{letter}.jpg" for letter in "abcdefgh"]
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    sources = [
        ImageSource(name, "train", noon, burst="" if name == "h.jpg" else f"burst {i // 3}")
        for i, name in enumerate(names)
    ]
    images = [NewImage(name, "train", jpeg(i)) for i, name in enumerate(names)]
    await stores.image.add_many("set", images, sources=sources)
    plan = await SplitPlanner(stores).plan("set", {"train": 1, "val": 1}, group_by="burst")
    await plan.apply()
    found = await places(stores)
    assert found["a.jpg"] == found["b.jpg"] == found["c.jpg"]
    assert found["d.jpg"] == found["e.jpg"] == found["f.jpg"]
    assert plan.after.images.tolist() == [4, 4, 0]


async def test_what_looks_alike_stays_together_whatever_it_is_called(stores: Stores) -> None:
    sharp = {n: scene.frame for n, scene in enumerate(scenes(6, image_size=240, seed=3))}
    images = [NewImage(f"{n}.png", "train", picture) for n, picture in sharp.items()]
    images += [
        NewImage(f"{'xyzuvw'[n]}.png", "val", (picture * 0.9).astype(np.uint8))
        for n, picture in sharp.items()
    ]
    await make(stores, images)
    examined: list[int] = []
    plan = await SplitPlanner(stores).plan(
        "set",
        {"train": 1, "val": 1},
        group_by="looks",
        progress=lambda done, _total: examined.append(done),
    )
    assert max(examined) == 12
    await plan.apply()
    found = await places(stores)
    assert [found[f"{n}.png"] for n in range(6)] == [found[f"{n}.png"] for n in "xyzuvw"]
    assert plan.after.images.tolist() == [6, 6, 0]


async def test_images_of_one_name_stay_apart(stores: Stores) -> None:
    await make(
        stores,
        [
            image("same.jpg", "train", [0]),
            image("same.png", "val", [1]),
            *[image(f"{i}.jpg", "test", [0]) for i in range(8)],
        ],
    )
    plan = await SplitPlanner(stores).plan("set", {"train": 1})
    assert "2 images stay where they are" in plan.notes[0]
    await plan.apply()
    assert (await stores.dataset.get("set")).num_images == {"train": 9, "val": 1, "test": 0}


async def test_a_plan_of_yesterday_is_refused(stores: Stores) -> None:
    await make(stores, [image(f"{i}.jpg", "train", None) for i in range(10)])
    plan = await SplitPlanner(stores).plan("set")
    await stores.label.save("set", "train", "3.jpg", [box(0)])
    await stores.image.save_bytes("set", "train", "new.jpg", PICTURE)
    with pytest.raises(ConflictError, match=r"1 new image, 0 not there any more, 0 in another"):
        await plan.apply()
    await stores.image.move("set", "new.jpg", "train", "test")
    await stores.image.move("set", "3.jpg", "train", "test")
    with pytest.raises(ConflictError, match=r"1 new image, 0 not there any more, 1 in another"):
        await plan.apply()
    await stores.image.move("set", "3.jpg", "test", "train")
    await stores.image.delete("set", "test", "new.jpg")
    await plan.apply()
    assert (await stores.dataset.get("set")).num_images["val"] == 2


@pytest.mark.parametrize("ratios", [{}, {"train": 0}, {"train": -1}, {"valid": 1}, {"val": np.inf}])
async def test_ratios_that_cannot_be(stores: Stores, ratios: dict[str, float]) -> None:
    await make(stores, [])
    with pytest.raises(ValueError, match="ratios"):
        await SplitPlanner(stores).plan("set", ratios)


async def test_a_seed_below_zero_is_refused(stores: Stores) -> None:
    await make(stores, [image("0.jpg", "train", None)])
    with pytest.raises(ValueError, match="seed: expected a whole number from 0, found -1"):
        await SplitPlanner(stores).plan("set", seed=-1)


async def test_the_plan_says_what_cannot_be_as_wanted(stores: Stores) -> None:
    rare = image("rare.jpg", "train", [1])
    await make(stores, [*[image(f"{i}.jpg", "train", [0]) for i in range(9)], rare])
    planner = SplitPlanner(stores)
    assert (await planner.plan("set")).notes == [
        "val gets no box of 1 class, which too few images show: class 1"
    ]
    assert (await planner.plan("set", {"train": 1})).notes == [
        "val gets no image, and training needs some there"
    ]


async def test_the_plan_says_that_groups_are_too_large(stores: Stores) -> None:
    video = [image(f"video_{i}.jpg", "train", [0]) for i in range(9)]
    await make(stores, [*video, image("other.jpg", "train", [0])])
    plan = await SplitPlanner(stores).plan("set", {"train": 1, "val": 1}, group_by="name")
    assert plan.notes == [
        "the shares are not as wanted (train 90% in place of 50%, val 10% in place of 50%), "
        "because 2 groups of images stay whole"
    ]


async def test_two_images_are_one_to_train_and_one_to_validate(stores: Stores) -> None:
    await make(stores, [image(f"{i}.jpg", "train", [0]) for i in range(2)])
    plan = await SplitPlanner(stores).plan("set")
    assert plan.after.images.tolist() == [1, 1, 0]
    assert plan.notes == []


async def test_one_image_cannot_fill_two_splits(stores: Stores) -> None:
    await make(stores, [image("0.jpg", "train", [0])])
    assert (await SplitPlanner(stores).plan("set")).notes == [
        "val gets no image: there is only 1 image"
    ]


async def test_an_empty_dataset_splits_into_nothing(stores: Stores) -> None:
    await make(stores, [], classes=0)
    plan = await SplitPlanner(stores).plan("set", group_by="name")
    assert plan.moves == []
    assert plan.to_frame().loc["images"].sum() == 0
