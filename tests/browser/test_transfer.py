"""An import and an export in Browse, in a real JupyterLab: dropped, read, changed, undone."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from uuid import uuid4

import cv2
import pytest
from playwright.sync_api import Locator

from tests.browser.annotating import CLASSES, eventually, scene
from tests.browser.browsing import Gallery, show_gallery, write_images
from tests.browser.conftest import Lab, LabPage, keep_picture
from workbench.samples.video import write_video

pytestmark = pytest.mark.browser

# As the browser does it when files are let go over the gallery.
DROP = """([files, selector]) => {
    const transfer = new DataTransfer();
    for (const [name, bytes] of files)
        transfer.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], name));
    const target = document.querySelector(selector);
    for (const type of ["dragenter", "dragover", "drop"])
        target.dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true }));
}"""


@pytest.fixture
def images(lab: Lab) -> Path:
    """A dataset of twelve images."""
    return write_images(lab.folder, f"ds_{uuid4().hex[:8]}")


def voc_zip() -> bytes:
    """Six pictures in Pascal VOC, with a box over the border, one outside and one that is none."""
    buffer = io.BytesIO()
    boxes = {
        0: [("cell", 40, 40, 120, 120), ("platelet", 200, 60, 240, 100)],
        1: [("cell", 40, 40, 120, 120), ("cell", -20, 10, 60, 90)],
        2: [("cell", 60, 60, 160, 140), ("cell", 5000, 5000, 5100, 5100)],
        3: [("artefact", 10, 10, 50, 50)],
        4: [],
    }
    with zipfile.ZipFile(buffer, "w") as archive:
        for index in range(6):
            _, data = cv2.imencode(".jpg", scene(index))
            archive.writestr(f"JPEGImages/p{index}.jpg", data.tobytes())
            if index not in boxes:
                continue
            objects = "".join(
                f"<object><name>{name}</name><bndbox><xmin>{x}</xmin><ymin>{y}</ymin>"
                f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
                for name, x, y, x2, y2 in boxes[index]
            )
            archive.writestr(
                f"Annotations/p{index}.xml",
                f"<annotation><filename>p{index}.jpg</filename>{objects}</annotation>",
            )
    return buffer.getvalue()


def drop(lab_page: LabPage, name: str, data: bytes) -> None:
    """Let go of a file over the gallery."""
    import base64

    content = base64.b64encode(data).decode()
    lab_page.page.evaluate(DROP, [[[name, content]], ".wb-gallery"])


def shown(gallery: Gallery, kind: str) -> Locator:
    """The page of an import or an export, once it is there."""
    page = gallery.root.locator(f'.wbp-page[data-kind="{kind}"]')
    page.wait_for()
    return page


@pytest.mark.smoke
def test_drop_a_zip_read_the_plan_change_a_class_apply_read_the_account_undo(
    lab_page: LabPage, images: Path
) -> None:
    gallery = show_gallery(lab_page, images)
    name = f"voc_{uuid4().hex[:8]}"
    made = images.parent / name
    drop(lab_page, f"{name}.zip", voc_zip())
    plan = shown(gallery, "plan")
    plan.get_by_text("Pascal VOC", exact=False).first.wait_for()
    keep_picture(lab_page.page, "import-plan")
    assert gallery.grid.is_hidden()
    assert not made.exists()
    plan.locator('.wbp-card[data-unit="annotations"]', has_text="of 7 found").wait_for()

    # From the keyboard: the class gets another name, one is left out.
    field = plan.get_by_label("platelet becomes")
    field.fill("thrombocyte")
    field.press("Tab")
    plan.locator("tr", has_text="platelet").locator('input[value="thrombocyte"]').wait_for()
    plan.get_by_label("Take artefact").press("Space")
    plan.locator("tr.wbp-gone", has_text="artefact").wait_for()
    assert plan.get_by_label("Take artefact").evaluate("own => own === document.activeElement")
    plan.get_by_label("train goes to").select_option("val")
    lab_page.page.keyboard.press("Control+Enter")

    account = shown(gallery, "account")
    account.get_by_role("button", name="Undo this import").wait_for()
    keep_picture(lab_page.page, "import-account")
    assert (made / "data.yaml").read_text().count("thrombocyte") == 1
    assert len(list((made / "images" / "val").iterdir())) == 6
    assert (made / "labels" / "val" / "p0.txt").read_text().count("\n") == 2
    units = account.get_by_role("region", name="Found = taken + left").locator("tr")
    cells = units.filter(has_text="annotations").locator("th, td").all_inner_texts()
    assert cells == ["annotations", "7", "= 5", "+ 2", "1"]
    row = account.locator(".wbp-row", has_text="reached over the border")
    row.get_by_role("button", name="Show the 1 line").click()
    account.get_by_role("region", name="Lines").get_by_text("Annotations/p1.xml").wait_for()

    account.get_by_role("button", name="Undo this import").click()
    gallery.wait_message(f"Undone: dataset '{name}' imported.")
    gallery.wait_count("12 images")
    assert not made.exists()


def test_the_pictures_that_an_account_speaks_of_are_shown(lab_page: LabPage, images: Path) -> None:
    gallery = show_gallery(lab_page, images)
    name = f"voc_{uuid4().hex[:8]}"
    drop(lab_page, f"{name}.zip", voc_zip())
    shown(gallery, "plan").get_by_role("button", name="Import 6 pictures").click()
    account = shown(gallery, "account")
    row = account.locator(".wbp-row", has_text="reached over the border")
    row.get_by_role("button", name="Show me the 1 picture").click()
    gallery.wait_count("1 of 6 images")
    gallery.cell("p1.jpg").wait_for()
    assert gallery.names() == ["p1.jpg"]
    gallery.button("Show all images").click()
    gallery.wait_count("6 images")
    gallery.button("Add images").click()
    gallery.button("Earlier imports…").click()
    accounts = shown(gallery, "accounts")
    accounts.get_by_text(f"{name}.zip (from the browser)").wait_for()
    accounts.locator(".wbp-link").click()
    account = shown(gallery, "account")
    lab_page.page.keyboard.press("Escape")
    gallery.wait_count("6 images")


def test_what_cannot_be_imported_is_said_and_nothing_is_written(
    lab_page: LabPage, images: Path
) -> None:
    gallery = show_gallery(lab_page, images)
    before = sorted(p.name for p in images.parent.iterdir())
    drop(lab_page, "broken.zip", b"no archive")
    page = shown(gallery, "error")
    page.get_by_text("expected a zip archive").wait_for()
    keep_picture(lab_page.page, "import-error")
    lab_page.page.keyboard.press("Escape")
    gallery.wait_count("12 images")
    assert sorted(p.name for p in images.parent.iterdir()) == before


def test_the_selection_is_downloaded_in_another_form(lab_page: LabPage, images: Path) -> None:
    gallery = show_gallery(lab_page, images)
    gallery.cell("img_00").click()
    gallery.cell("img_02").click(modifiers=["Control"])
    gallery.wait_selected(2)
    gallery.button("Export").click()
    page = shown(gallery, "export")
    page.get_by_label("Format", exact=True).select_option("createml")
    page.get_by_text("2 pictures, 3 annotations").wait_for()
    page.get_by_text("It holds all that there is.").wait_for()
    keep_picture(lab_page.page, "export")
    with lab_page.page.expect_download() as download:
        page.get_by_role("button", name="Download in the browser").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
    assert {"train/img_00.jpg", "train/img_02.jpg"} <= set(names)
    assert download.value.suggested_filename == f"{images.name}-createml.zip"

    target = images.parent.parent / f"{images.name}-out"
    page.get_by_label("Format", exact=True).select_option("coco")
    page.get_by_text("It holds all that there is.").wait_for()
    path = page.get_by_label("Folder or archive on the kernel’s machine")
    path.fill(str(target))
    path.press("Enter")
    gallery.wait_message("2 images exported to")
    eventually(lambda: len(list((target / "images" / "train").iterdir())), 2)
    assert len(CLASSES) == 3


def test_drop_a_video_choose_each_nth_frame_import_and_undo(
    lab_page: LabPage, images: Path, tmp_path: Path
) -> None:
    gallery = show_gallery(lab_page, images)
    name = f"clip_{uuid4().hex[:8]}"
    made = images.parent / name
    video = write_video(tmp_path / f"{name}.avi", seconds=4, fps=5, image_size=(640, 480))
    drop(lab_page, video.name, video.read_bytes())
    plan = shown(gallery, "plan")
    plan.get_by_role("button", name="Import 4 pictures").wait_for()
    plan.get_by_label("Frames of the videos").select_option("2")
    keep_picture(lab_page.page, "import-video")
    plan.get_by_role("button", name="Import 10 pictures").click()
    account = shown(gallery, "account")
    frames = sorted(path.name for path in (made / "images" / "train").iterdir())
    assert frames == [f"frame_{number:06d}.jpg" for number in range(0, 20, 2)]

    # Work since: the page asks before all of it goes to the trash.
    (made / "labels" / "train" / "frame_000000.txt").write_text("")
    account.get_by_role("button", name="Undo this import").click()
    account.get_by_text("has been worked on since it was imported (labels)").wait_for()
    keep_picture(lab_page.page, "import-undo-asked")
    assert made.exists()
    account.get_by_role("button", name="Undo it all the same").click()
    gallery.wait_message(f"Undone: dataset '{name}' imported.")
    assert not made.exists()
