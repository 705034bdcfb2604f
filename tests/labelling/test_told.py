"""YOLO-World and YOLOE told in words and shown boxes: their architectures with random weights."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.file_server import Server
from tests.helpers.told_models import save_encoder, save_told, save_vocabulary
from workbench import create_stores
from workbench.datasets.dataset import Dataset
from workbench.datasets.prelabelling import Task
from workbench.errors import FetchError, InvalidModelError
from workbench.labelling import Example, ModelLabeller, SimilarLabeller, WordLabeller, remote_files
from workbench.labelling.looking import once_each
from workbench.labelling.network import Found
from workbench.labelling.predictor import Predictor
from workbench.persistence import Stores
from workbench.weights.fetching import MissingFilesError, RemoteFile

YOLOE, WORLD = "yoloe-11s-seg.pt", "yolov8s-worldv2.pt"
ANYTHING = 1e-4
TASK = Task(["dog", "cat"], {0: ["a dog", "a puppy"]})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights and encoders under their right names, made once."""
    folder = tmp_path_factory.mktemp("made")
    save_told("YOLOESegModel", "yoloe-11n-seg.yaml", folder / YOLOE)
    save_told("WorldModel", "yolov8n-worldv2.yaml", folder / WORLD)
    save_encoder(folder / "mobileclip_blt.ts")
    save_vocabulary(folder / remote_files.VOCABULARY.name)
    return folder


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder where fetched files are looked for."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    remote_files.folder().mkdir(parents=True)
    return remote_files.folder()


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return create_stores(data_dir=tmp_path / "data", models_dir=tmp_path / "models")


@pytest.fixture
def predictor(stores: Stores) -> Iterator[Predictor]:
    predictor = Predictor(stores, device="cpu")
    yield predictor
    predictor.close()


def frames(count: int) -> list[np.ndarray]:
    numbers = np.random.default_rng(0)
    return [numbers.integers(0, 255, (90, 120, 3), dtype=np.uint8) for _ in range(count)]


def put(made: Path, weights: Path, *names: str) -> None:
    for name in names:
        shutil.copy(made / name, weights / name)


async def test_what_is_missing_is_named_and_nothing_is_fetched(
    weights: Path, predictor: Predictor, made: Path
) -> None:
    with pytest.raises(MissingFilesError) as raised:
        await WordLabeller(predictor).start(TASK)
    names = [file.name for file in raised.value.files]
    assert names == [YOLOE, "mobileclip_blt.ts", remote_files.VOCABULARY.name]
    assert "about 600 MB, from github.com" in str(raised.value)
    with pytest.raises(MissingFilesError) as raised:
        await WordLabeller(predictor, WORLD).start(TASK)
    assert [file.name for file in raised.value.files][1] == "ViT-B-32.pt"
    put(made, weights, YOLOE)
    with pytest.raises(MissingFilesError) as raised:
        await WordLabeller(predictor).start(TASK)
    assert [file.name for file in raised.value.files] == names[1:]
    assert [path.name for path in weights.iterdir()] == [YOLOE]


async def test_words_are_found_and_need_their_encoder_once(
    weights: Path, predictor: Predictor, stores: Stores, made: Path
) -> None:
    """Several words for a class lead to that class; a second run has no encoder any more."""
    await stores.dataset.create("pets", ["dog", "cat"])
    await stores.dataset.save_prompts("pets", {0: ["a dog", "a puppy"]})
    for number, frame in enumerate(frames(3)):
        await stores.image.save("pets", "train", f"{number}.jpg", frame)
    put(made, weights, YOLOE, "mobileclip_blt.ts", remote_files.VOCABULARY.name)
    pets = Dataset(stores, "pets")
    done = await pets.prelabel("train", WordLabeller(predictor, confidence=ANYTHING))
    assert (done.source.kind, done.source.name) == ("prompts", "yoloe-11s-seg")
    assert done.source.details["words"] == {"dog": ["a dog", "a puppy"], "cat": ["cat"]}
    assert (done.images, done.failed) == (3, {})
    table = await pets.suggestions()
    assert set(table.class_id.tolist()) <= {0, 1}
    assert done.boxes == len(table.class_id) > 0
    for name in ("mobileclip_blt.ts", remote_files.VOCABULARY.name):
        (weights / name).unlink()
    again = await pets.prelabel("train", WordLabeller(predictor, confidence=ANYTHING), again=True)
    assert (again.boxes, again.source.id) == (done.boxes, done.source.id)
    assert (await pets.suggestions()).score.tolist() == table.score.tolist()
    await stores.dataset.save_prompts("pets", {0: ["a hound"]})
    with pytest.raises(MissingFilesError):  # other words have to be read first
        await pets.prelabel("train", WordLabeller(predictor))


async def test_yolo_world_takes_words_that_are_kept(
    weights: Path, predictor: Predictor, stores: Stores, made: Path
) -> None:
    """Its encoder's tensors are read by `text_encoder`; here the rows come from elsewhere."""
    from workbench.labelling import told

    put(made, weights, WORLD)
    await stores.dataset.create("pets", ["dog", "cat"])
    labeller = WordLabeller(predictor, WORLD, confidence=ANYTHING)
    rows = np.random.default_rng(1).standard_normal((2, 512)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    digest = told.file_digest(weights / WORLD)
    key = told._cache_key(digest, ["dog", "cat"])
    await stores.dataset.save_cache("pets", key, told._bytes_of(rows))
    task = Task(["dog", "cat"], dataset="pets")
    source = await labeller.start(task)
    assert source.digest == digest
    found = await labeller.label(frames(2))
    assert all(found)
    await stores.dataset.save_cache("pets", key, told._bytes_of(rows[::-1].copy()))
    other = WordLabeller(predictor, WORLD, confidence=ANYTHING)
    await other.start(task)
    mirrored = await other.label(frames(2))
    assert [(1 - p.class_id, p.x, p.confidence) for p in mirrored[0]] == [
        (p.class_id, p.x, p.confidence) for p in found[0]
    ]
    await stores.dataset.save_cache("pets", key, b"damaged")
    with pytest.raises(MissingFilesError):
        await WordLabeller(predictor, WORLD).start(task)


async def test_a_word_for_two_classes_and_a_model_with_classes_of_its_own(
    weights: Path, predictor: Predictor, stores: Stores, made: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="'a pet' is a prompt of dog and of cat"):
        await WordLabeller(predictor).start(Task(["dog", "cat"], {0: ["a pet"], 1: ["a  pet"]}))
    plain = save_plain(tmp_path / "plain.pt")
    with pytest.raises(InvalidModelError, match="classes of its own"):
        await WordLabeller(predictor, plain).start(TASK)
    put(made, weights, YOLOE)
    labeller = ModelLabeller(predictor, weights / YOLOE, mapping={"thing 0": "dog"})
    await labeller.start(TASK)
    with pytest.raises(InvalidModelError, match="tell it in words"):
        await labeller.label(frames(1))


def save_plain(target: Path) -> Path:
    import torch
    from ultralytics.nn.tasks import DetectionModel

    model = DetectionModel("yolo11n.yaml", nc=2, verbose=False)
    model.names = {0: "dog", 1: "cat"}
    torch.save({"model": model}, target)
    return target


async def test_boxes_are_shown_and_what_is_like_them_is_proposed(
    weights: Path, predictor: Predictor, made: Path
) -> None:
    put(made, weights, YOLOE, WORLD)
    [frame, *rest] = frames(3)
    boxes = np.array([[10.0, 10, 50, 40], [60, 20, 100, 80], [5, 50, 40, 85]])
    example = Example(frame, boxes, [1, 1, 0])
    labeller = SimilarLabeller(predictor, [example], confidence=ANYTHING)
    source = await labeller.start(TASK)
    assert (source.kind, source.details["like"]) == ("similar", ["dog", "cat"])
    found = await labeller.label([frame, *rest])
    assert len(found) == 3
    assert {p.class_id for one in found for p in one} <= {0, 1}
    assert any(found)
    only = SimilarLabeller(predictor, [Example(frame, boxes[:1], [1])], confidence=ANYTHING)
    assert (await only.start(TASK)).id != source.id
    assert {p.class_id for one in await only.label([frame]) for p in one} == {1}
    with pytest.raises(InvalidModelError, match="not be shown"):
        await SimilarLabeller(predictor, [example], WORLD).start(TASK)
    with pytest.raises(ValueError, match="at least one box"):
        SimilarLabeller(predictor, [])


async def test_what_may_be_fetched_is_fetched_and_read_without_running_it(
    weights: Path, predictor: Predictor, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server()
    try:
        server.serve("/w.pt", (made / YOLOE).read_bytes())
        file = RemoteFile(YOLOE, f"{server.url}/w.pt", 1)
        monkeypatch.setitem(remote_files.PROMPTED, YOLOE, file)
        boxes = np.array([[10.0, 10, 50, 40]])
        example = Example(frames(1)[0], boxes, [1])
        told_bytes: list[tuple[int, int]] = []
        labeller = SimilarLabeller(
            predictor, [example], fetch=True, progress=lambda *now: told_bytes.append(now)
        )
        await labeller.start(TASK)
        assert (weights / YOLOE).read_bytes() == (made / YOLOE).read_bytes()
        assert told_bytes[-1] == ((made / YOLOE).stat().st_size,) * 2
        (weights / YOLOE).unlink()
        server.serve("/w.pt", b"<html>no such file</html>")
        with pytest.raises(InvalidModelError, match="expected"):
            await SimilarLabeller(predictor, [example], fetch=True).start(TASK)
        (weights / YOLOE).unlink()
        server.answers["/w.pt"] = lambda request: request.send_error(503)
        with pytest.raises(FetchError, match="503"):
            await SimilarLabeller(predictor, [example], fetch=True).start(TASK)
        assert list(weights.iterdir()) == []
    finally:
        server.close()


def test_several_words_for_one_thing_lead_to_one_box() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10], [50, 50, 60, 60]])
    found = Found(boxes, np.array([0, 1, 2, 1]), np.array([0.9, 0.8, 0.7, 0.6]))
    merged = once_each(found, [0, 0, 1])
    assert merged.class_id.tolist() == [0, 1, 0]
    assert merged.confidence.tolist() == [0.9, 0.7, 0.6]
    empty = Found(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0))
    assert len(once_each(empty, [0]).boxes) == 0
