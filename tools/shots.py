"""Render every panel in every state, and lay the pictures side by side on one sheet.

``python -m tools.shots`` makes data and a small model, opens each state in a real JupyterLab, and
takes it light, dark and narrow (700 pixels). The pictures and the sheet, ``sheet.html``, go to
``build/shots``: for a person to look at, nothing is compared. ``--only home,train`` takes some
panels; ``--out DIR`` another folder; ``--contrast`` takes them in high contrast instead.

All states are shown by one kernel in one page, one after the other, each for at most a minute; so
all of them take minutes. What was cut off goes on with ``--missing``, which leaves out states whose
pictures are there.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import cv2
from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import Error as BrowserError

from tests.browser.conftest import Lab, LabPage, find_chromium, running_lab
from workbench import samples
from workbench.datasets.dataset import Dataset
from workbench.labelling import ModelLabeller
from workbench.labelling.predictor import Predictor
from workbench.persistence import Stores, create_stores
from workbench.training.config import TrainingConfig
from workbench.training.runner import TrainingRunner

OUT = Path("build", "shots")
WIDE, NARROW = (1440, 1000), (700, 1000)
ROOM = 220
"""What JupyterLab takes above and below a panel."""
Look = tuple[str, str, tuple[int, int]]
LOOKS: tuple[Look, ...] = (
    ("light", "JupyterLab Light", WIDE),
    ("dark", "JupyterLab Dark", WIDE),
    ("narrow", "JupyterLab Light", NARROW),
)
CONTRASTS: tuple[Look, ...] = (
    ("contrast", "JupyterLab Dark High Contrast", WIDE),
    ("forced", "JupyterLab Light", WIDE),
)
"""Of high contrast: a theme of JupyterLab, and a system that chooses the colours itself."""
COMES_MS, SETTLED_MS, SETTLES_MS = 1500, 600, 4000
"""What a panel has to find its data; so long nothing has changed: plots and thumbnails, which come
when they are in sight, are there; and the longest that is waited for it."""
SETTLED = """([still, longest]) => new Promise((resolve) => {
    const seen = document.querySelector(".jp-Notebook");
    let timer = setTimeout(done, still);
    const end = setTimeout(done, longest);
    const observer = new MutationObserver(() => {
        clearTimeout(timer);
        timer = setTimeout(done, still);
    });
    observer.observe(seen, { subtree: true, childList: true, attributes: true });
    function done() {
        observer.disconnect();
        clearTimeout(timer);
        clearTimeout(end);
        resolve();
    }
})"""
SHOW = """(source) => {
    const content = window.jupyterapp.shell.currentWidget.content;
    content.activeCellIndex = 1;
    const cell = content.model.cells.get(1);
    cell.sharedModel.setSource(source);
    cell.clearExecution();
    void window.jupyterapp.commands.execute("notebook:run-cell");
}"""
IS_SHOWN = """() => {
    const cell = window.jupyterapp.shell.currentWidget.content.model.cells.get(1);
    return cell.executionCount !== null;
}"""
NOTEBOOK = "panels.ipynb"
LONGEST_MS = 60_000
START = """
from workbench import Workbench
{name} = Workbench({folder!r} + "/data")
"""


def _nothing(_page: Page) -> None:
    """Leave the panel as it opens."""


def _press(*names: str) -> Callable[[Page], None]:
    """Return what presses buttons, tabs or menu items of these names, one after the other."""

    def act(page: Page) -> None:
        for name in names:
            page.locator(
                f'.jp-OutputArea-output :is(button, [role=tab]):has-text("{name}"):visible'
            ).first.click(timeout=LONGEST_MS)

    return act


def _evaluate(*names: str) -> Callable[[Page], None]:
    """Return what evaluates, and then presses others."""

    def act(page: Page) -> None:
        _press("Evaluate")(page)
        page.locator(".wbe-figures").wait_for(timeout=LONGEST_MS)
        _press(*names)(page)

    return act


def _filter_wrongly(page: Page) -> None:
    page.get_by_label("Filter", exact=True).fill("class:planet boxes>>3")
    page.keyboard.press("Enter")


def _open_menu(page: Page) -> None:
    page.wait_for_selector('.wb-stage[data-shown$=".jpg"], .wb-stage[data-shown$=".png"]')
    page.locator(".wb-stage").focus()
    for key in ("i", "Tab", "m"):
        page.keyboard.press(key)


def _review(page: Page) -> None:
    page.wait_for_selector('.wb-stage[data-shown$=".jpg"], .wb-stage[data-shown$=".png"]')
    page.locator(".wb-stage").focus()
    page.keyboard.press("Tab")


@dataclass(frozen=True, slots=True)
class State:
    """One state of one panel.

    Parameters
    ----------
    panel, name : str
    cell : str
        Shows it; ``full`` is a workbench with data and a model, ``empty`` one with neither.
    act : callable
        Works the page, once it is shown.
    """

    panel: str
    name: str
    cell: str
    act: Callable[[Page], None] = _nothing


STATES = (
    State("home", "empty", "empty.home()"),
    State("home", "full", "full.home()"),
    State("home", "bring-in", "full.home()", _press("Bring in")),
    State("tabs", "empty", "empty"),
    State("tabs", "annotate", "full.open('shapes', 'Annotate')"),
    State("capture", "full", "full.capture('shapes')"),
    State("browse", "bare", "full.browse('bare')"),
    State("browse", "full", "full.browse('shapes')"),
    State("browse", "error", "full.browse('shapes')", _filter_wrongly),
    State("browse", "export", "full.browse('shapes')", _press("Export")),
    State("annotate", "bare", "full.annotate('bare')"),
    State("annotate", "full", "full.annotate('shapes')"),
    State("annotate", "menu", "full.annotate('shapes')", _open_menu),
    State("annotate", "review", "full.annotate('review', only='suggested')", _review),
    State("browse", "suggested", "full.browse('review')", _press("Suggested")),
    State("curate", "health", "full.curate('shapes')", _press("Check")),
    State("curate", "statistics", "full.curate('shapes')", _press("Statistics")),
    State("curate", "splits", "full.curate('shapes')", _press("Splits")),
    State("curate", "classes", "full.curate('shapes')", _press("Classes")),
    State("curate", "versions", "full.curate('shapes')", _press("Versions")),
    State("train", "empty", "empty.train()"),
    State("train", "full", "full.train('shapes')"),
    State("train", "checks", "full.train('bare')", _press("Start")),
    State("tabs", "train", "full.open('shapes', 'Train')"),
    State("evaluate", "empty", "empty.evaluate()"),
    State("evaluate", "full", "full.evaluate('shapes')", _evaluate()),
    State("evaluate", "mistakes", "full.evaluate('shapes')", _evaluate("Mistakes")),
    State("models", "empty", "empty.models()"),
    State("models", "full", "full.models()"),
    State("models", "try", "full.models()", _press("Try")),
)


async def arrange(folder: Path) -> None:
    """Put datasets and a model that has hardly learnt anything into a folder."""
    (folder / "empty").mkdir()
    home = folder / "full"
    stores = create_stores(home / "data", home / "models")
    await samples.create_shapes(stores, "shapes", num_images=60, image_size=160, seed=3)
    await stores.dataset.create("bare", [])
    await suggest(stores)
    runner = TrainingRunner(stores, home / "runs")
    config = TrainingConfig(
        dataset="shapes", base_model="yolo11n.yaml", epochs=2, image_size=64, workers=0
    )
    run = await runner.start(config)
    await run.wait()


async def suggest(stores: Stores) -> None:
    """Make a dataset on which the sample detector has suggested boxes, and nothing else is."""
    await samples.create_shapes(stores, "review", num_images=30, image_size=(480, 320), seed=7)
    dataset = Dataset(stores, "review")
    for image in await stores.image.list("review"):
        await stores.label.delete("review", image.split, image.filename)
    predictor = Predictor(stores, device="cpu")
    try:
        await dataset.prelabel("unlabelled", ModelLabeller(predictor, samples.DETECTOR))
    finally:
        predictor.close()


def starts(folder: Path) -> str:
    """Return the cell that makes ``empty`` and ``full`` of what `arrange` has put into a folder."""
    return "".join(START.format(name=name, folder=str(folder / name)) for name in ("empty", "full"))


def pictures_of(state: State, out: Path, looks: Sequence[Look]) -> list[Path]:
    """Return where the pictures of a state are, or will be."""
    return [out / f"{state.panel}-{state.name}-{look}.png" for look, _, _ in looks]


def open_page(lab: Lab, browser: Browser) -> LabPage:
    """Open the notebook in which all states are shown, one after the other in its second cell."""
    lab.write_notebook(NOTEBOOK, starts(lab.folder), "None")  # an empty cell has no count
    lab_page = LabPage(browser.new_page(), lab)
    lab_page.page.on("pageerror", lab_page.note_error)
    lab_page.page.set_default_timeout(LONGEST_MS)
    lab_page.open_notebook(NOTEBOOK)
    lab_page.execute("application:toggle-left-area")
    lab_page.run_all()
    return lab_page


def settle(page: Page) -> None:
    """Wait until nothing changes any more, or long enough."""
    page.evaluate(SETTLED, [SETTLED_MS, SETTLES_MS])


def take(state: State, lab_page: LabPage, out: Path, looks: Sequence[Look] = LOOKS) -> list[Path]:
    """Take a state light, dark and narrow, or in other looks; return the pictures."""
    page = lab_page.page
    _look(lab_page, looks[0])
    page.evaluate(SHOW, state.cell)
    page.wait_for_function(IS_SHOWN, timeout=LONGEST_MS)
    shown = page.locator(".jp-Cell").nth(1).locator(".jp-OutputArea-output").last
    shown.wait_for(timeout=LONGEST_MS)
    page.wait_for_timeout(COMES_MS)
    settle(page)
    state.act(page)
    page.wait_for_timeout(COMES_MS)
    made = pictures_of(state, out, looks)
    for look, path in zip(looks, made, strict=True):
        _look(lab_page, look)
        _, _, (width, height) = look
        box = shown.bounding_box()
        if box is not None and box["height"] > height - ROOM:  # all of it, not what is in sight
            page.set_viewport_size({"width": width, "height": int(box["height"]) + ROOM})
            settle(page)
        shown.screenshot(path=path)
    for error in lab_page.errors:
        print(f"{state.panel}, {state.name}: the page raised {error.splitlines()[0]}")
    lab_page.errors.clear()
    return made


def _look(lab_page: LabPage, look: Look) -> None:
    name, theme, (width, height) = look
    lab_page.page.emulate_media(forced_colors="active" if name == "forced" else "none")
    lab_page.page.set_viewport_size({"width": width, "height": height})
    lab_page.set_theme(theme)
    settle(lab_page.page)


def write_sheet(out: Path, taken: dict[State, list[Path]], failed: dict[State, str]) -> Path:
    """Write the page that shows all pictures, a row for each state."""
    rows = []
    for state in STATES:
        title = f"<h2>{escape(state.panel)}: {escape(state.name)}</h2>"
        if state in failed:
            rows.append(f"{title}<pre>{escape(failed[state])}</pre>")
        elif state in taken:
            pictures = "".join(
                f'<a href="{path.name}"><img src="{path.name}" alt="{path.stem}"></a>'
                for path in taken[state]
            )
            rows.append(f"{title}<div>{pictures}</div>")
    sheet = out / "sheet.html"
    style = (
        "body{font:14px system-ui;margin:16px;background:#888}"
        "div{display:flex;gap:12px;align-items:flex-start}"
        "img{max-width:100%;border:1px solid #444}a{flex:1 1 0}a:last-child{flex:0 0 20%}"
    )
    body = "\n".join(rows)
    sheet.write_text(f"<!doctype html><title>Panels</title><style>{style}</style>{body}")
    return sheet


def write_contacts(out: Path, taken: dict[State, list[Path]]) -> list[Path]:
    """Write one small picture for each panel, with all its states, for a quick look."""
    made = []
    for panel in dict.fromkeys(state.panel for state in taken):
        rows = []
        for state in taken:
            if state.panel != panel:
                continue
            tiles = [_tile(path) for path in taken[state]]
            rows.append(cv2.hconcat(tiles))
        made.append(out / f"contact-{panel}.png")
        cv2.imwrite(str(made[-1]), cv2.vconcat(rows))
    return made


def _tile(path: Path, width: int = 640, height: int = 460) -> cv2.typing.MatLike:
    picture = cv2.imread(str(path))
    if picture is None:
        raise OSError(f"{path}: expected the picture that was just taken")
    scale = min((width - 8) / picture.shape[1], (height - 8) / picture.shape[0])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    down, right = height - small.shape[0], width - small.shape[1]
    return cv2.copyMakeBorder(small, 0, down, 0, right, cv2.BORDER_CONSTANT, value=(136,) * 3)


def take_all(
    wanted: Sequence[State], out: Path, looks: Sequence[Look]
) -> tuple[dict[State, list[Path]], dict[State, str]]:
    """Take states; return their pictures, and why others could not be taken."""
    taken: dict[State, list[Path]] = {}
    failed: dict[State, str] = {}
    with tempfile.TemporaryDirectory(prefix="workbench-shots-") as home:
        folder = Path(home, "lab")
        folder.mkdir()
        asyncio.run(arrange(folder))
        with running_lab(Path(home, "jupyter"), folder) as lab, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=find_chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
            )
            lab_page = open_page(lab, browser)
            for state in wanted:
                begin = time.monotonic()
                try:
                    taken[state] = take(state, lab_page, out, looks)
                except (BrowserError, AssertionError) as error:
                    failed[state] = str(error)
                words = f"failed: {failed[state]}" if state in failed else "taken"
                spent = time.monotonic() - begin
                print(f"{state.panel}, {state.name}: {words}, {spent:.0f} s", flush=True)
            browser.close()
    return taken, failed


def main() -> int:
    """Take what was asked for; return 1 if a state could not be taken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="panels, with commas between")
    parser.add_argument("--contrast", action="store_true", help="in high contrast")
    parser.add_argument("--missing", action="store_true", help="only what has no pictures yet")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    panels = set(filter(None, options.only.split(",")))
    options.out.mkdir(parents=True, exist_ok=True)
    looks = CONTRASTS if options.contrast else LOOKS
    there: dict[State, list[Path]] = {}
    wanted = [state for state in STATES if not panels or state.panel in panels]
    if options.missing:
        made = {state: pictures_of(state, options.out, looks) for state in STATES}
        there = {state: own for state, own in made.items() if all(map(Path.is_file, own))}
    wanted = [state for state in wanted if state not in there]
    taken, failed = take_all(wanted, options.out, looks) if wanted else ({}, {})
    taken = there | taken
    write_contacts(options.out, {state: taken[state] for state in STATES if state in taken})
    print(f"Look at {write_sheet(options.out, taken, failed)}")
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
