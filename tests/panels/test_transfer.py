"""Imports and exports in the browse panel, as its pages ask for them; asserted on disk."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import zipfile
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.formats.making import BOX, PICTURE, coco, folder, images, labels, picture
from tests.helpers import archives
from workbench import import_accounts, import_dataset
from workbench.datasets.formats.view import FolderView
from workbench.panels.browse import BrowsePanel
from workbench.panels.shared.arrivals import Arrivals
from workbench.panels.shared.import_words import reason_rows
from workbench.persistence import Stores, create_stores
from workbench.persistence.models import Annotation
from workbench.samples.video import write_video

PATIENCE_S = 120
"""After so long something never comes; nothing here takes a hundredth of that."""
ROW = "0 0.25 0.35 0.3 0.5\n"
EXPORT: dict[str, Any] = {
    "data.yaml": "names: [cat, dog]\n",
    "images/train/a.jpg": PICTURE,
    "images/train/b.jpg": PICTURE,
    "images/val/c.jpg": PICTURE,
    "labels/train/a.txt": ROW + "1 0.5 0.5 0.2 0.2\n",
    "labels/train/b.txt": "0 0.9 0.5 0.4 0.2\n0 0.5 0.5 0 0.2\n",
    "labels/val/c.txt": "",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A dataset of two pictures, one of them labelled."""
    return folder(
        tmp_path / "data" / "pets",
        {
            "data.yaml": "train: images/train\nval: images/val\nnames:\n  0: dog\n",
            "images/train/a.jpg": picture(60, 40),
            "images/val/b.jpg": picture(50, 40),
            "labels/train/a.txt": ROW,
        },
    )


@pytest.fixture
def stores(root: Path, tmp_path: Path) -> Stores:
    return create_stores(root.parent, tmp_path / "models")


class Page:
    """A page of the panel: what it says, what it is sent, what it shows."""

    def __init__(self, panel: BrowsePanel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.panel = panel
        self.sent: list[tuple[dict[str, Any], list[bytes]]] = []
        monkeypatch.setattr(panel.gallery, "send", self._take)

    def _take(self, message: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        self.sent.append((message, buffers or []))

    @property
    def shown(self) -> dict[str, Any]:
        return dict(self.panel.gallery.transfer)

    def said(self) -> str:
        own = self.panel.gallery.transfer_state.get("status", {}).get("text", "")
        return str(own or self.panel.model.status.text)

    def say(self, kind: str, *buffers: bytes, **message: Any) -> None:
        message = {"kind": kind, "session": "s", **message}
        self.panel.gallery._receive(None, message, list(buffers))

    def ask(self, action: str, kind: str = "import", **message: Any) -> None:
        self.say(kind, action=action, **message)

    def drop(self, *files: tuple[str, bytes], batch: int = 1) -> None:
        for index, (path, data) in enumerate(files):
            for offset in range(0, max(len(data), 1), 1000):
                self.say(
                    "arrive",
                    data[offset : offset + 1000],
                    batch=batch,
                    index=index,
                    files=len(files),
                    name=path.rpartition("/")[2],
                    path=path,
                    size=len(data),
                    offset=offset,
                    unreadable=False,
                )

    async def until(self, read: Callable[[], Any], expected: Any = True) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while read() != expected:
                await asyncio.sleep(0.01)

    async def until_kind(self, kind: str | None) -> dict[str, Any]:
        await self.until(lambda: self.shown.get("kind"), kind)
        return self.shown


@pytest.fixture
async def page(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Page]:
    panel = BrowsePanel("pets", stores)
    await panel.refresh()
    yield Page(panel, monkeypatch)
    panel.close()


async def test_drop_a_zip_change_the_plan_apply_read_the_account_undo(
    page: Page, root: Path, stores: Stores
) -> None:
    page.drop(("export.zip", zip_bytes(EXPORT)))
    plan = await page.until_kind("plan")
    assert [p.name for p in root.parent.iterdir() if p.is_dir() and p.name[0] != "."] == ["pets"]
    assert (plan["title"], plan["format"], plan["name"]) == (
        "export.zip (from the browser)",
        "YOLO",
        "export",
    )
    assert plan["classes"] == [
        {"name": "cat", "boxes": 2, "to": "cat", "number": 0, "near": ""},
        {"name": "dog", "boxes": 1, "to": "dog", "number": 1, "near": ""},
    ]
    assert [(s["split"], s["images"], s["boxes"]) for s in plan["splits"]] == [
        ("train", 2, 3),
        ("val", 1, 0),
    ]
    kinds = [(r["key"][2], r["key"][1], r["count"]) for r in plan["rows"]]
    assert kinds == [("outside", "left", 1), ("clipped", "repaired", 1)]

    page.ask("choose", key="class", value=["dog", None])
    page.ask("choose", key="class", value=["cat", "kitten "])
    page.ask("choose", key="split", value=["val", "test"])
    await page.until(lambda: [c["to"] for c in page.shown["classes"]], ["kitten", None])
    await page.until(lambda: page.shown["splits"][1]["to"], "test")
    page.ask("rename", name="cats")
    page.ask("apply")
    account = await page.until_kind("account")
    info = await stores.dataset.get("cats")
    assert info.classes == ["kitten"]
    assert images(info) == ["test/c.jpg", "train/a.jpg", "train/b.jpg"]
    assert labels(info)["train/a"] == [(0.0, *BOX)]

    found = {unit["unit"]: unit for unit in account["units"]}
    assert found["annotations"] == {
        "unit": "annotations", "found": 4, "taken": 2, "repaired": 1, "left": 2
    }  # fmt: skip
    clipped = next(r for r in account["rows"] if r["key"][2] == "clipped")
    assert (clipped["pictures"], clipped["lines"]) == (1, 1)
    page.ask("lines", key=clipped["key"])
    await page.until(lambda: [r for r in page.shown["rows"] if "shown" in r] != [])
    [opened] = [r for r in page.shown["rows"] if "shown" in r]
    assert opened["shown"] == [["labels/train/b.txt", "1", "images/train/b.jpg", "", ""]]

    page.ask("undo")
    await page.until_kind(None)
    assert not (root.parent / "cats").exists()
    assert page.panel.model.status.text == "Undone: dataset 'cats' imported."
    [trashed] = await stores.dataset.list_trash()
    assert trashed.name == "cats"


async def test_the_pictures_of_a_row_are_shown_in_the_gallery(page: Page) -> None:
    page.drop(("export.zip", zip_bytes(EXPORT)))
    await page.until_kind("plan")
    page.ask("apply")
    account = await page.until_kind("account")
    key = next(r["key"] for r in account["rows"] if r["key"][2] == "clipped")
    page.ask("pictures", key=key)
    said = "1 box reached over the border of its image and was clipped"
    await page.until(lambda: page.panel.gallery.listing.get("only", ""), f"of the import: {said}")
    assert (page.panel.model.dataset, page.shown) == ("export", {})
    listing = page.panel.model.listing
    assert listing is not None
    assert listing.keys(((0, len(listing)),)) == [("train", "b.jpg")]
    page.say("do", action="widen")
    await page.until(lambda: page.panel.gallery.listing["total"], 3)


async def test_a_dropped_folder_goes_into_the_dataset_that_is_open_and_out_again(
    page: Page, root: Path, stores: Stores
) -> None:
    before = {p: p.read_bytes() for p in (root / "labels").rglob("*.txt")}
    page.drop(*((f"in/{name}", _bytes(data)) for name, data in EXPORT.items()))
    plan = await page.until_kind("plan")
    assert plan["title"] == "in (from the browser)"
    page.ask("aim", dataset="pets")
    await page.until(lambda: page.shown["into"], "pets")
    assert page.shown["known"] == ["dog", "cat"]
    assert [own["near"] for own in page.shown["classes"]] == ["", ""]
    page.ask("choose", key="class", value=["cat", "dog"])
    await page.until(lambda: page.shown["known"], ["dog"])
    page.ask("choose", key="clashes", value="replace")
    await page.until(lambda: "1 replaces another" in page.shown["facts"][0])
    page.ask("choose", key="clashes", value="rename")
    await page.until(lambda: "3 pictures are new, 0" in page.shown["facts"][0])
    page.ask("apply")
    await page.until_kind("account")
    info = await stores.dataset.get("pets")
    assert info.num_images == {"train": 3, "val": 2, "test": 0}
    await page.until(lambda: page.panel.gallery.listing["total"], 5)
    page.ask("undo")
    await page.until_kind(None)
    await page.until(lambda: page.panel.gallery.listing["total"], 2)
    assert {p: p.read_bytes() for p in (root / "labels").rglob("*.txt")} == before


async def test_annotations_alone_are_for_the_dataset_that_is_open(page: Page, root: Path) -> None:
    boxes = coco({"bbox": [10, 10, 20, 20]}, names=("b.jpg",))
    page.drop(("boxes.json", _bytes(boxes)))
    plan = await page.until_kind("plan")
    assert (plan["into"], plan["facts"][1]) == ("pets", "1 picture that is there gets labels")
    page.ask("apply")
    await page.until_kind("account")
    assert (root / "labels/val/b.txt").read_text().startswith("1 ")


async def test_what_is_there_already_is_not_among_the_worst_files(page: Page, root: Path) -> None:
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.jpg")}
    files |= {"labels/train/a.txt": ROW.encode(), "labels/val/b.txt": b"0 0.5 0.5 nan 0.2\n"}
    page.drop(("more.zip", zip_bytes(files)))
    await page.until_kind("plan")
    page.ask("aim", dataset="pets")
    await page.until(lambda: page.shown["into"], "pets")
    page.ask("choose", key="class", value=["class_0", "dog"])
    await page.until(lambda: page.shown["known"], ["dog"])
    page.ask("apply")
    account = await page.until_kind("account")
    left = [row["file"] for row in account["by_file"] if row["left"]]
    assert left == ["labels/val/b.txt"]


async def test_what_somebody_draws_meanwhile_stays_and_the_plan_is_made_anew(
    page: Page, root: Path, stores: Stores
) -> None:
    boxes = coco({"bbox": [10, 10, 20, 20]}, names=("b.jpg",))
    page.drop(("boxes.json", _bytes(boxes)))
    await page.until_kind("plan")
    await stores.label.save("pets", "val", "b.jpg", [Annotation(0, 0.5, 0.5, 0.1, 0.1)])
    page.ask("apply")
    await page.until(lambda: "The plan is for what is there now" in page.said())
    plan = await page.until_kind("plan")
    assert plan["facts"][-1] == "1 picture has other labels already, which are kept"
    page.ask("choose", key="existing", value="add")
    await page.until(lambda: page.shown["facts"][1], "1 picture that is there gets labels")
    page.ask("apply")
    await page.until_kind("account")
    assert len((root / "labels/val/b.txt").read_text().splitlines()) == 2


async def test_a_file_in_no_known_form_is_asked_about(page: Page, root: Path) -> None:
    source = {"a.jpg": PICTURE, "boxes.json": b'{"my bbox": [1, 2, 3, 4]}'}
    page.drop(("odd.zip", zip_bytes(source)))
    plan = await page.until_kind("plan")
    assert plan["questions"][0].startswith("odd.zip: found 1 file beside the pictures")
    assert "unknown=" not in plan["questions"][0]
    assert "boxes.json" in plan["questions"][0]
    page.ask("apply")
    await page.until(lambda: "may be annotations" in page.said())
    assert not (root.parent / "odd").exists()
    assert plan["answers"] == [["unknown", "ignore", "Import the pictures alone"]]
    page.ask("choose", key="unknown", value="ignore")
    await page.until(lambda: page.shown["questions"], [])
    page.ask("apply")
    await page.until_kind("account")
    assert [p.name for p in (root.parent / "odd/images/train").iterdir()] == ["a.jpg"]


async def test_pictures_that_training_does_not_read_are_asked_about(page: Page, root: Path) -> None:
    gif = io.BytesIO()
    Image.new("RGB", (20, 10)).save(gif, "GIF")
    page.drop(("moving.zip", zip_bytes({"a.gif": gif.getvalue()})))
    plan = await page.until_kind("plan")
    assert "formats that training does not read" in plan["questions"][0]
    assert [answer[1] for answer in plan["answers"]] == ["png", "jpeg", "no"]
    page.ask("choose", key="convert", value="no")
    await page.until(lambda: "expected images" in page.said())
    page.ask("choose", key="convert", value="png")
    await page.until(lambda: page.shown["questions"], [])
    page.ask("apply")
    await page.until_kind("account")
    [made] = (root.parent / "moving/images/train").iterdir()
    assert made.suffix == ".png"


async def test_what_is_refused_is_said_on_a_page_without_our_own_folders(page: Page) -> None:
    page.drop(("broken.zip", b"PK no archive at all"))
    shown = await page.until_kind("error")
    assert shown["text"].startswith("broken.zip: ")
    page.ask("close")
    await page.until_kind(None)
    page.drop(("notes/x.json", b"{}"), batch=2)
    shown = await page.until_kind("error")
    assert "workbench-import-" not in shown["text"]


async def test_a_choice_that_cannot_be_is_said_and_the_plan_stays(page: Page) -> None:
    page.drop(("export.zip", zip_bytes(EXPORT)))
    await page.until_kind("plan")
    page.ask("choose", key="class", value=["cat", "x" * 5000])
    await page.until(lambda: page.said() != "")
    assert page.shown["classes"][0]["to"] == "cat"
    page.ask("rename", name="pets")
    page.ask("apply")
    await page.until(lambda: "exists already" in page.said())
    assert page.shown["kind"] == "plan"


async def test_accounts_of_earlier_imports_are_listed_and_opened(
    page: Page, stores: Stores, tmp_path: Path
) -> None:
    info = await import_dataset(stores, folder(tmp_path / "in", EXPORT), "older")
    await page.panel.open("older")
    page.ask("accounts")
    shown = await page.until_kind("accounts")
    [row] = shown["rows"]
    assert row["source"] == str(tmp_path / "in")
    page.ask("account", id=row["id"])
    account = await page.until_kind("account")
    assert (account["can_undo"], account["confirm"]) == (True, "")
    assert account["units"][2]["left"] == info.ledger.left("annotations") == 1

    # It made the dataset, which was worked on since: the page asks first.
    await stores.label.save("older", "train", "a.jpg", [])
    page.ask("undo")
    await page.until(lambda: "has been worked on since" in page.shown["confirm"])
    assert (await stores.dataset.get("older")).num_images["train"] == 2
    page.ask("undo", confirmed=True)
    await page.until_kind(None)
    assert not await stores.dataset.exists("older")
    assert [entry.name for entry in await stores.dataset.list_trash()] == ["older"]


async def test_a_path_on_the_kernels_machine_and_pictures_alone(
    page: Page, root: Path, tmp_path: Path
) -> None:
    source = folder(tmp_path / "in", EXPORT)
    page.say("do", action="import", path=f'"{source}"', split="val", every=1)
    assert (await page.until_kind("plan"))["title"] == str(source)
    page.ask("close")
    await page.until_kind(None)
    for file in (source / "labels").rglob("*.txt"):
        file.unlink()
    (source / "data.yaml").unlink()
    page.say("do", action="import", path=str(source), split="val", every=1)
    await page.until(lambda: page.said().startswith("1 image added to val. 2 files refused"))


@pytest.mark.parametrize("then", ["drop", "close"])
async def test_what_an_import_under_way_reads_is_not_taken_from_it(
    page: Page, root: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    """Whatever is dropped or closed meanwhile; what was dropped first lies in a folder of ours."""
    goes_on, has_begun = threading.Event(), threading.Event()
    read = FolderView.read

    def waiting(view: FolderView, name: str) -> bytes:
        has_begun.set()
        assert goes_on.wait(PATIENCE_S)
        return read(view, name)

    page.drop(*((f"one/{name}", _bytes(data)) for name, data in EXPORT.items()))
    await page.until_kind("plan")
    monkeypatch.setattr(FolderView, "read", waiting)
    page.ask("apply")
    assert await asyncio.to_thread(has_begun.wait, PATIENCE_S)
    if then == "drop":
        page.drop(("two.zip", zip_bytes(EXPORT)), batch=2)
    else:
        page.ask("close")
    await page.until(page.said, "Importing is not done yet: wait for it, or press Stop.")
    assert page.shown["kind"] == "plan"
    goes_on.set()
    account = await page.until_kind("account")
    assert account["dataset"] == "one"
    assert len(list((root.parent / "one" / "images").rglob("*.jpg"))) == 3


@pytest.mark.parametrize("name", ["漢" * 100, "a\u202eb"])
async def test_a_name_that_no_disk_takes_is_said(page: Page, name: str) -> None:
    page.drop((f"{name}.zip", zip_bytes(EXPORT)))
    await page.until(lambda: "without control characters and each of at most" in page.said())


async def test_a_new_drop_takes_the_place_of_a_plan(page: Page, root: Path) -> None:
    page.drop(("export.zip", zip_bytes(EXPORT)))
    await page.until_kind("plan")
    page.drop(("other.zip", zip_bytes({"x.jpg": PICTURE, "x.txt": ROW})), batch=2)
    await page.until(lambda: page.shown.get("name", ""), "other")
    page.ask("apply")
    await page.until_kind("account")
    assert (root.parent / "other").is_dir()


@pytest.mark.parametrize("path", ["../x.jpg", "/x.jpg", "a/../../x", "a//b", "a\\..\\b", "x\n.jpg"])
def test_no_dropped_file_leaves_its_folder(path: str) -> None:
    arrivals = Arrivals()
    message = {"session": "s", "batch": 1, "index": 0, "files": 1, "offset": 0, "size": 1}
    with pytest.raises(ValueError, match="expected a file's name"):
        arrivals.take(message | {"path": path}, b"x")
    arrivals.clear()


def test_a_missing_piece_is_noticed_and_nothing_is_left_behind(tmp_path: Path) -> None:
    arrivals = Arrivals()
    message = {"session": "s", "batch": 1, "index": 0, "files": 1, "size": 9, "path": "x.zip"}
    assert arrivals.take(message | {"offset": 0}, b"abc") is None
    with pytest.raises(ValueError, match="from 3 on, found 5"):
        arrivals.take(message | {"offset": 5}, b"f")
    arrived = arrivals.take(message | {"offset": 3}, b"defghi")
    assert arrived is not None
    assert arrived.path.read_bytes() == b"abcdefghi"
    arrivals.clear()
    assert not arrived.path.exists()
    assert arrivals.take(message | {"offset": 3}, b"late") is None


async def test_an_export_says_what_is_lost_and_is_downloaded_piece_by_piece(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.panels.shared.pieces.PIECE_BYTES", 300)
    gallery = page.panel.gallery
    page.say("select", listing=gallery.listing["id"], ranges=[[0, 1]])
    page.ask("look", kind="export")
    shown = await page.until_kind("export")
    assert shown["chosen"]["what"] == "selection"
    assert shown["counts"] == {"pictures": 1, "annotations": 1, "classes": 1}
    page.ask("choose", kind="export", key="what", value="all")
    page.ask("choose", kind="export", key="format", value="voc")
    await page.until(lambda: page.shown["counts"]["pictures"], 2)
    await page.until(lambda: [n for n in page.shown["notes"] if "not labelled yet" in n] != [])
    page.ask("prepare", kind="export")
    await page.until(lambda: page.shown["download"], {"name": "pets-voc.zip"})
    data, total = b"", 1
    while len(data) < total:
        page.say("fetch", start=len(data))
        count = len(page.sent)
        await page.until(lambda count=count: len(page.sent) > count)
        message, [piece] = page.sent[-1]
        assert (message["kind"], message["start"], message["to"]) == ("piece", len(data), "s")
        assert 0 < len(piece) <= 300
        data, total = data + piece, message["total"]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = set(archive.namelist())
    assert {"JPEGImages/train/a.jpg", "JPEGImages/val/b.jpg"} <= names
    page.say("fetch", start=0)
    await page.until(lambda: page.sent[-1][0]["kind"], "no_piece")
    page.ask("close", kind="export")
    await page.until_kind(None)


async def test_an_export_to_the_kernels_machine_replaces_nothing(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page.ask("look", kind="export")
    await page.until_kind("export")
    page.ask("choose", kind="export", key="what", value="val")
    page.ask("choose", kind="export", key="format", value="coco")
    await page.until(lambda: page.shown["counts"], {"pictures": 1, "annotations": 0, "classes": 1})
    page.ask("write", kind="export", path=" out ")
    await page.until(page.said, f"1 image exported to {tmp_path / 'out'}")
    assert (tmp_path / "out/images/val/b.jpg").is_file()
    archive = tmp_path / "out.zip"
    page.ask("write", kind="export", path=str(archive))
    await page.until(page.said, f"1 image exported to {archive}")
    before = archive.read_bytes()
    left = "is there already and was left as it is"
    for number, path in enumerate(("out.zip", f'"{archive}"', archive.as_uri()), start=2):
        page.ask("write", kind="export", path=path)
        made = tmp_path / f"out-{number}.zip"
        await page.until(page.said, f"1 image exported to {made} (out.zip {left})")
        assert made.is_file()
    assert archive.read_bytes() == before
    page.ask("write", kind="export", path="out")
    await page.until(page.said, f"1 image exported to {tmp_path / 'out-2'} (out {left})")
    assert (tmp_path / "out-2/images/val/b.jpg").is_file()


async def test_what_is_stopped_leaves_nothing_behind(
    page: Page, root: Path, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.drop(("export.zip", zip_bytes(EXPORT)))
    await page.until_kind("plan")
    create = stores.dataset.create_with

    async def create_late(name: str, fill: Any) -> Any:
        page.panel.imports.stop()
        return await create(name, fill)

    with monkeypatch.context() as patch:
        patch.setattr(stores.dataset, "create_with", create_late)
        page.ask("apply")
        await page.until(page.said, "Importing: stopped.")
    assert page.shown["kind"] == "plan"
    assert not (root.parent / "export").exists()
    page.ask("apply")
    await page.until_kind("account")
    assert len(await import_accounts(stores, "export")) == 1


async def test_a_ledger_that_keeps_no_more_entries_still_counts(
    stores: Stores, tmp_path: Path
) -> None:
    info = await import_dataset(stores, folder(tmp_path / "in", EXPORT), "older")
    info.ledger.entries.clear()
    rows = {row["key"][2]: row for row in reason_rows(info.ledger, {}, None)}
    assert (rows["clipped"]["count"], rows["clipped"]["lines"]) == (1, 0)


def _bytes(data: Any) -> bytes:
    if isinstance(data, bytes | str):
        return data.encode() if isinstance(data, str) else data
    return json.dumps(data).encode()


def zip_bytes(files: Mapping[str, Any]) -> bytes:
    return archives.zip_bytes([(name, _bytes(data)) for name, data in files.items()])


async def test_a_dropped_video_is_planned_with_each_nth_frame(
    page: Page, root: Path, tmp_path: Path
) -> None:
    video = write_video(tmp_path / "clip.avi", seconds=2, fps=5, image_size=(64, 48)).read_bytes()
    assert ".avi" in page.panel.gallery.imports
    page.drop(("clip.avi", video))
    plan = await page.until_kind("plan")
    assert plan["title"] == "clip.avi (from the browser)"
    assert [s["images"] for s in plan["splits"]] == [2]
    [frames] = [c for c in plan["choices"] if c["key"] == "frame_step"]
    assert frames["value"] == "0"
    page.ask("choose", key="frame_step", value="2")
    await page.until(lambda: [s["images"] for s in page.shown["splits"]], [5])
    [frames] = [c for c in page.shown["choices"] if c["key"] == "frame_step"]
    assert frames["value"] == "2"
    assert "frame_step=2" in page.shown["code"]
    page.ask("apply")
    account = await page.until_kind("account")
    assert account["units"][1]["taken"] == 5
    made = sorted(path.name for path in (root.parent / "clip" / "images" / "train").iterdir())
    assert made == [f"frame_{number:06d}.jpg" for number in (0, 2, 4, 6, 8)]
    page.ask("undo")
    await page.until_kind(None)
    assert not (root.parent / "clip").exists()
