"""From an empty folder to a gallery, without a line of code but two."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Locator

from tests.browser.annotating import PANEL, Canvas, eventually, pixel_rows, write_dataset
from tests.browser.browsing import write_images
from tests.browser.conftest import KERNEL_IS_IDLE, LabPage, keep_picture

pytestmark = pytest.mark.browser


def test_a_dataset_is_made_from_an_empty_folder(lab_page: LabPage, tmp_path: Path) -> None:
    page = lab_page.page
    lab_page.lab.write_notebook(
        "home.ipynb", "from workbench import Workbench", f"Workbench({str(tmp_path / 'data')!r})"
    )
    lab_page.open_notebook("home.ipynb")
    lab_page.run_all()
    home = page.get_by_role("region", name="Datasets")
    home.get_by_text("There is no dataset yet").wait_for()
    keep_picture(page, "home-empty")
    home.get_by_role("button", name="New dataset").click()
    page.keyboard.type("cups/red")
    page.keyboard.press("Tab")
    page.keyboard.type("cup, saucer")
    page.keyboard.press("Enter")
    form = home.get_by_role("form", name="New dataset")
    form.get_by_role("alert").get_by_text("holds a slash").wait_for()
    page.keyboard.type("cups")  # the name is selected, and the classes are kept
    page.keyboard.press("Enter")
    page.locator(".wb-gallery:visible").get_by_text("No images yet").wait_for()
    assert "1: saucer" in (tmp_path / "data" / "cups" / "data.yaml").read_text()

    root = write_images(tmp_path / "other", "pets")
    root.rename(tmp_path / "data" / "pets")
    page.get_by_role("tab", name="Home", exact=True).click()
    card = home.get_by_role("listitem", name="pets")
    card.get_by_text("No image is in val").wait_for()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.wbh-picture')]"
        ".some((one) => one.style.backgroundImage)"
    )
    keep_picture(page, "home-light")
    lab_page.set_theme("JupyterLab Dark")
    keep_picture(page, "home-dark")
    page.set_viewport_size({"width": 700, "height": 900})
    keep_picture(page, "home-narrow")
    page.set_viewport_size({"width": 1400, "height": 950})
    lab_page.set_theme("JupyterLab Light")

    card.get_by_role("button", name="Delete").click()
    eventually(lambda: (tmp_path / "data" / "pets").exists(), False)
    home.get_by_role("button", name="Undo").click()
    eventually(lambda: (tmp_path / "data" / "pets").exists(), True)
    card.get_by_role("button", name="Choose splits …").click()
    page.get_by_text("Stratify by class").wait_for()
    page.get_by_role("tab", name="Home", exact=True).click()
    card.get_by_role("button", name="Annotate").click()
    page.locator(".wb-annotate:visible").wait_for()


def test_a_long_class_name_widens_no_card(lab_page: LabPage, dataset: Path, tmp_path: Path) -> None:
    page, listed = lab_page.page, dataset / "data.yaml"
    listed.write_text(listed.read_text().replace("platelet", "p" * 200))
    lab_page.lab.write_notebook(
        "long.ipynb",
        "from workbench import Workbench",
        f"wb = Workbench({str(dataset.parent)!r})\nwb.home()",
        f"wb.train({dataset.name!r})",
    )
    lab_page.open_notebook("long.ipynb")
    lab_page.run_all()
    home = page.get_by_role("region", name="Datasets")
    home.get_by_role("listitem", name=dataset.name).get_by_text("p" * 200).wait_for()
    assert home.evaluate("own => own.scrollWidth <= own.clientWidth")

    # Jupyter's own widgets say `outline: none !important`.
    field = page.locator(".jp-CodeCell").nth(2).locator(".wb-panel select").first
    field.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    assert field.evaluate("own => getComputedStyle(own).outlineStyle") == "solid"


def test_a_click_that_waits_for_a_busy_kernel_says_so(lab_page: LabPage, tmp_path: Path) -> None:
    page, end = lab_page.page, tmp_path / "end"
    lab_page.lab.write_notebook(
        "busy.ipynb",
        f"from workbench import Workbench\nWorkbench({str(tmp_path / 'data')!r})",
        f"import pathlib, time\nend = pathlib.Path({str(end)!r})",
        "while not end.exists():\n    time.sleep(0.1)",
    )
    lab_page.open_notebook("busy.ipynb")
    for _ in range(2):
        lab_page.execute("notebook:run-cell-and-select-next")
    page.get_by_role("region", name="Datasets").get_by_text("There is no dataset yet").wait_for()
    page.evaluate(
        """() => {
            const panel = window.jupyterapp.shell.currentWidget;
            panel.content.activeCellIndex = 2;
            void window.jupyterapp.commands.execute('notebook:run-cell');
        }"""
    )
    page.wait_for_function(KERNEL_IS_IDLE.replace("idle", "busy"))
    page.get_by_role("tab", name="Train", exact=True).click()
    told = page.get_by_text("The kernel is busy")
    told.wait_for()
    assert told.count() == 1, "the panels within say nothing of it"
    end.touch()
    told.wait_for(state="detached")


def test_a_dataset_without_classes_asks_for_one_before_a_box(
    lab_page: LabPage, tmp_path: Path
) -> None:
    root = write_dataset(tmp_path, "bare")
    (root / "labels" / "train" / "img_0.txt").unlink()
    (root / "data.yaml").write_text("train: images/train\nval: images/val\nnames: {}\n")
    cell = PANEL.format(data=str(root.parent), models=str(tmp_path / "models"), name="bare")
    lab_page.lab.write_notebook("bare.ipynb", cell)
    lab_page.open_notebook("bare.ipynb")
    lab_page.run_all()
    page = lab_page.page
    canvas = Canvas(page)
    canvas.wait_for("img_0.jpg")
    canvas.drag((100, 100), (200, 180))
    page.get_by_text("Name a class first").first.wait_for()
    search = page.get_by_role("combobox", name="Find or add a class")
    page.wait_for_function("() => document.activeElement?.classList.contains('wb-class-search')")
    page.keyboard.type("red cell")
    page.get_by_role("button", name="Add class “red cell”").wait_for()
    keep_picture(page, "annotate-add-class")
    search.press("Enter")
    page.get_by_role("option", name="red cell").wait_for()
    canvas.drag((100, 100), (200, 180))
    label = root / "labels" / "train" / "img_0.txt"
    eventually(label.exists, True)
    assert pixel_rows(label)[0][0] == 0
    assert "0: red cell" in (root / "data.yaml").read_text()


def _middle(element: Locator) -> tuple[float, float]:
    box = element.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def _shown(home: Locator, kind: str) -> Locator:
    """The page of an import, once it is there."""
    page = home.locator(f'.wbp-page[data-kind="{kind}"]')
    page.wait_for()
    return page


def test_a_dataset_comes_from_the_browsers_machine_and_goes_there(
    lab_page: LabPage, tmp_path: Path
) -> None:
    page = lab_page.page
    root = write_images(tmp_path / "other", "pets")
    archive = shutil.make_archive(str(tmp_path / "zoo"), "zip", root)
    data = tmp_path / "data"
    lab_page.lab.write_notebook(
        "bring.ipynb", "from workbench import Workbench", f"Workbench({str(data)!r})"
    )
    lab_page.open_notebook("bring.ipynb")
    lab_page.run_all()
    home = page.get_by_role("region", name="Datasets")
    home.get_by_role("button", name="Bring in …").click()
    keep_picture(page, "home-bring-in")
    with page.expect_file_chooser() as chooser:
        home.get_by_role("button", name="Choose pictures, a zip or a video …").click()
    chooser.value.set_files(archive)
    plan = _shown(home, "plan")
    name = plan.get_by_label("Name of the new dataset")
    assert name.input_value() == "zoo"
    assert not (data / "zoo").exists()
    assert home.get_by_role("button", name="New dataset").is_hidden()
    field = plan.get_by_label("platelet becomes")
    field.fill("thrombocyte")
    field.press("Tab")
    plan.locator("tr", has_text="platelet").locator('input[value="thrombocyte"]').wait_for()
    keep_picture(page, "home-plan")
    plan.get_by_role("button", name="Import 12 pictures").click()
    account = _shown(home, "account")
    assert account.get_by_role("heading", name="Imported into zoo").is_visible()
    keep_picture(page, "home-account")
    pictures = sorted(file.name for file in root.rglob("*.jpg"))
    assert sorted(file.name for file in (data / "zoo").rglob("*.jpg")) == pictures
    assert "thrombocyte" in (data / "zoo" / "data.yaml").read_text()
    account.get_by_role("button", name="Open zoo").click()
    page.locator(".wb-gallery:visible").get_by_text("12 images").first.wait_for()

    # Chromium goes on calling the home page hovered, which was left by Enter: no key is its.
    page.get_by_role("tab", name="Annotate", exact=True).click()
    stage = page.locator(".wb-stage[data-shown]")
    stage.wait_for()
    shown = stage.get_attribute("data-shown")
    page.mouse.move(*_middle(stage))
    page.keyboard.press("d")
    page.wait_for_function(
        "shown => document.querySelector('.wb-stage').dataset.shown !== shown", arg=shown
    )

    page.get_by_role("tab", name="Home", exact=True).click()
    card = home.get_by_role("listitem", name="zoo")
    with page.expect_download() as download:
        card.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "zoo.zip"
    with zipfile.ZipFile(download.value.path()) as taken:
        found = sorted(Path(name).name for name in taken.namelist() if name.endswith(".jpg"))
    assert found == pictures
    keep_picture(page, "home-card")

    # Dropped, as a file manager does it.
    page.evaluate(
        """async () => {
            const canvas = new OffscreenCanvas(64, 48);
            canvas.getContext("2d").fillRect(0, 0, 64, 48);
            const blob = await canvas.convertToBlob({ type: "image/png" });
            const transfer = new DataTransfer();
            for (const name of ["one.png", "two.png"])
                transfer.items.add(new File([blob], name, { type: "image/png" }));
            const root = document.querySelector(".wb-home");
            for (const type of ["dragenter", "dragover", "drop"])
                root.dispatchEvent(new DragEvent(
                    type, { dataTransfer: transfer, bubbles: true, cancelable: true },
                ));
        }"""
    )
    plan = _shown(home, "plan")
    plan.get_by_label("Name of the new dataset").fill("dropped")
    page.keyboard.press("Control+Enter")
    account = _shown(home, "account")
    assert len(list((data / "dropped").rglob("*.png"))) == 2
    card = home.locator("article[aria-label=dropped]")
    card.get_by_text("There are no classes yet.").wait_for(state="attached")
    assert card.locator("button", has_text="Annotate").count() == 1, "what is next is said once"
    account.get_by_role("button", name="Undo this import").click()
    home.get_by_text("Undone: dataset 'dropped' imported.").wait_for()
    home.get_by_role("listitem", name="zoo").wait_for()
    assert not (data / "dropped").exists()


def test_a_mistyped_path_stays_and_nearly_the_same_class_is_offered(
    lab_page: LabPage, tmp_path: Path
) -> None:
    page = lab_page.page
    data = tmp_path / "data"
    write_images(tmp_path, "pets")
    more = write_images(tmp_path / "given", "more")
    yaml = more / "data.yaml"
    yaml.write_text(yaml.read_text().replace("platelet", "Platelets"))
    lab_page.lab.write_notebook(
        "near.ipynb", "from workbench import Workbench", f"Workbench({str(data)!r})"
    )
    lab_page.open_notebook("near.ipynb")
    lab_page.run_all()
    home = page.get_by_role("region", name="Datasets")
    home.get_by_role("button", name="Bring in …").click()
    field = home.get_by_label("Or a folder, archive or annotation file on the machine")
    field.fill(str(more.with_name("mroe")))
    field.press("Enter")
    error = _shown(home, "error")
    error.get_by_text(f"did you mean {more}?").wait_for()
    keep_picture(page, "home-near")
    error.get_by_role("button", name="Back to all datasets").click()
    assert field.input_value() == str(more.with_name("mroe"))
    field.fill(str(more))
    field.press("Enter")
    plan = _shown(home, "plan")
    assert plan.get_by_role("columnheader", name="Boxes found").is_visible()
    assert plan.get_by_role("columnheader", name="Boxes taken").is_visible()
    plan.get_by_label("Into the dataset").check()
    plan.get_by_text("12 pictures are there already").wait_for()
    offer = plan.get_by_role("button", name="It is platelet")
    offer.wait_for()
    keep_picture(page, "home-merge")
    offer.click()
    offer.wait_for(state="detached")
    assert plan.get_by_label("Platelets becomes").input_value() == "platelet"
    plan.get_by_text("7 pictures have the same labels already").wait_for()
    plan.get_by_role("button", name="Cancel").click()
    home.get_by_role("button", name="Bring in …").click()
    assert field.input_value() == ""


def test_links_are_followed_after_a_question_and_no_longer_on_a_click(
    lab_page: LabPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = lab_page.page
    data = tmp_path / "data"
    root = write_images(tmp_path, "pets")
    (tmp_path / "far").mkdir()
    first = min((root / "images" / "train").iterdir())
    first.rename(tmp_path / "far" / first.name)
    first.symlink_to(tmp_path / "far" / first.name)
    lab_page.lab.write_notebook(
        "links.ipynb",
        f"import os; os.environ['XDG_STATE_HOME'] = {str(tmp_path / 'state')!r}",
        "from workbench import Workbench",
        f"Workbench({str(data)!r})",
    )
    lab_page.open_notebook("links.ipynb")
    lab_page.run_all()
    home = page.get_by_role("region", name="Datasets")
    card = home.get_by_role("listitem", name="pets")
    card.get_by_role("button", name="They are mine …").click()
    question = home.get_by_role("form", name="Are the links of pets your own?")
    question.get_by_text("a stranger’s link may lead to any file").wait_for()
    keep_picture(page, "home-links-question")
    page.keyboard.press("Enter")  # agrees to nothing
    question.wait_for(state="hidden")
    assert not (tmp_path / "state").exists()
    card.get_by_role("button", name="They are mine …").click()
    question.get_by_role("button", name="They are mine").click()
    card.get_by_text("are followed").wait_for()
    keep_picture(page, "home-links-trusted")
    card.get_by_role("button", name="Not mine").click()
    card.get_by_role("button", name="They are mine …").wait_for()
