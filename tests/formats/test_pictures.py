"""Pictures that training does not read as they are, videos, and what is none at all."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.formats.making import BOX, PICTURE, coco, folder, images, labels
from workbench import import_dataset
from workbench.datasets.formats import codecs
from workbench.datasets.formats.codecs import opened_picture
from workbench.datasets.formats.merging import plan_merge
from workbench.datasets.formats.plan import plan_import
from workbench.errors import ArchiveError, ImportFormatError
from workbench.persistence import Stores

HEIC = "pillow_heif"


def _deep(low: int, high: int, extension: str = ".tif") -> bytes:
    """A picture of 200 x 100 with 16 bits, its left half dark and its right half bright."""
    values = np.full((100, 200), low, np.uint16)
    values[:, 100:] = high
    return cv2.imencode(extension, values)[1].tobytes()


def _pages(path: Path, count: int) -> bytes:
    assert cv2.imwritemulti(str(path), [np.full((100, 200), n, np.uint8) for n in range(count)])
    data = path.read_bytes()
    path.unlink()
    return data


def _gif(count: int) -> bytes:
    frames = [Image.new("RGB", (200, 100), (n, 0, 0)) for n in range(count)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def _heic(colour: tuple[int, int, int]) -> bytes:
    pillow_heif = pytest.importorskip(HEIC)
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (200, 100), colour)).save(buffer)
    return buffer.getvalue()


def _video(path: Path, frames: int, rate: float = 5.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate, (64, 48))
    for number in range(frames):
        writer.write(np.full((48, 64, 3), number * 10, np.uint8))
    writer.release()
    return path


def _stored(info_path: Path, name: str) -> np.ndarray:
    found = cv2.imread(str(info_path / "images" / name), cv2.IMREAD_UNCHANGED)
    assert found is not None
    return found


async def test_16_bits_come_in_as_they_are_and_the_plan_offers_more(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    data = _deep(500, 4000)
    source = folder(tmp_path / "in" / "cells", {"a.tif": data, "b.jpg": PICTURE})
    plan = await plan_import(persistence_stores, source)
    assert "1 image has more than 8 bits" in "\n".join(plan.notes)
    info = await plan.apply()
    assert (info.path / "images/train/a.tif").read_bytes() == data


async def test_16_bits_are_converted_by_one_range_for_the_whole_set(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    source = folder(
        tmp_path / "in" / "cells",
        {"a.tif": _deep(1000, 2000), "b.png": _deep(1000, 5000, ".png"), "a.txt": "0 .5 .5 1 1\n"},
    )
    plan = await plan_import(persistence_stores, source, convert="png")
    assert "1000..5000 became 0..255" in "\n".join(plan.notes)
    assert plan.counts()["train"] == {"images": 2, "labelled": 1, "boxes": 1}
    info = await plan.apply()
    assert images(info) == ["train/a.png", "train/b.png"]
    first, second = _stored(info.path, "train/a.png"), _stored(info.path, "train/b.png")
    assert (first.dtype, first[0, 0], first[0, 150]) == (np.uint8, 0, 64)
    assert (second[0, 0], second[0, 150]) == (0, 255)
    assert plan.ledger.found["files"] == 3


async def test_another_range_can_be_chosen(tmp_path: Path, persistence_stores: Stores) -> None:
    source = folder(tmp_path / "in" / "cells", {"a.tif": _deep(1000, 2000)})
    plan = await plan_import(persistence_stores, source)
    plan = await plan.choose(convert="png", levels=(0, 4000))
    info = await plan.apply()
    assert _stored(info.path, "train/a.png")[0, [0, 150]].tolist() == [64, 128]


async def test_a_dead_pixel_does_not_make_everything_dark(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    values = np.full((300, 300), 100, np.uint16)
    values[:, 150:], values[0, 0] = 300, 65535
    data = cv2.imencode(".png", values)[1].tobytes()
    source = folder(tmp_path / "in" / "cells", {"a.png": data})
    plan = await plan_import(persistence_stores, source, convert="png")
    assert "100..300 became 0..255" in "\n".join(plan.notes)


async def test_pages_and_frames_become_images(
    tmp_path: Path, persistence_stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codecs, "BATCH_PIXELS", 50_000)  # some batches of two pages
    files = {"stack.tif": _pages(tmp_path / "s.tif", 5), "run.gif": _gif(3), "c.jpg": PICTURE}
    source = folder(tmp_path / "in" / "cells", files)
    plain = await plan_import(persistence_stores, source, "plain")
    assert "1 image has several pages" in "\n".join(plain.notes)
    assert "choose convert='png'" in "\n".join(plain.notes)

    plan = await plain.choose(convert="png")
    info = await plan.apply()

    assert images(info) == [
        "train/c.jpg",
        *(f"train/run_{n:04d}.png" for n in (1, 2, 3)),
        *(f"train/stack_{n:04d}.png" for n in (1, 2, 3, 4, 5)),
    ]
    values = [int(_stored(info.path, f"train/stack_{n:04d}.png").max()) for n in (1, 2, 3, 4, 5)]
    assert values == [0, 1, 2, 3, 4]
    assert (info.path / "images/train/c.jpg").read_bytes() == PICTURE
    assert (plan.ledger.found["files"], plan.ledger.found["pictures"]) == (2, 9)


async def test_heic_is_converted_also_under_another_name_and_keeps_its_boxes(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    files = {
        "a.heic": _heic((200, 10, 10)),
        "b.jpg": _heic((10, 10, 200)),
        "c.jpg": PICTURE,
        "coco.json": coco({"bbox": [20, 10, 60, 50]}, names=("a.heic",)),
    }
    source = folder(tmp_path / "in" / "phone", files)
    plan = await plan_import(persistence_stores, source)
    assert "choose convert='png'" in plan.questions[0]
    plan = await plan.choose(convert="jpeg")
    info = await plan.apply()
    assert images(info) == ["train/a.jpg", "train/b.jpg", "train/c.jpg"]
    assert labels(info) == {"train/a": [(0.0, *BOX)]}
    assert abs(int(_stored(info.path, "train/b.jpg")[50, 50, 0]) - 200) < 9


async def test_without_the_extra_heic_is_refused_by_name(
    tmp_path: Path, persistence_stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(60)
    source = folder(tmp_path / "in" / "phone", {"a.heic": head})
    monkeypatch.setitem(__import__("sys").modules, HEIC, None)
    with pytest.raises(ImportFormatError, match=r"yolo-workbench\[heic\]"):
        await plan_import(persistence_stores, source, convert="png")


async def test_nothing_but_such_pictures_is_a_question(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    source = folder(tmp_path / "in" / "phone", {"a.gif": _gif(1), "b.gif": b"GIF89a"})
    plan = await plan_import(persistence_stores, source)
    assert "choose convert='png'" in plan.questions[0]
    with pytest.raises(ImportFormatError, match="choose convert"):
        await plan.apply()
    plan = await plan.choose(convert="png")
    info = await plan.apply()
    assert images(info) == ["train/a.png"]
    left = [(e.reason, e.picture) for e in plan.ledger.entries if e.outcome == "left"]
    assert left == [("not converted", "b.gif")]


async def test_what_is_too_large_is_told_and_not_decoded(
    tmp_path: Path, persistence_stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_MAX_PIXELS", "10000")
    files = {"a.gif": _gif(2), "b.tif": _pages(tmp_path / "s.tif", 2), "c.jpg": PICTURE}
    source = folder(tmp_path / "in" / "big", files)
    plan = await plan_import(persistence_stores, source, convert="png")
    left = [(e.reason, e.picture) for e in plan.ledger.entries if e.outcome == "left"]
    assert sorted(left) == [("not converted", "a.gif"), ("not converted", "b.tif")]
    assert "million pixels" in plan.ledger.some("not converted")[0].detail


async def test_a_file_with_more_pages_than_the_bound_is_left(
    tmp_path: Path, persistence_stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codecs, "MAX_PAGES", 3)
    files = {"s.tif": _pages(tmp_path / "s.tif", 4), "c.jpg": PICTURE}
    source = folder(tmp_path / "in" / "big", files)
    plan = await plan_import(persistence_stores, source, convert="png")
    assert [e.picture for e in plan.ledger.some("not converted")] == ["s.tif"]
    assert plan.counts()["train"]["images"] == 1


@pytest.mark.parametrize("name", ["many.gif", "deep.tif"])
async def test_a_conversion_can_be_broken_off_within_a_file(
    tmp_path: Path, persistence_stores: Stores, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    pages = _gif(40)
    if name == "deep.tif":
        path = tmp_path / "t.tif"
        assert cv2.imwritemulti(str(path), [np.full((10, 20), n, np.uint16) for n in range(40)])
        pages = path.read_bytes()
    source = folder(tmp_path / "in" / "big", {name: pages})
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    made: list[int] = []

    def stop(done: int, total: int) -> None:
        assert done <= total
        made.append(len([*temporary.rglob("*.png")]))
        if len(made) == 12:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await plan_import(persistence_stores, source, convert="png", progress=stop)
    assert made[-1] < 12
    assert [*temporary.iterdir()] == []


async def test_a_video_becomes_frames_at_the_step_that_is_said(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    video = _video(tmp_path / "in" / "run.avi", 12)
    folder(tmp_path / "in", {"other.jpg": PICTURE})
    plan = await plan_import(persistence_stores, video)
    assert plan.name == "run"
    notes = "\n".join(plan.notes)
    assert "of each 5. frame" in notes
    assert "made of 1 file, such as" in notes
    assert (
        "'Frames of the videos' (frame_step)" in notes
    )  # as the panel calls it, and as Python does
    plan = await plan.choose(frame_step=4)
    info = await plan.apply()
    assert images(info) == [f"train/frame_{n:06d}.jpg" for n in (0, 4, 8)]
    shown = [int(_stored(info.path, f"train/frame_{n:06d}.jpg")[20, 20, 0]) for n in (0, 4, 8)]
    assert all(abs(a - b) < 4 for a, b in zip(shown, (0, 40, 80), strict=True))


async def test_a_video_beside_pictures_is_told(tmp_path: Path, persistence_stores: Stores) -> None:
    source = folder(tmp_path / "in" / "both", {"c.jpg": PICTURE})
    _video(source / "run.avi", 6)
    plan = await plan_import(persistence_stores, source)
    assert "1 video was left out" in "\n".join(plan.notes)
    plan = await plan.choose(frame_step=3)
    assert plan.counts()["train"]["images"] == 3


async def test_tracks_of_cvat_find_the_frames_of_their_video(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    boxes = "".join(
        f'<box frame="{n}" xtl="16" ytl="12" xbr="48" ybr="36" outside="0" occluded="0"/>'
        for n in (0, 1, 2)
    )
    track = f'<track id="0" label="cup">{boxes}</track>'
    xml = f"<annotations><version>1.1</version>{track}</annotations>"
    source = folder(tmp_path / "in" / "task", {"annotations.xml": xml})
    _video(source / "run.avi", 3)
    plan = await plan_import(persistence_stores, source, frame_step=1)
    info = await plan.apply()
    assert labels(info) == {f"train/frame_{n:06d}": [(0.0, 0.5, 0.5, 0.5, 0.5)] for n in (0, 1, 2)}


@pytest.mark.parametrize(
    "content",
    [b"", b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n", b"\0\0\0\x18ftypmp42" + bytes(99)],
)
async def test_what_is_only_called_a_video_is_refused(
    content: bytes, tmp_path: Path, persistence_stores: Stores
) -> None:
    source = folder(tmp_path / "in", {"run.mp4": content})
    with pytest.raises(ImportFormatError, match="expected a video"):
        await plan_import(persistence_stores, source / "run.mp4")


async def test_more_can_be_brought_into_a_dataset(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    await persistence_stores.dataset.create("cells", ["cell"])
    source = folder(tmp_path / "in", {"run.gif": _gif(2)})
    plan = await plan_merge(persistence_stores, source, "cells", convert="png")
    merged = await plan.apply()
    assert merged.added == [("train", "run_0001.png"), ("train", "run_0002.png")]


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"", "the file is empty"), (b"\n<!DOCTYPE html><p>404", "failed download")],
)
async def test_what_is_no_picture_is_told(
    data: bytes, said: str, tmp_path: Path, persistence_stores: Stores
) -> None:
    source = folder(tmp_path / "in" / "web", {"a.jpg": PICTURE, "b.jpg": data})
    info = await import_dataset(persistence_stores, source)
    assert images(info) == ["train/a.jpg"]
    assert said in "\n".join(info.notes)


@pytest.mark.parametrize("text", ["https://a.example/b.zip", "s3://bucket/set"])
async def test_an_address_is_refused(text: str, persistence_stores: Stores) -> None:
    with pytest.raises(ImportFormatError, match="fetches nothing from the network"):
        await import_dataset(persistence_stores, text)


@pytest.mark.parametrize("pointed", [True, False])
async def test_a_list_of_addresses_is_refused(
    pointed: bool, tmp_path: Path, persistence_stores: Stores
) -> None:
    urls = "".join(f"https://a.example/{n}.jpg\n" for n in range(9))
    source = folder(tmp_path / "in" / "web", {"urls.txt": urls})
    with pytest.raises(ImportFormatError, match="fetches nothing from the network"):
        await import_dataset(persistence_stores, source / "urls.txt" if pointed else source)


async def test_an_annotation_file_without_pictures_says_where_they_should_be(
    tmp_path: Path, persistence_stores: Stores
) -> None:
    source = folder(tmp_path / "in" / "web", {"coco.json": coco({"bbox": [1, 2, 3, 4]})})
    with pytest.raises(ArchiveError, match="put the pictures beside it"):
        await import_dataset(persistence_stores, source / "coco.json")


def test_pictures_are_opened_by_pillow_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ultralytics replaces `Image.open` by one that may install packages from the network."""

    def replaced(*_: object, **__: object) -> None:
        raise AssertionError("opened by what is not Pillow's")

    monkeypatch.setattr("PIL.Image.open", replaced)
    sink = io.BytesIO()
    Image.new("P", (4, 3)).save(sink, "GIF")
    assert opened_picture(sink.getvalue(), ["GIF", "PNG"]).size == (4, 3)
    for data in (b"", b"GIF89a", sink.getvalue()[:9], PICTURE):
        with pytest.raises(OSError, match=r"GIF or PNG|truncated|not enough"):
            opened_picture(data, ["GIF", "PNG"])
