"""The evaluate panel without a page: a real model, real files, driven from Python."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from unittest.mock import AsyncMock

import cv2
import numpy as np
import pytest

from tests.helpers.models import NOTHING, add_model, make_found, spread_weights
from tests.helpers.training import Trained, trained_once
from tests.helpers.waiting import eventually
from workbench.errors import NotFoundError, TrainingError
from workbench.evaluation.evaluation import Evaluation
from workbench.evaluation.evaluator import Evaluator
from workbench.evaluation.findings import Finding
from workbench.evaluation.mistakes import galleries
from workbench.labelling.predictor import Predictor
from workbench.panels.evaluate import EvaluatePanel
from workbench.panels.evaluate.model import GALLERIES, EvaluateModel
from workbench.panels.evaluate.pages import SHOWN
from workbench.panels.evaluate.tiles import window
from workbench.panels.shared.changing import BusyError
from workbench.panels.shared.status import StoppedError
from workbench.persistence import Stores, create_stores

IMAGES = 16


@pytest.fixture(scope="module")
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained_once(request.config, tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="module")
def home(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders with the dataset ``found``, a model that sees all and one that sees discs only."""
    home = tmp_path_factory.mktemp("evaluate")

    async def arrange() -> None:
        stores = create_stores(home / "data", home / "models")
        blind = spread_weights(trained, home / "blind.pt", blind_to=0)
        await add_model(stores, "blind", blind)
        await add_model(stores, "sees", spread_weights(trained, home / "sees.pt"))
        await make_found(stores, IMAGES)

    asyncio.run(arrange())
    return home


@pytest.fixture
def stores(home: Path) -> Stores:
    return create_stores(home / "data", home / "models")


@pytest.fixture
async def model(stores: Stores) -> AsyncIterator[EvaluateModel]:
    predictor = Predictor(stores, device="cpu")
    made = EvaluateModel(stores, Evaluator(stores, predictor), "found")
    await made.refresh()
    yield made
    made.close()
    predictor.close()


@pytest.fixture
async def panel(stores: Stores) -> AsyncIterator[EvaluatePanel]:
    made = EvaluatePanel("found", stores)
    await made.refresh()
    yield made
    made.close()


async def settled(panel: EvaluatePanel) -> None:
    """Wait until the gallery shows what it was told to."""
    total = len(panel.model.findings(panel.gallery.kind.value))
    for _ in range(200):
        await asyncio.sleep(0.02)
        if panel.gallery.count.value.endswith(f" of {total:,}"):
            return
    pytest.fail(f"the gallery shows {panel.gallery.count.value!r}, expected {total}")


async def test_the_active_model_is_evaluated_and_every_mistake_stands_in_a_gallery(
    model: EvaluateModel,
) -> None:
    result = await model.evaluate()
    assert result.evaluation.model == "sees"
    assert result.evaluation.split == "val"
    assert len(result.evaluation.filenames) == IMAGES
    found = galleries(result.evaluation)
    for kind in ("false_positives", "wrong_class", "badly_placed", "duplicates"):
        assert model.findings(kind) == getattr(found, kind) != ()
    (missed,) = model.findings("false_negatives")
    assert (missed.filename, missed.box) == ("image_00.png", pytest.approx(NOTHING.xywh))
    assert {finding.kind for finding in model.findings("suspects")} >= {"spurious_label"}
    assert result.comparison is None
    assert f"{IMAGES} images of found/val" in model.status.text


async def test_the_place_that_is_chosen_is_the_one_that_looks(stores: Stores) -> None:
    evaluator = AsyncMock(spec=Evaluator)
    evaluator.evaluate.side_effect = TrainingError("no Ray cluster answers")
    model = EvaluateModel(stores, evaluator, "found")
    model.where = "http://head:8265"
    with pytest.raises(TrainingError, match="no Ray cluster answers"):
        await model.evaluate()
    assert evaluator.evaluate.await_args.kwargs["where"] == "http://head:8265"
    model.close()


async def test_a_model_can_be_chosen_by_its_name(panel: EvaluatePanel) -> None:
    await panel.choose("blind")
    assert (panel.model.model, panel.chosen.value) == ("blind", "blind")
    with pytest.raises(NotFoundError):
        await panel.choose("gone")
    assert panel.chosen.value == "blind"


async def test_two_models_are_compared_and_what_only_one_finds_is_its_own_gallery(
    model: EvaluateModel,
) -> None:
    model.against = "blind"
    result = await model.evaluate()
    assert result.comparison is not None
    assert result.comparison.models == ("sees", "blind")
    assert {finding.class_name for finding in model.findings("only_first")} == {"square"}
    assert model.findings("only_second") == ()
    assert result.evaluation_of("false_positives_second").model == "blind"
    assert result.evaluation_of("only_first").model == "sees"
    assert result.describe("only_first").title == "Only sees finds"
    assert set(result.findings) == set(GALLERIES)


async def test_a_walk_proposes_what_found_no_label_and_the_findings_themselves(
    model: EvaluateModel,
) -> None:
    result = await model.evaluate()
    walk = model.walk("false_positives")
    assert list(walk) == list(dict.fromkeys(f.filename for f in model.findings("false_positives")))
    proposed = {(n, p.class_id, p.xywh) for n, found in walk.items() for p in found}
    right = galleries(result.evaluation).correct
    assert proposed.isdisjoint({(f.filename, f.class_id, f.box) for f in right})
    for kind in ("false_positives", "wrong_class", "badly_placed"):
        mine = {(f.filename, f.class_id, f.box) for f in model.findings(kind) if f.filename in walk}
        assert mine <= proposed
    sure = model.walk("most_confident")
    first = model.findings("most_confident")[0]
    assert first.score in [p.confidence for p in sure[first.filename]]


async def test_a_suspected_label_is_proposed_with_the_models_own_confidence(
    model: EvaluateModel,
) -> None:
    result = await model.evaluate()
    detections = result.evaluation.detections
    walk = model.walk("suspects")
    shown = 0
    for finding in model.findings("suspects"):
        if finding.kind == "spurious_label":
            continue
        (mine,) = [p for p in walk[finding.filename] if p.xywh == finding.box]
        assert np.isclose(detections.confidence, mine.confidence, rtol=0, atol=1e-12).any()
        shown += 1
    assert shown


async def test_stop_ends_an_evaluation_and_leaves_what_was_shown(
    model: EvaluateModel,
) -> None:
    shown = await model.evaluate()
    model.observe(lambda change: change["new"].what and model.stop(), "work")
    with pytest.raises(StoppedError):
        await model.evaluate(refresh=True)
    assert model.result is shown
    assert model.work.what == ""


async def test_a_second_command_while_one_is_under_way_is_refused(model: EvaluateModel) -> None:
    first = asyncio.create_task(model.evaluate(refresh=True))
    await asyncio.sleep(0)
    with pytest.raises(BusyError, match="Evaluating"):
        await model.evaluate()
    await first


async def test_what_cannot_be_evaluated_is_said(model: EvaluateModel) -> None:
    model.split = "test"
    with pytest.raises(NotFoundError, match="found/test"):
        await model.evaluate()
    model.dataset = ""
    with pytest.raises(ValueError, match="dataset"):
        await model.evaluate()


async def test_what_was_wrong_is_not_said_of_the_next_choice(panel: EvaluatePanel) -> None:
    await panel.refresh()
    panel.split.value = "test"
    with pytest.raises(NotFoundError):
        await panel.evaluate()
    panel.start.click()
    async with asyncio.timeout(20):
        while panel.model.status.tone != "problem":
            await asyncio.sleep(0.01)
    panel.split.value = "val"
    assert panel.model.status.text == ""


async def test_a_split_without_images_has_a_door_to_the_splits(stores: Stores) -> None:
    opened: list[tuple[str, str]] = []
    panel = EvaluatePanel("found", stores, go=lambda *where: opened.append(where))
    await panel.refresh()
    assert panel.door.layout.display == "none"
    with pytest.raises(NotFoundError, match="Splits"):
        await panel.evaluate(split="test")
    assert panel.door.description == "Choose splits …"
    assert panel.door.layout.display is None
    panel.door.click()
    assert opened == [("Splits", "found")]
    panel.split.value = "val"
    assert panel.door.layout.display == "none"
    panel.close()


async def test_the_dataset_that_was_named_stays_chosen_among_several(
    persistence_stores: Stores,
) -> None:
    for name in ("cups", "forks", "plates"):
        await persistence_stores.dataset.create(name, ["a"])
    panel = EvaluatePanel("forks", stores=persistence_stores)
    assert panel.model.dataset == "forks", "before anybody knows which there are"
    await eventually(lambda: panel.model.is_read)
    assert (panel.model.dataset, panel.dataset.value) == ("forks", "forks")
    panel.dataset.value = "plates"
    assert panel.model.dataset == "plates"
    panel.close()


async def test_without_a_model_the_door_leads_to_train(persistence_stores: Stores) -> None:
    await persistence_stores.dataset.create("cups", ["cup"])
    opened: list[tuple[str, str]] = []
    panel = EvaluatePanel("cups", persistence_stores, go=lambda *where: opened.append(where))
    await panel.refresh()
    assert panel.door.description == "Train a model"
    panel.door.click()
    panel.weights_door.click()
    assert opened == [("Train", "cups"), ("Models", "")]
    panel.close()


# Tiles


def finding(box: tuple[float, ...], label: tuple[float, ...] | None = None) -> Finding:
    return Finding("false_positive", "val", "a.png", box, 0, "square", 0.5, 0.0, label, None)


@pytest.mark.parametrize(
    ("box", "label"),
    [
        ((0.5, 0.5, 0.1, 0.1), None),
        ((0.02, 0.98, 0.04, 0.04), None),
        ((0.1, 0.1, 0.2, 0.2), (0.8, 0.8, 0.2, 0.2)),
        ((0.5, 0.5, 1.0, 1.0), None),
        ((0.5, 0.5, 0.001, 0.9), None),
    ],
)
@pytest.mark.parametrize("size", [(640, 480), (50, 400), (30, 20)])
def test_the_part_shown_lies_in_the_image_and_has_both_boxes_in_it(
    box: tuple[float, ...], label: tuple[float, ...] | None, size: tuple[int, int]
) -> None:
    left, top, width, height = window(finding(box, label), *size)
    assert min(left, top) >= 0
    assert max(left + width, top + height) <= 1 + 1e-9
    for x, y, across, down in filter(None, (box, label)):
        assert left - 1e-9 <= x - across / 2
        assert x + across / 2 <= left + width + 1e-9
        assert top - 1e-9 <= y - down / 2
        assert y + down / 2 <= top + height + 1e-9
    is_square = np.isclose(width * size[0], height * size[1])
    assert is_square or np.isclose(max(width, height), 1)


async def test_boxes_of_tiles_lie_where_they_lie_in_the_image(
    stores: Stores, model: EvaluateModel
) -> None:
    result = await model.evaluate()
    tiles = await model.tiles("wrong_class", 0, 5)
    assert [tile.finding for tile in tiles] == list(model.findings("wrong_class")[:5])
    for tile in tiles:
        width, height = size_of(result.evaluation, tile.finding.filename)
        left, top, across, down = window(tile.finding, width, height)
        assert tile.shape == pytest.approx((across * width, down * height))
        for there, box in (
            (tile.prediction, tile.finding.box),
            (tile.label, tile.finding.label_box),
        ):
            assert there is not None
            assert box is not None
            assert left + (there[0] + there[2] / 2) * across == pytest.approx(box[0])
            assert top + (there[1] + there[3] / 2) * down == pytest.approx(box[1])
            assert there[2] * across == pytest.approx(box[2])
        picture = cv2.imdecode(np.frombuffer(tile.picture or b"", np.uint8), cv2.IMREAD_COLOR)
        image = await stores.image.load("found", "val", tile.finding.filename)
        x, y = round(left * width), round(top * height)
        part = image[y : y + picture.shape[0], x : x + picture.shape[1]]
        assert np.abs(picture.astype(int) - part).mean() < 25  # JPEG of noise


def size_of(evaluation: Evaluation, filename: str) -> tuple[int, int]:
    width, height = evaluation.sizes[evaluation.filenames.index(filename)].tolist()
    return width, height


# The view


async def test_the_panel_shows_numbers_plots_and_galleries(panel: EvaluatePanel) -> None:
    result = await panel.evaluate(model="sees", against="blind")
    metrics = result.evaluation.metrics
    assert f"{metrics.map50:.3f}" in panel.numbers.value
    for row in metrics.classes:
        assert row.name in panel.numbers.value
        assert f"<b>{row.best_confidence:.3f}</b>" in panel.numbers.value
    assert "blind" in panel.comparison.value
    assert panel.plots.grid is None, "the script of 5 MB is sent before anybody looks at plots"
    panel.turn_to("Plots")
    assert panel.plots.grid is not None
    assert len(panel.plots.grid.figures) == 4
    await settled(panel)
    assert len(panel.gallery.tiles.tiles) == SHOWN
    first = panel.gallery.tiles.tiles[0]
    assert first["picture"][:2] == b"\xff\xd8"
    assert model_name(panel) == "sees"


def model_name(panel: EvaluatePanel) -> str:
    return str(panel.chosen.value)


async def test_galleries_are_leafed_through(panel: EvaluatePanel) -> None:
    await panel.evaluate(model="sees", against=None)
    panel.gallery.kind.value = "false_positives"
    await settled(panel)
    seen = [tile["number"] for tile in panel.gallery.tiles.tiles]
    assert panel.gallery.previous.disabled
    panel.gallery.next.click()
    for _ in range(200):
        await asyncio.sleep(0.02)
        if panel.gallery.tiles.tiles[0]["number"] == SHOWN:
            break
    seen += [tile["number"] for tile in panel.gallery.tiles.tiles]
    assert seen == list(range(2 * SHOWN))
    assert not panel.gallery.previous.disabled


async def test_a_click_opens_the_annotator_and_back_knows_the_corrected_labels(
    panel: EvaluatePanel, stores: Stores, home: Path
) -> None:
    await panel.evaluate(model="sees", against=None)
    missed = panel.model.findings("false_negatives")[0]
    file = home / "data" / "found" / "labels" / "val" / "image_00.txt"
    before = file.read_bytes()
    annotator = await panel.annotate("false_negatives", 0)
    assert annotator.current is not None
    assert annotator.current.filename == missed.filename == "image_00.png"
    assert annotator.model.proposals("image_00.png")
    assert panel.main.layout.display == "none"
    await annotator.save(annotator.annotations[:-1])
    try:
        assert file.read_bytes() != before
        await panel.back()
        assert panel.annotator is None
        assert panel.model.findings("false_negatives") == ()
        assert panel.main.layout.display != "none"
    finally:
        file.write_bytes(before)


async def test_a_failure_is_shown_in_words(panel: EvaluatePanel) -> None:
    panel.split.value = "test"
    panel.start.click()
    for _ in range(200):
        await asyncio.sleep(0.02)
        if panel.status.tone == "problem":
            break
    assert "found/test" in panel.status.text
    assert not panel.start.disabled


async def test_unknown_choices_and_findings_are_refused(panel: EvaluatePanel) -> None:
    with pytest.raises(ValueError, match="modle"):
        await panel.evaluate(modle="sees")
    with pytest.raises(ValueError, match="expected one of"):
        await panel.annotate("mistakes")
    with pytest.raises(ValueError, match="0 findings, found number 0"):
        await panel.annotate("suspects")
