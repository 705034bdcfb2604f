"""What a right box costs a person: with a model that is taught as they go, and without.

    python benchmarks/effort.py --check                  # 200 generated images, some 20 minutes
    python benchmarks/effort.py --quick                  # 60 images, two rounds, for a look
    python benchmarks/effort.py --voc path/to/BCCD --images 300 --iou 0.5
    python benchmarks/effort.py --voc path/to/BCCD --images 300 --iou 0.5 --folder kept

With `--folder` all of it is kept there, and the same command goes on where it was cut off: a lesson
goes on by itself meanwhile. What it took is then read from its events.

A simulated person (`effort_person.py`) labels images in the order of their names, until every
true box is there with its class at the IoU and nothing else. Each action is an edit that
`AnnotateModel` takes, as from a page, into real stores. The baseline is the same person
without suggestions.

Once a model has taken over, the person reviews its suggestions in bulk, in Browse: a page of crops
by image, from the score on that the annotator's line names. They click the wrong ones, accept the
rest, and open only the images that are not complete then; where too much of a page is wrong they go
image by image until the next model. After a page with little wrong they scroll through several
before they accept the rest. Paid for are also the tabs, the order and the threshold, scrolling, and
what is needed to open images. Pages are finished before the next, so no lesson learns from images
that are half done.

The model is the product's own: a `Teacher` has it learn from what was reviewed, after 10, 20, 40,
80 ... images, and lets it take over when it is better on what is held out. Time is simulated: 2 s
for each action, and a lesson is judged only when its measured training time has passed. What an
image itself needs is never looked at for that: thresholds come from what was held out, and from
what was reviewed since the lesson began. On a machine that others use, too, `--shared` takes
the processor time of the lesson's main thread, which waits for nobody else, in place of the clock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from benchmarks.effort_person import (  # noqa: E402
    Action,
    Person,
    Shown,
    class_after,
    cost_of,
    is_good,
    is_right,
    is_worth_it,
)
from benchmarks.measure import print_columns, say  # noqa: E402
from workbench import samples  # noqa: E402
from workbench.datasets.formats.importing import import_dataset  # noqa: E402
from workbench.geometry import to_pixels  # noqa: E402
from workbench.labelling.lessons import Lesson, due_at  # noqa: E402
from workbench.labelling.predictor import Predictor  # noqa: E402
from workbench.labelling.teaching import Teacher  # noqa: E402
from workbench.panels.annotate.messages import CanvasBox, Edit  # noqa: E402
from workbench.panels.annotate.model import AnnotateModel  # noqa: E402
from workbench.panels.browse.listing import Listing  # noqa: E402
from workbench.panels.browse.model import BrowseModel  # noqa: E402
from workbench.persistence import Stores, create_stores  # noqa: E402
from workbench.persistence.models import Annotation, ImageKey, NewImage  # noqa: E402
from workbench.training.runner import TrainingRunner  # noqa: E402

SECONDS_FOR_AN_ACTION = 2.0
CROPS_ON_A_PAGE, IMAGES_ON_A_PAGE = 40, 40
PAGES_AT_ONCE = 3
TAUGHT, MANUAL = "taught", "manual"


@dataclass(frozen=True, slots=True)
class Picture:
    """An image to label, and its true boxes in pixels."""

    key: ImageKey
    content: bytes
    size: tuple[int, int]
    truth: list[Shown]


@dataclass(slots=True)
class Tally:
    """Actions on each image, and seconds of the person's clock."""

    actions: list[int] = field(default_factory=list)
    wrong: int = 0

    @property
    def seconds(self) -> float:
        """On the person's clock."""
        return SECONDS_FOR_AN_ACTION * sum(self.actions)


@dataclass(frozen=True, slots=True)
class Coming:
    """A lesson that is over by the measured clock, and when it is by the person's."""

    ready_at: float
    images: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Scores:
    """From which score on suggestions are shown in the annotator, also of single classes."""

    least: float
    of_class: Mapping[int, float] = field(default_factory=dict)

    def show(self, row: CanvasBox) -> bool:
        """Whether a suggestion is shown."""
        return (row.score or 0) >= self.of_class.get(row.class_id, self.least)


NONE_SHOWN = Scores(1.1)


class Desk:
    """A person at the annotators of a dataset's splits."""

    def __init__(self, stores: Stores, dataset: str, person: Person) -> None:
        self._stores = stores
        self._dataset = dataset
        self._person = person
        self._models: dict[str, AnnotateModel] = {}
        self._class = 0
        self._pages = 1

    @property
    def habits(self) -> tuple[int, int]:
        """The class that is chosen, and how many pages of crops are looked at together."""
        return self._class, self._pages

    @habits.setter
    def habits(self, known: Sequence[int]) -> None:
        self._class, self._pages = known

    async def label(self, picture: Picture, scores: Scores) -> tuple[int, bool]:
        """Label an image; return what it cost, and whether the label file is right."""
        split, name = picture.key
        if split not in self._models:
            self._models[split] = AnnotateModel(self._stores, self._dataset, split)
            await self._models[split].start()
        model = self._models[split]
        opened = await model.open(model.filenames.index(name))
        waiting = model.proposals(name, opened.labels.annotations)
        rows = [
            CanvasBox(p.class_id, box, p.confidence, "model", getattr(p, "source", ""))
            for p, box in zip(waiting, _xyxy(waiting, picture.size), strict=True)
        ]
        shown = [row for row in rows if scores.show(row)]
        hidden = [row for row in rows if not scores.show(row)]
        start = await self._labels(picture)
        start += [Shown(r.class_id, r.xyxy, True, place) for place, r in enumerate(shown)]
        actions = self._person.work(start, picture.truth, self._class)
        self._class = class_after(actions, self._class)
        revision = opened.labels.revision
        for action in actions:
            data = await model.take(_edit(opened.key, revision, action, shown, hidden))
            revision = data.revision
        return cost_of(actions), await self._is_right(picture)

    async def _labels(self, picture: Picture) -> list[Shown]:
        stored = await self._stores.label.load(self._dataset, *picture.key)
        boxes = _xyxy(stored, picture.size)
        return [Shown(a.class_id, box) for a, box in zip(stored, boxes, strict=True)]

    async def _is_right(self, picture: Picture) -> bool:
        return is_right(await self._labels(picture), picture.truth, self._person.least_iou)

    async def label_pages(
        self, pictures: Sequence[Picture], crops_from: float, scores: Scores, *, is_new: bool
    ) -> tuple[list[tuple[int, bool]], int]:
        """Review some pages of crops in Browse, and finish the images that they are of.

        Parameters
        ----------
        pictures : sequence of Picture
            All that are left, in the order of the dataset.
        crops_from : float
            The score from which on crops are shown.
        scores : Scores
            Those in the annotator.
        is_new : bool
            Whether order and threshold have to be set first.

        Returns
        -------
        list of (int, bool)
            For each image up to that of the last crop what it cost, and whether it is right;
            empty if the person has seen the page and rather goes image by image.
        int
            What the page cost besides.
        """
        browse = BrowseModel(self._stores)
        try:
            await browse.open(self._dataset)
            await browse.show("suggested")
            listing = await browse.sift("images", crops_from)
            pages = 1 if is_new else self._pages
            crops = min(len(listing), pages * CROPS_ON_A_PAGE)
            first = min(crops, CROPS_ON_A_PAGE)
            wrong, images = self._wrong_crops(listing, crops, pictures)
            # The tab of the crops; two clicks for the order, and one and three keys for the score.
            beside = 1 + 6 * is_new
            if not is_worth_it(sum(place < first for place in wrong), first):
                return [], beside + 1  # and back to the annotator
            self._pages = PAGES_AT_ONCE if is_good(len(wrong), crops) else 1
            browse.select(tuple((place, place + 1) for place in wrong))
            await browse.accept_rest(0, crops)
            # One key accepts the rest of what is in sight, two clicks that from the first one on.
            beside += len(wrong) + (1 if crops <= first else 2 + (crops - 1) // CROPS_ON_A_PAGE)
            return await self._finish(browse, pictures[:images], scores, beside)
        finally:
            browse.close()

    def _wrong_crops(
        self, listing: Listing, crops: int, pictures: Sequence[Picture]
    ) -> tuple[list[int], int]:
        """Return the places of the wrong crops of a page, and up to which image it goes."""
        waiting = listing.waiting
        assert waiting is not None
        rows = listing.rows[:crops].tolist()
        places: dict[ImageKey, list[int]] = {}
        for place, row in enumerate(rows):
            places.setdefault(waiting.key(row), []).append(place)
        wrong: list[int] = []
        images = 0
        for number, picture in enumerate(pictures):
            here = places.pop(picture.key, [])
            if not here:
                continue
            images = number + 1
            boxes = [waiting.suggestion(rows[place]) for place in here]
            corners = _xyxy(boxes, picture.size)
            shown = [Shown(b.class_id, xyxy) for b, xyxy in zip(boxes, corners, strict=True)]
            wrong += [here[i] for i in self._person.wrong_of(shown, picture.truth)]
        wrong += [place for here in places.values() for place in here]  # on what is done already
        return sorted(wrong), images

    async def _finish(
        self, browse: BrowseModel, pictures: Sequence[Picture], scores: Scores, beside: int
    ) -> tuple[list[tuple[int, bool]], int]:
        """Look through images in Browse; mark those without objects, open what is incomplete."""
        listing = await browse.show("images")
        beside += 2 + (len(pictures) - 1) // IMAGES_ON_A_PAGE  # the tab of the images, scrolling
        place_of = {key: place for place, key in enumerate(listing.keys(((0, len(listing)),)))}
        empty = [p for p in pictures if not p.truth and not await self._labels(p)]
        if empty:
            at = sorted(place_of[p.key] for p in empty)
            browse.select(tuple((place, place + 1) for place in at))
            await browse.mark_background()
            beside += 1
        done = []
        opens = False
        for picture in pictures:
            is_right_now = await self._is_right(picture)
            cost = 0
            if picture in empty:
                cost = 1  # selected
            elif not is_right_now:
                opens = True
                cost, is_right_now = await self.label(picture, scores)
                cost += 1  # selected, to be opened with the others
            done.append((cost, is_right_now))
        return done, beside + 2 * opens  # to the annotator, and back


def _edit(
    key: str, revision: str, action: Action, shown: Sequence[CanvasBox], hidden: Sequence[CanvasBox]
) -> Edit:
    """Return what a page would send after an action."""
    labels = tuple(CanvasBox(b.class_id, b.xyxy) for b in action.boxes if not b.waits)
    waiting = {b.place for b in action.boxes if b.waits}
    return Edit(
        key,
        revision,
        labels,
        (*(row for place, row in enumerate(shown) if place in waiting), *hidden),
        gone=tuple(row for place, row in enumerate(shown) if place not in waiting),
        what=action.what,
        labelled=bool(labels) or bool(revision) or action.what == "nothing here",
        session="simulated",
    )


def _xyxy(
    boxes: Sequence[Annotation], size: tuple[int, int]
) -> list[tuple[float, float, float, float]]:
    rows = to_pixels([box.xywh for box in boxes], *size).tolist()
    return [(row[0], row[1], row[2], row[3]) for row in rows]


class Session:
    """One dataset labelled from nothing by a person with a model that is taught meanwhile."""

    def __init__(self, folder: Path, pictures: Sequence[Picture], args: argparse.Namespace) -> None:
        self.stores = create_stores(folder / "data", folder / "models")
        self.predictor = Predictor(self.stores)
        self._kept = folder / "session.json"
        self.notes: list[dict[str, str]] = []
        self._runner = TrainingRunner(self.stores, folder / "runs")
        self._teacher = Teacher(self.stores, TAUGHT, self._runner, self.predictor)
        self._pictures = pictures
        self._args = args
        self._person = Person(args.iou)
        self._scores, self._crops_from = Scores(0.25), 0.25
        self._lesson: Lesson | None = None
        self._bulk = self._is_new = False
        self.pages: list[int] = []

    async def run(self, classes: list[str]) -> tuple[Tally, Tally]:
        """Label everything twice: with suggestions, and without."""
        taught, manual = Tally(), Tally()
        desk, other = (Desk(self.stores, name, self._person) for name in (TAUGHT, MANUAL))
        coming: Coming | None = None
        due = due_at(0)
        if self._kept.exists():
            known = json.loads(self._kept.read_text(encoding="utf-8"))
            taught, manual = Tally(**known["taught"]), Tally(**known["manual"])
            desk.habits, other.habits = known["habits"]
            coming, due = await self._go_on(known, taught)
        else:
            for name in (TAUGHT, MANUAL):
                await self.stores.dataset.create(name, classes=classes)
                images = [NewImage(p.key[1], p.key[0], p.content) for p in self._pictures]
                await self.stores.image.add_many(name, images)
        number = len(taught.actions)
        while number < len(self._pictures):
            if coming is not None and taught.seconds >= coming.ready_at:
                await self._take_over(coming, number)
                coming = None
            for cost, is_right_now in await self._label_some(desk, self._pictures[number:]):
                taught.actions.append(cost)
                taught.wrong += not is_right_now
            if self._lesson is not None:
                self._follow(await self._teacher.tuned() or self._lesson)
            for picture in self._pictures[number : len(taught.actions)]:
                cost, is_right_now = await other.label(picture, NONE_SHOWN)
                manual.actions.append(cost)
                manual.wrong += not is_right_now
            if number // 25 != len(taught.actions) // 25:  # what is known when a run is cut off
                by_hand, ours = sum(manual.actions), sum(taught.actions)
                say(f"  {len(taught.actions)} images: {by_hand:,} by hand, {ours:,} reviewed")
            number = len(taught.actions)
            is_due = due <= number < len(self._pictures)
            if coming is None and is_due and len(self.notes) < self._args.rounds:
                coming, due = await self._teach(number, taught.seconds)
            self._keep(
                taught=asdict(taught),
                manual=asdict(manual),
                habits=[desk.habits, other.habits],
                coming=coming and asdict(coming),
                due=due,
            )
        self.predictor.close()
        return taught, manual

    def _keep(self, **known: Any) -> None:
        """Note how far it is, whole or not at all: it may be cut off at any moment."""
        known |= {
            "notes": self.notes,
            "pages": self.pages,
            "lesson": self._lesson and self._lesson.to_json(),
            "bulk": [self._bulk, self._is_new],
        }
        new = self._kept.with_suffix(".new")
        new.write_text(json.dumps(known), encoding="utf-8")
        new.replace(self._kept)

    async def _go_on(self, known: Mapping[str, Any], taught: Tally) -> tuple[Coming | None, int]:
        """Go on where another process was cut off; a lesson that it had begun is waited for."""
        self.notes, self.pages = known["notes"], known["pages"]
        self._bulk, self._is_new = known["bulk"]
        for name in (TAUGHT, MANUAL):  # what was begun when it was cut off is done again
            begun = [p.key for p in self._pictures[len(taught.actions) :]]
            await self.stores.label.delete_many(name, begun)
        if known["lesson"]:
            self._follow(Lesson.from_json(known["lesson"]))
        if known["coming"]:
            return Coming(**known["coming"]), known["due"]
        runs = await self._runner.list_runs()
        if len(runs) <= len(self.notes):
            return None, known["due"]
        progress = await runs[0].wait()
        images = runs[0].config.teaching
        if progress.state != "finished":
            raise SystemExit(f"training on {images} images is {progress.state}")
        seconds = progress.updated_at - progress.began_at
        say(f"  taught on {images} images in {seconds:.0f} s, by its events")
        return Coming(taught.seconds + seconds, images, seconds), due_at(images)

    def _follow(self, lesson: Lesson) -> None:
        self._lesson = lesson
        self._scores = Scores(lesson.threshold, lesson.class_thresholds)
        self._crops_from = lesson.crops_from

    async def _label_some(self, desk: Desk, left: Sequence[Picture]) -> list[tuple[int, bool]]:
        """Have a page of crops reviewed, or the next image.

        What a page costs besides its images counts at the first of them.
        """
        beside = 0
        if self._bulk:
            done, beside = await desk.label_pages(
                left, self._crops_from, self._scores, is_new=self._is_new
            )
            self._is_new = False
            if done:
                self.pages.append(len(done))
                return [(done[0][0] + beside, done[0][1]), *done[1:]]
            self._bulk = False
        cost, is_right_now = await desk.label(left[0], self._scores)
        return [(cost + beside, is_right_now)]

    async def _teach(self, images: int, now: float) -> tuple[Coming | None, int]:
        """Have the product's teacher train. The person goes on, by the simulated clock."""
        began = time.perf_counter()
        state = await self._teacher.step()
        if state.progress is None:  # nothing is held out yet that has a box
            return None, images + 1
        run = (await self._runner.list_runs())[0]
        worker = None
        with suppress(psutil.Error, OSError, LookupError, ValueError):
            worker = psutil.Process(
                json.loads((run.path / "process.json").read_text(encoding="utf-8"))["pid"]
            )
            # Nobody works on this machine who would be disturbed, and it would be measured.
            worker.nice(psutil.Process().nice())
        start = time.perf_counter() - began
        busy = 0.0
        while not (progress := await run.refresh()).is_over:
            busy = _busy(worker) or busy
            await asyncio.sleep(0.2)
        if progress.state != "finished":
            raise SystemExit(f"training on {images} images is {progress.state}")
        seconds = time.perf_counter() - began
        say(f"  taught on {images} images in {seconds:.0f} s, {start + busy:.0f} s of them busy")
        if self._args.shared:
            seconds = start + busy
        return Coming(now + seconds, images, seconds), due_at(images)

    async def _take_over(self, coming: Coming, number: int) -> None:
        """Let the teacher judge what came of a lesson, and suggest with the best so far."""
        state = await self._teacher.step()
        last = state.last
        assert last is not None
        self.notes.append(
            {
                "taught on": str(coming.images),
                "in": f"{coming.seconds:.0f} s",
                "from image": str(number + 1),
                "saves": f"{last.saved} % on {last.held_out}",
                "mAP50": f"{last.map50:.2f}",
                "threshold": f"{last.threshold:.2f}",
                "crops from": f"{last.crops_from:.2f}",
                "tightened": "yes" if last.tightens else "no",
                "": "takes over" if last.takes_over else "not better",
            }
        )
        if state.lesson is not None and (
            self._lesson is None or state.lesson.model != self._lesson.model
        ):
            self._follow(state.lesson)
            await self._teacher.suggest([p.key for p in self._pictures[number:]])
            self._bulk = self._is_new = not self._args.one_by_one


def _busy(worker: psutil.Process | None) -> float:
    """Return the processor time of a process's main thread; 0 if it is not known (any more)."""
    with suppress(psutil.Error):
        for thread in worker.threads() if worker else ():
            if thread.id == worker.pid:
                return thread.user_time + thread.system_time
    return 0.0


def generated(count: int) -> tuple[list[str], list[Picture]]:
    """Return generated shapes."""
    import cv2

    pictures = []
    for number, (frame, boxes) in enumerate(samples.scenes(count, image_size=160)):
        content = cv2.imencode(".png", frame)[1].tobytes()
        pictures.append(_picture(f"scene_{number:04}.png", content, frame.shape, boxes))
    return list(samples.CLASSES), pictures


async def from_voc(voc: Path, count: int, folder: Path) -> tuple[list[str], list[Picture]]:
    """Return the images of a Pascal VOC folder."""
    stores = create_stores(folder / "data", folder / "models")
    info = await import_dataset(stores, voc, name="truth")
    pictures = []
    listed = sorted(await stores.image.list("truth"), key=lambda i: i.filename)[:count]
    for image in listed:
        where = "truth", image.split, image.filename
        content = await stores.image.read_bytes(*where)
        shape = (await stores.image.load(*where)).shape
        boxes = await stores.label.load(*where)
        pictures.append(_picture(image.filename, content, shape, boxes))
    return info.classes, pictures


def _picture(
    name: str, content: bytes, shape: Sequence[int], boxes: Sequence[Annotation]
) -> Picture:
    size = shape[1], shape[0]
    truth = [Shown(b.class_id, box) for b, box in zip(boxes, _xyxy(boxes, size), strict=True)]
    return Picture(("train", name), content, size, truth)


def report(taught: Tally, manual: Tally) -> dict[str, float]:
    """Print the table; return how many times fewer actions were needed."""
    count = len(manual.actions)
    spans = {
        "all": slice(0, count),
        "second half": slice(count // 2, count),
        "last hundred": slice(max(count - 100, 0), count),
    }
    ratios = {}
    rows = []
    for name, span in spans.items():
        ours, theirs = sum(taught.actions[span]), sum(manual.actions[span])
        ratios[name] = theirs / max(ours, 1)
        rows.append([name, f"{theirs:,}", f"{ours:,}", f"{ratios[name]:.2f}x"])
    print_columns(["images", "drawn by hand", "reviewed", "fewer"], rows)
    return ratios


async def main(args: argparse.Namespace) -> int:
    with nullcontext(args.folder) if args.folder else tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        if args.voc:
            with tempfile.TemporaryDirectory() as truth:
                classes, pictures = await from_voc(args.voc, args.images, Path(truth))
        else:
            classes, pictures = generated(args.images)
        boxes = sum(len(p.truth) for p in pictures)
        say(f"{len(pictures)} images, {boxes} boxes, IoU {args.iou}")
        session = Session(folder, pictures, args)
        taught, manual = await session.run(classes)
    if session.notes:
        print_columns([*session.notes[0]], [[*note.values()] for note in session.notes])
    say(f"{sum(session.pages)} images in {len(session.pages)} rounds of crops")
    ratios = report(taught, manual)
    failures = []
    if taught.wrong or manual.wrong:
        failures.append(f"{taught.wrong} and {manual.wrong} label files are not right")
    if args.check:
        bounds = {"all": 1.6, "last hundred": 2.5} if args.voc else {"all": 3.0, "second half": 5.0}
        failures += [
            f"{name}: {ratios[name]:.2f}x fewer actions, expected {bound}x"
            for name, bound in bounds.items()
            if ratios[name] < bound
        ]
    for failure in failures:
        say(f"FAIL {failure}")
    return bool(failures)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit 1 where a bound is missed")
    parser.add_argument("--quick", action="store_true", help="60 images, two rounds")
    parser.add_argument("--voc", type=Path, help="a Pascal VOC folder in place of generated images")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--iou", type=float, default=0.75)
    parser.add_argument("--shared", action="store_true", help="others use this machine, too")
    parser.add_argument("--rounds", type=int, default=99, help="lessons at most")
    parser.add_argument("--folder", type=Path, help="kept there, to go on where it was cut off")
    parser.add_argument("--one-by-one", action="store_true", help="no review of crops in bulk")
    args = parser.parse_args()
    if args.quick:
        args.images, args.rounds = min(args.images, 60), 3
    return args


if __name__ == "__main__":
    sys.exit(asyncio.run(main(parsed())))
