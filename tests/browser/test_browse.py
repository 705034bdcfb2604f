"""The browse panel in a real JupyterLab, worked with mouse and keys; asserted on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import cv2
import numpy as np
import pytest

from tests.browser.annotating import Canvas, eventually, scene
from tests.browser.browsing import Gallery, show_gallery, write_images
from tests.browser.conftest import VIEWPORT, Lab, LabPage, keep_picture

pytestmark = pytest.mark.browser


@pytest.fixture
def images(lab: Lab) -> Path:
    """A dataset of twelve images."""
    return write_images(lab.folder, f"ds_{uuid4().hex[:8]}")


def split_of(root: Path, split: str) -> Callable[[], list[str]]:
    """Read the names of a split's images, whenever it is called."""
    return lambda: sorted(file.stem for file in (root / "images" / split).iterdir())


@pytest.mark.smoke
def test_filter_select_a_range_move_and_undo(lab_page: LabPage, images: Path) -> None:
    gallery = show_gallery(lab_page, images)
    gallery.wait_count("12 images")
    keep_picture(lab_page.page, "browse-light")
    gallery.query.click()
    gallery.query.press_sequentially("class:pl")
    gallery.root.get_by_role("option", name="class:platelet").wait_for()
    # What is half typed is no mistake while there are ways to go on.
    assert gallery.root.get_by_text("the classes are cell").count() == 0
    assert gallery.query.input_value() == "class:pl"
    keep_picture(lab_page.page, "browse-completion")
    gallery.query.press("ArrowDown")
    gallery.query.press("Enter")
    gallery.wait_count("3 of 12 images")
    assert gallery.names() == ["img_00.jpg", "img_04.jpg", "img_08.jpg"]

    gallery.filter("class:planet")
    gallery.root.get_by_text("did you mean class:platelet").wait_for()
    lab_page.page.set_viewport_size({"width": 700, "height": 950})
    gallery.root.get_by_text("did you mean class:platelet").wait_for()
    keep_picture(lab_page.page, "browse-problem")
    assert lab_page.page.evaluate(
        "(() => { const e = document.querySelector('.wbg-message');"
        "return e.scrollWidth <= e.clientWidth && e.scrollHeight <= e.clientHeight + 1; })()"
    ), "the whole message is shown, however narrow the page"
    lab_page.page.set_viewport_size(VIEWPORT)
    gallery.filter("boxes>0 sort:-name")
    gallery.wait_count("6 of 12 images")
    gallery.cell("img_08").click()
    gallery.cell("img_04").click(modifiers=["Shift"])
    gallery.wait_selected(3)
    gallery.cell("img_00").click(modifiers=["Control"])
    gallery.wait_selected(4)
    keep_picture(lab_page.page, "browse-selected")
    gallery.button("Move to").click()
    gallery.root.get_by_role("menuitem", name="val").click()
    eventually(split_of(images, "val"), ["img_00", "img_04", "img_06", "img_08"])
    assert (images / "labels" / "val" / "img_08.txt").is_file()
    gallery.wait_message("4 images moved to val.")
    gallery.button("Undo").click()
    eventually(split_of(images, "val"), [])
    assert len(list((images / "labels" / "train").iterdir())) == 7


def test_everything_from_the_keyboard_and_no_key_reaches_the_notebook(
    lab_page: LabPage, images: Path
) -> None:
    gallery = show_gallery(lab_page, images)
    cells = lab_page.page.locator(".jp-Notebook .jp-Cell")
    press = lab_page.page.keyboard.press
    gallery.grid.focus()
    for key in ("ArrowRight", "Space", "ArrowRight", "Shift+ArrowRight", "Shift+ArrowRight"):
        press(key)
    gallery.wait_selected(3)
    press("i")
    gallery.wait_selected(9)
    press("Escape")
    gallery.wait_selected(0)
    press("Control+a")
    gallery.wait_selected(12)
    press("Escape")
    press("End")
    press("Space")
    gallery.wait_selected(1)
    active = gallery.grid.get_attribute("aria-activedescendant")
    label = lab_page.page.locator(f"#{active}").get_attribute("aria-label")
    assert label == "img_11.jpg, train, unlabelled"
    press("Delete")
    eventually(lambda: len(split_of(images, "train")()), 11)
    press("Control+z")
    eventually(lambda: len(split_of(images, "train")()), 12)
    for key in ("a", "b", "d", "d", "x", "Home", "/"):
        press(key)
    lab_page.page.keyboard.type("dd unlabelled")
    press("Enter")
    gallery.wait_count("0 of 12 images")
    gallery.root.get_by_text("No image matches.").wait_for()
    assert cells.count() == 1


def test_crops_are_reclassified_and_deleted(lab_page: LabPage, images: Path) -> None:
    gallery = show_gallery(lab_page, images)
    gallery.root.get_by_role("radio", name="Objects").click()
    gallery.wait_count("9 boxes")
    gallery.wait_painted()
    keep_picture(lab_page.page, "browse-objects")
    gallery.filter("class:platelet")
    gallery.wait_count("3 boxes")
    gallery.wait_painted()
    gallery.cell("img_04").click()
    gallery.button("Change class").click()
    gallery.root.get_by_role("menuitem", name="crystal").click()
    label = images / "labels" / "train" / "img_04.txt"
    eventually(lambda: [line[0] for line in label.read_text().splitlines()], ["0", "2"])
    gallery.wait_count("2 boxes")
    gallery.cell("img_08").click()
    gallery.button("Delete boxes").click()
    label = images / "labels" / "train" / "img_08.txt"
    eventually(lambda: [line[0] for line in label.read_text().splitlines()], ["0"])
    gallery.wait_message("1 box deleted.")


def test_images_open_in_the_annotator_and_come_back_labelled(
    lab_page: LabPage, images: Path
) -> None:
    gallery = show_gallery(lab_page, images)
    gallery.filter("unlabelled")
    gallery.wait_count("5 of 12 images")
    gallery.cell("img_05").dblclick()
    canvas = Canvas(lab_page.page)
    canvas.wait_for("img_05.jpg")
    lab_page.page.locator(".wb-stage:focus").wait_for()
    canvas.drag((100, 100), (200, 200))
    canvas.wait_saved()
    keep_picture(lab_page.page, "browse-annotate")
    lab_page.page.get_by_role("button", name="Back to the gallery").click()
    gallery.wait_count("4 of 12 images")
    assert (images / "labels" / "train" / "img_05.txt").read_text().startswith("0 ")
    gallery.root.locator(".wbg-scroll:focus").wait_for()  # keys go on here
    gallery.filter("")
    gallery.wait_count("12 images")
    gallery.cell("img_02").click()
    gallery.cell("img_03").click(modifiers=["Control"])
    gallery.button("Annotate").click()
    canvas.wait_for("img_02.jpg")
    canvas.root.get_by_text("of 2", exact=False).first.wait_for()
    lab_page.page.locator(".wb-stage:focus").wait_for()  # keys are meant for the picture
    lab_page.page.keyboard.press("d")
    canvas.wait_for("img_03.jpg")


def test_what_was_deleted_is_restored_from_the_trash(lab_page: LabPage, images: Path) -> None:
    gallery = show_gallery(lab_page, images)
    gallery.cell("img_04").click()
    gallery.button("Delete").click()
    gallery.wait_message("1 image moved to the trash.")
    assert len(split_of(images, "train")()) == 11
    gallery.root.get_by_role("radio", name="Trash").click()
    deleted = gallery.grid.get_by_role("option", name="img_04.jpg, train, deleted")
    deleted.click()  # not the image of this name, which may be there a moment longer
    gallery.wait_selected(1)
    keep_picture(lab_page.page, "browse-trash")
    gallery.button("Restore").click()
    gallery.wait_message("1 item restored.")
    assert len(split_of(images, "train")()) == 12
    assert (images / "labels" / "train" / "img_04.txt").is_file()
    gallery.root.get_by_text("The trash is empty.").wait_for()
    gallery.button("Undo").click()
    gallery.wait_message("Undone: 1 item restored")
    assert len(split_of(images, "train")()) == 11
    deleted.wait_for()


def test_files_are_added_by_choosing_and_by_dropping(lab_page: LabPage, images: Path) -> None:
    gallery = show_gallery(lab_page, images)
    gallery.button("Add images").click()
    keep_picture(lab_page.page, "browse-add")
    gallery.button("Import").click()  # with nothing to import: the dialog stays, and asks for it
    path = gallery.root.get_by_label("Path on the kernel’s machine")
    assert path.evaluate("(field) => field.matches(':invalid:focus')")
    gallery.root.get_by_label("Add to split").select_option("val")
    noise = np.random.default_rng(0).integers(0, 255, (900, 1000, 3), dtype=np.uint8)
    big = cv2.imencode(".png", noise)[1].tobytes()
    assert len(big) > 2 * 2**20  # goes in several pieces
    files = [
        {"name": "big.png", "mimeType": "image/png", "buffer": big},
        {"name": "bad.jpg", "mimeType": "image/jpeg", "buffer": b"no image"},
    ]
    files.append({"name": "talk.pdf", "mimeType": "application/pdf", "buffer": b"no image"})
    gallery.root.locator("input[type=file]:not([webkitdirectory])").set_input_files(files)  # type: ignore[arg-type]
    eventually(split_of(images, "val"), ["big"])
    assert (images / "images" / "val" / "big.png").read_bytes() == big
    gallery.wait_message("1 image added to val. 2 files refused: talk.pdf")
    gallery.button("All 2").click()
    gallery.root.get_by_role("dialog", name="Details").get_by_text("bad.jpg").wait_for()
    keep_picture(lab_page.page, "browse-refused")
    lab_page.page.keyboard.press("Escape")
    transfer = lab_page.page.evaluate_handle(
        """(bytes) => { const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], "dropped.png", {type: "image/png"}));
        return data; }""",
        list(cv2.imencode(".png", scene(41, 128, 96))[1].tobytes()),
    )
    for event in ("dragenter", "dragover", "drop"):
        gallery.grid.dispatch_event(event, {"dataTransfer": transfer})
    eventually(split_of(images, "val"), ["big", "dropped"])
    gallery.wait_count("14 images")


def test_pictures_stay_while_the_list_is_brought_up_to_date(
    lab_page: LabPage, images: Path
) -> None:
    gallery = show_gallery(lab_page, images)
    lab_page.page.evaluate(
        """() => {
            const grid = document.querySelector(".wbg-scroll");
            const count = () => grid.querySelectorAll(".wbg-cell:not([hidden]) img").length;
            window.fewest = count();
            window.most = count();
            const look = () => { window.fewest = Math.min(window.fewest, count()); };
            new MutationObserver(look).observe(grid, { childList: true, subtree: true });
        }"""
    )
    gallery.cell("img_01").click()
    gallery.button("Tag").click()
    lab_page.page.keyboard.type("odd")
    lab_page.page.keyboard.press("Enter")
    gallery.wait_message("1 image tagged 'odd'.")
    gallery.root.locator(".wbg-chip", has_text="# odd").wait_for()
    gallery.wait_painted()
    assert lab_page.page.evaluate("window.most") == 12
    assert lab_page.page.evaluate("window.fewest") == 12


@pytest.mark.nightly
def test_a_word_is_typed_in_a_menu_and_what_changed_outside_is_looked_for(
    lab_page: LabPage, images: Path
) -> None:
    gallery = show_gallery(lab_page, images)
    page = lab_page.page
    gallery.cell("img_04").click()
    gallery.button("More").click()
    page.keyboard.type("clear l")  # its space must not press the item that "c" has found
    item = gallery.root.get_by_role("menuitem", name="Clear labels")
    assert item.evaluate("own => own === document.activeElement")
    page.keyboard.press("Escape")
    (images / "images" / "train" / "img_00.jpg").rename(images / "images" / "train" / "new.jpg")
    page.keyboard.press("r")
    gallery.cell("new.jpg").wait_for()
    assert (images / "labels" / "train" / "img_04.txt").is_file()
    assert gallery.button("Undo").get_attribute("title") == "Nothing was changed here yet."


@pytest.mark.nightly
def test_among_many_classes_one_is_looked_for(lab_page: LabPage, images: Path) -> None:
    names = "\n".join(f"  {number}: part {number} of things" for number in range(40))
    (images / "data.yaml").write_text(f"train: images/train\nval: images/val\nnames:\n{names}\n")
    gallery = show_gallery(lab_page, images)
    gallery.root.get_by_role("radio", name="Objects").click()
    gallery.wait_count("9 boxes")
    gallery.wait_painted()
    gallery.cell("img_02").click()
    gallery.button("Change class").click()
    lab_page.page.keyboard.type("thi 37")
    keep_picture(lab_page.page, "browse-many-classes")
    assert gallery.root.get_by_role("menuitem").all_inner_texts() == ["part 37 of things"]
    lab_page.page.keyboard.press("Enter")
    label = images / "labels" / "train" / "img_02.txt"
    eventually(lambda: label.read_text().split()[0], "37")


def test_a_kernel_that_is_gone_is_said(lab_page: LabPage, images: Path) -> None:
    gallery = show_gallery(lab_page, images)
    lab_page.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    gallery.wait_message("The kernel was restarted or has ended: run the cell again to go on.")
    gallery.filter("img_04")  # an error of the page would fail the test
    gallery.cell("img_02").click()
    gallery.wait_selected(1)


@pytest.mark.nightly
def test_in_the_dark_and_in_a_narrow_cell(
    open_lab_page: Callable[..., LabPage], images: Path
) -> None:
    lab_page = open_lab_page(viewport={"width": 900, "height": 950})
    gallery = show_gallery(lab_page, images)
    lab_page.set_theme("JupyterLab Dark")
    gallery.cell("img_02").click()
    gallery.wait_selected(1)
    gallery.wait_painted()
    keep_picture(lab_page.page, "browse-dark-narrow")
    bounds = gallery.root.bounding_box()
    assert bounds is not None
    for name in ("Annotate", "Move to", "Delete", "Undo", "Add images", "Boxes"):
        box = gallery.button(name).bounding_box()
        assert box is not None
        assert box["x"] >= bounds["x"], name
        assert box["x"] + box["width"] <= bounds["x"] + bounds["width"], name


def test_a_long_gallery_is_reached_to_its_end_with_few_elements(
    lab_page: LabPage, lab: Lab
) -> None:
    root = write_images(lab.folder, f"ds_{uuid4().hex[:8]}", images=3)
    folder = root / "images" / "train"
    for number in range(2000):
        (folder / f"copy_{number:04}.jpg").hardlink_to(folder / "img_01.jpg")
    gallery = show_gallery(lab_page, root)
    gallery.wait_count("2,003 images")
    first = gallery.names()
    assert first[0] == "copy_0000.jpg"
    gallery.grid.focus()
    lab_page.page.keyboard.press("End")
    gallery.cell("img_02.jpg").wait_for()
    gallery.wait_painted()
    assert gallery.root.locator(".wbg-cell").count() < 120
    lab_page.page.keyboard.press("Control+a")
    gallery.wait_selected(2003)
    lab_page.page.keyboard.press("Home")
    gallery.cell("copy_0000.jpg").wait_for()
    gallery.wait_painted()
    assert gallery.names() == first
    # For who has it read out: elements that were used again follow each other as they are seen.
    eventually(gallery.grid.locator(".wbg-cell:visible .wbg-name").all_inner_texts, first)


def test_the_workbench_has_it_as_a_tab(lab_page: LabPage, images: Path) -> None:
    lab_page.lab.write_notebook(
        "tabs.ipynb",
        "from workbench import Workbench",
        f"wb = Workbench({str(images.parent)!r}); wb",
    )
    lab_page.open_notebook("tabs.ipynb")
    lab_page.run_all()
    page = lab_page.page
    page.get_by_role("tab", name="Browse", exact=True).click()
    gallery = Gallery(page)
    gallery.wait_painted()
    page.get_by_role("combobox", name="Dataset").select_option(label=f"{images.name} (12 images)")
    gallery.wait_count("12 images")
    gallery.wait_painted()
    gallery.grid.focus()
    page.keyboard.press("End")
    page.get_by_role("tab", name="Annotate", exact=True).click()
    Canvas(page).wait_for("img_00.jpg")
    page.get_by_role("tab", name="Browse", exact=True).click()
    gallery.cell("img_11").wait_for()
    keep_picture(page, "browse-tabs")
