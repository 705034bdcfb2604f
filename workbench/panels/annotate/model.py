"""The model behind the annotate panel: walks images, loads them, saves finished edits.

No widgets: traits carry state, coroutines do the work, stores are handed in. An edit
carries the image that it belongs to and the revision of the label file that it is based
on, so that a late edit never lands on another image or on somebody else's work.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any

import traitlets

from workbench.datasets.changes import counted
from workbench.datasets.classes import ClassEditor
from workbench.datasets.manager import DatasetManager
from workbench.datasets.trail import Trail, read_trail, same_boxes
from workbench.datasets.walks import check_filter, is_of_suggestions, plan_walk, why_empty
from workbench.errors import ConflictError, LabelFormatError, NotFoundError, WorkbenchError
from workbench.labelling import remote_files
from workbench.labelling.clicking import USUAL as CLICKED_USUALLY
from workbench.labelling.clicking import Clicking
from workbench.labelling.tightening import tightened
from workbench.panels.annotate.boxes import annotations_of, predictions_of
from workbench.panels.annotate.messages import Edit, Xyxy
from workbench.panels.annotate.picture import UNREADABLE, Picture, PictureLoader
from workbench.panels.annotate.reviewing import RESTS_ON, Review
from workbench.persistence import Stores
from workbench.persistence.models import Annotation, LabelData, LabelEdit, Prediction
from workbench.persistence.sources import ImageSource
from workbench.persistence.suggestion_blocks import SuggestionBlock
from workbench.weights.fetching import MissingFilesError


class ClassesChangedError(ConflictError):
    """Class ids mean something else by now than when boxes of them were drawn."""


class AnnotateModel(traitlets.HasTraits):
    """Walks the images of a split.

    Parameters
    ----------
    stores : Stores
    dataset : str
    split : str
    images : sequence of str, optional
        File names to walk, in this order; default: all of the split, by name.
    only : str, optional
        A filter, see `plan_walk`.
    """

    picture = traitlets.Instance(Picture, allow_none=True, help="the image that is open")
    labels = traitlets.Instance(
        LabelData, allow_none=True, help="of the open image, as last loaded or saved"
    )
    classes = traitlets.List(traitlets.Unicode(), help="names of the classes")
    colours = traitlets.List(traitlets.Unicode(), help="see `DatasetInfo.colours`")
    total = traitlets.Int(0, help="images in the walk")
    labelled = traitlets.Int(0, help="images in the walk that have a label file")
    why_empty = traitlets.Unicode("", help="said where the walk has no image; empty: as always")
    state = traitlets.Enum(
        ("saved", "saving", "not saved"), "saved", help="of the edits made so far"
    )
    why = traitlets.Unicode("", help="why something is not saved")

    def __init__(
        self,
        stores: Stores,
        dataset: str,
        split: str = "train",
        *,
        images: Sequence[str] | None = None,
        only: str | None = None,
    ) -> None:
        super().__init__()
        check_filter(only)
        self._stores = stores
        self.dataset = dataset
        self.split = split
        self.walk = 0
        self._wanted = None if images is None else list(images)
        self._only = only
        self._loader = PictureLoader(stores, dataset, split)
        self._scope = ""
        self._names: list[str] = []
        self._places: dict[str, int] = {}
        self._labelled: set[str] = set()
        self._reasons: dict[str, str] = {}
        self._proposals: dict[str, list[Prediction]] = {}
        self.clicking = Clicking()
        self.review = Review(stores, dataset, split)
        self._sources: dict[str, ImageSource] = {}
        self._writes: Counter[str] = Counter()
        self._saving = 0
        self._has_saved = False  # since it caught up last
        self._failures: dict[str, str] = {}
        self._ticket = 0
        self._opening = 0  # the ticket of what somebody has asked for and not got yet

    @property
    def scope(self) -> str:
        """How the keys of this dataset's images begin."""
        return self._scope

    @property
    def filenames(self) -> list[str]:
        """The images of the walk, in order."""
        return list(self._names)

    async def start(self) -> None:
        """Read the dataset's classes and the list of images; begins a new walk."""
        await self._begin(self.dataset, self.split)

    async def switch(
        self,
        dataset: str,
        split: str = "train",
        *,
        images: Sequence[str] | None = None,
        only: str | None = None,
    ) -> None:
        """Walk images of another dataset, or other images, from now on; none is open then.

        Parameters
        ----------
        images, only
            As for the model itself.

        Raises
        ------
        NotFoundError
            If there is no such dataset; then the walk is what it was.
        """
        check_filter(only)
        before = self._wanted, self._only
        self._wanted, self._only = None if images is None else list(images), only
        try:
            await self._begin(dataset, split)
        except BaseException:
            self._wanted, self._only = before
            raise

    async def _begin(self, dataset: str, split: str) -> None:
        info = await DatasetManager.on(self._stores).get(dataset)
        plan = await plan_walk(self._stores, dataset, split, images=self._wanted, only=self._only)
        sources = await self._sources_of(dataset, split, plan.filenames)
        is_other = (dataset, split) != (self.dataset, self.split)
        review = Review(self._stores, dataset, split) if is_other else self.review
        await review.refresh()
        # What was read is taken over at once, so that nobody sees a walk of two datasets.
        if is_other:
            self.dataset, self.split, self.review = dataset, split, review
            self._loader = PictureLoader(self._stores, dataset, split)
            self._proposals = {}
            self.forget_picture()
        self._scope = f"{info.path}/{split}/"
        self.why_empty = why_empty(self._only)
        self._names = plan.filenames
        self._places = {name: index for index, name in enumerate(plan.filenames)}
        self._labelled = plan.labelled
        self._reasons = dict(plan.reasons)
        self._sources = sources
        self._propose_what_capture_saw(len(info.classes))
        self.walk += 1
        self.classes, self.colours = info.classes, info.colours
        self.total = len(plan.filenames)
        self.labelled = len(self._labelled)

    async def catch_up(self, news: AbstractSet[str]) -> bool:
        """Take over what others have changed; see `following`.

        Parameters
        ----------
        news : set of str
            The parts of the dataset that changed.

        Returns
        -------
        bool
            Whether the image that is open has to be shown again.
        """
        if "classes" in news:
            info = await self._stores.dataset.get(self.dataset)
            self.classes, self.colours = info.classes, info.colours
        if news & RESTS_ON:
            await self.review.refresh()
        is_only_own = self._has_saved and news <= {"labels", "suggestions"}
        self._has_saved = False
        is_other = False
        # After each box that is drawn here the split need not be listed again: what somebody
        # else labelled in the same moment is counted with the next news.
        parts = {"images", "labels"}
        # The queues take long to compute: where one is walked already, it stays as it was planned.
        if is_of_suggestions(self._only) and (self._only == "suggested" or not self.total):
            parts.add("suggestions")
        if not is_only_own and parts & news:
            is_other = await self._plan_again()
        return is_other or await self._is_outdated()

    async def add_class(self, name: str) -> None:
        """Append a class to the dataset, for boxes to come.

        Raises
        ------
        InvalidDatasetError
            If it is empty, or there is a class of that name.
        """
        plan = await ClassEditor(self._stores, self.dataset).add(name.strip())
        await plan.apply()
        self.classes = plan.classes

    def forget_picture(self) -> None:
        """Note that there is no image any more which could be open."""
        self._ticket += 1
        self.picture = self.labels = None

    async def _plan_again(self) -> bool:
        """Bring the walk up to date; return whether it is another one."""
        plan = await plan_walk(
            self._stores,
            self.dataset,
            self.split,
            images=self._wanted,
            only=self._only,
            keep=self._names if self._only else (),
        )
        self._labelled = plan.labelled
        self._reasons |= plan.reasons
        self.labelled = len(plan.labelled)
        if plan.filenames == self._names:
            return False
        self._sources = await self._sources_of(self.dataset, self.split, plan.filenames)
        self._propose_what_capture_saw(len(self.classes))
        self._names = plan.filenames
        self._places = {name: index for index, name in enumerate(plan.filenames)}
        self.walk += 1
        self.total = len(plan.filenames)
        return True

    async def _is_outdated(self) -> bool:
        """Whether somebody else has changed the labels of the open image, or taken it away."""
        if self.picture is None or self.labels is None or self._saving:
            return False
        writes, labels = self._writes[self.picture.key], self.labels
        try:
            present = await self.present_labels(self.picture.filename)
        except NotFoundError:
            return True
        if writes != self._writes[self.picture.key] or labels is not self.labels:
            return False  # somebody has saved here meanwhile
        return present is not None and present.revision != labels.revision

    async def open(self, index: int, *, asked_by: Mapping[str, Any] | None = None) -> Picture:
        """Load an image of the walk and make it `picture`.

        Of several that are asked for at once only the last becomes `picture`.

        Raises
        ------
        IndexError
            If the walk has no such place.
        """
        self._ticket += 1
        self._opening = ticket = self._ticket
        try:
            return await self._load_and_show(index, asked_by)
        finally:
            if self._opening == ticket:
                self._opening = 0

    async def renew(self, index: int, *, asked_by: Mapping[str, Any] | None = None) -> None:
        """Open an image that nobody has asked for: unless somebody asks for another meanwhile."""
        if not self._opening or self._opening != self._ticket:
            self._ticket += 1
            await self._load_and_show(index, asked_by)

    async def _load_and_show(self, index: int, asked_by: Mapping[str, Any] | None) -> Picture:
        ticket = self._ticket
        picture = await self.load(index, asked_by=asked_by)
        if ticket == self._ticket:
            self.labels = picture.labels
            self.picture = picture
        return picture

    async def load(
        self, index: int, *, plain: bool = False, asked_by: Mapping[str, Any] | None = None
    ) -> Picture:
        """Load an image of the walk with its labels, without opening it.

        An image or label file that cannot be read is no exception here: `Picture.problem`
        says what is wrong, and the walk goes on.

        Parameters
        ----------
        plain : bool
            Encode the pixels anew, for a browser that cannot decode the stored bytes.
        """
        if not 0 <= index < len(self._names):
            raise IndexError(
                f"the walk has {counted(len(self._names), 'image')}, none has number {index}"
            )
        name = self._names[index]
        key = self._scope + name
        await self.review.refresh()
        while True:
            writes = self._writes[key]
            picture = await self._loader.load(key, name, index, plain=plain, asked_by=asked_by)
            # If a save ended meanwhile, these labels are outdated.
            if writes == self._writes[key]:
                return picture

    def name_of(self, key: str) -> str:
        """File name of the image that has a key.

        Raises
        ------
        NotFoundError
            If the key belongs to another dataset or split.
        """
        if not key.startswith(self._scope) or not self._scope:
            raise NotFoundError(f"{key} is not an image of {self.dataset}/{self.split}")
        return key.removeprefix(self._scope)

    def index_of(self, key: str) -> int | None:
        """Place of an image in the walk, or None."""
        return self._places.get(key.removeprefix(self._scope))

    def reason_of(self, filename: str) -> str:
        """Why an image that nobody has labelled stands where it does in a queue; else empty."""
        return "" if filename in self._labelled else self._reasons.get(filename, "")

    def next_unlabelled(self, after: int) -> int | None:
        """Place of the next image without label file, from `after` on and round the end."""
        count = len(self._names)
        places = ((after + step) % count for step in range(1, count + 1))
        return next((i for i in places if self._names[i] not in self._labelled), None)

    def filenames_at(self, first: int, count: int) -> list[str]:
        """Images of the walk from one place on, fewer where it ends."""
        return self._names[first : first + count]

    def is_labelled(self, filename: str) -> bool:
        """Whether an image of the walk has a label file."""
        return filename in self._labelled

    def unlabelled(self) -> list[str]:
        """Images of the walk without a label file: from the open one on, then those before it."""
        start = 0 if self.picture is None else self.picture.index
        names = [*self._names[start:], *self._names[:start]]
        return [name for name in names if name not in self._labelled]

    def proposals(
        self, filename: str, labels: Sequence[Annotation] = (), *, rejected: bool = False
    ) -> list[Prediction]:
        """Predictions of an image that wait for review: those of `propose`, and suggestions.

        Parameters
        ----------
        labels : sequence of Annotation
            The image's labels; suggestions that these cover do not wait any more.
        rejected : bool
            Also suggestions that a person has rejected.
        """
        kept = self.review.waiting(filename, labels, rejected=rejected)
        return [*self._proposals.get(filename, ()), *kept]

    def to_review(self, threshold: float, of_class: Mapping[str, float]) -> int:
        """Images of the walk that nobody has labelled, with a suggestion at or above a score.

        Parameters
        ----------
        of_class : mapping
            Scores for some classes by their names, in place of `threshold`.
        """
        names = [name for name in self._names if name not in self._labelled]
        ids = {i: of_class[name] for i, name in enumerate(self.classes) if name in of_class}
        return self.review.count(names, threshold, ids)

    def propose(self, filename: str, predictions: Sequence[Prediction]) -> None:
        """Replace the predictions of an image that wait for review; no label is touched."""
        self._proposals[filename] = list(predictions)

    async def tightened(self, key: str, boxes: Sequence[Xyxy]) -> list[list[float]]:
        """Return boxes of an image, in its pixels, drawn in to what they show.

        Where weights of the SAM family are on this disk, these find it, else colours do.
        """
        frame = await self._stores.image.load(self.dataset, self.split, self.name_of(key))
        if self.clicking.weights is not None:
            drawn: list[list[float]] = (
                await self.clicking.tightened(self._seen_as(key), frame, boxes)
            ).tolist()
            return drawn
        found: list[list[float]] = (await asyncio.to_thread(tightened, frame, boxes)).tolist()
        return found

    async def box_at(self, key: str, point: Sequence[float]) -> list[float] | None:
        """Return a tight box around what is at a place of an image; None if nothing is.

        Raises
        ------
        MissingFilesError
            If no weights of the SAM family are on this disk.
        """
        if self.clicking.weights is None:
            usual, folder = remote_files.CLICKED[CLICKED_USUALLY], remote_files.folder()
            raise MissingFilesError("A box around what is pointed at", [usual], folder)
        frame = await self._stores.image.load(self.dataset, self.split, self.name_of(key))
        return await self.clicking.at(self._seen_as(key), frame, point)

    async def look_ahead(self) -> None:
        """Look at the open image and the next one before somebody points at what is on them."""
        picture = self.picture
        if picture is None or not self.clicking.is_loaded:
            return
        for name in self.filenames_at(picture.index, 2):
            if picture is not self.picture:
                return  # the person has gone on
            frame = await self._stores.image.load(self.dataset, self.split, name)
            await self.clicking.look_ahead(self._seen_as(self._scope + name), frame)

    def _seen_as(self, key: str) -> str:
        """Return what an image is remembered by, as long as nobody replaces it."""
        return f"{self.walk}/{key}"

    def suggested_class(self, picture: Picture) -> str:
        """Return what an image was said to show when it was captured; of an unlabelled one.

        Empty if nothing was said, or the dataset has no such class.
        """
        source = self._sources.get(picture.filename)
        if source is None or picture.labels.revision or source.class_name not in self.classes:
            return ""
        return source.class_name

    async def take(self, edit: Edit) -> LabelData:
        """Write a finished edit of the canvas; see `save`.

        One that was made in Python, which has no session, is based on what this model saw
        last. Proposals that the edit leaves over go on waiting for review.
        """
        name = self.name_of(edit.key)
        revision = edit.revision
        if not edit.session and self.labels is not None:
            revision = self.labels.revision
        with self._noting(edit.key, name):
            if not edit.agreed:
                self._require_same_meaning(edit.names)
            size = await self.size_of(edit.key)
            if edit.proposals is not None:
                passing = [box for box in edit.proposals if not box.source_id]
                self.propose(name, predictions_of(passing, size))
            present = await self.present_labels(name)
            stored = () if present is None else present.annotations
            boxes = annotations_of(edit.boxes, size, stored) if edit.labelled else None
            what = edit.what
            if what not in {"undo", "redo"}:  # what these words mean is read from the history
                taken = self.review.sources_taken(name, stored, boxes or ())
                what = f"{what} ({', '.join(taken)})" if taken else what
            decided = self.review.decided(name, edit, boxes or (), size)
            data = await self._write(name, present, revision, boxes, edit.agreed, what, decided)
            if decided:
                await self.review.refresh()
        self._note_written(edit.key, data)
        return data

    async def save(
        self,
        key: str,
        revision: str,
        annotations: Sequence[Annotation] | None,
        *,
        agreed: bool = False,
        what: str = "",
    ) -> LabelData:
        """Write the labels of an image.

        Parameters
        ----------
        key : str
            `Picture.key` of the image that was edited, which need not be open any more.
        revision : str
            Of the label file that the edit is based on.
        annotations : sequence of Annotation or None
            None: no label file, the image is not labelled.
        agreed : bool
            The user knows what is in the file and wants these boxes in its place.
        what : str
            In a word what was done, for the history.

        Raises
        ------
        ConflictError
            If the file has another revision, and other boxes than these.
        LossySaveError
            If rows would be lost that are not plain boxes, and `agreed` is false.
        NotFoundError
            If `key` belongs to another dataset or split, or the image is gone.
        """
        name = self.name_of(key)
        boxes = None if annotations is None else list(annotations)
        with self._noting(key, name):
            present = await self.present_labels(name)
            data = await self._write(name, present, revision, boxes, agreed, what)
        self._note_written(key, data)
        return data

    async def history(self, key: str | None = None) -> list[LabelEdit]:
        """Return the edits of an image, or of all images of the dataset, oldest first."""
        if key is None:
            return await self._stores.label.history(self.dataset)
        return await self._stores.label.history(self.dataset, self.split, self.name_of(key))

    async def trail(self, key: str) -> tuple[LabelData, Trail]:
        """Return the labels of an image, and what undo and redo would lead to."""
        name = self.name_of(key)
        data = await self._stores.label.get(self.dataset, self.split, name)
        edits = await self._stores.label.history(self.dataset, self.split, name)
        return data, read_trail(edits, data.annotations if data.revision else None)

    async def restore(self, edit_id: str) -> LabelData:
        """Put an image's labels back to what they were before an edit; see `LabelStore.revert`."""
        data = await self._stores.label.revert(self.dataset, edit_id)
        if data.split == self.split:
            self._note_written(self._scope + data.filename, data)
        return data

    def key_of(self, data: LabelData) -> str | None:
        """Key of the image that has these labels; None if it is not in the walk."""
        is_here = data.split == self.split and data.filename in self._places
        return self._scope + data.filename if is_here else None

    def forget_failure(self, key: str) -> None:
        """Note that an edit that could not be saved has been given up."""
        if self._failures.pop(key, None) is not None:
            self._refresh_state()

    async def present_labels(self, filename: str) -> LabelData | None:
        """Return what the label file of an image holds now; None if it cannot be read."""
        try:
            return await self._stores.label.get(self.dataset, self.split, filename)
        except LabelFormatError:
            return None

    async def size_of(self, key: str) -> tuple[int, int]:
        """Width and height of an image in pixels."""
        if self.picture is not None and self.picture.key == key:
            return self.picture.width, self.picture.height
        name = key.removeprefix(self._scope)
        info = await self._stores.image.get(self.dataset, self.split, name)
        return info.width, info.height

    def _require_same_meaning(self, names: Mapping[int, str]) -> None:
        """Make sure that class ids mean what they meant to whoever drew boxes of them."""
        others = {key: name for key, name in names.items() if self._name(key) != name}
        if others:
            lines = (f"{name!r} is {self._name(key)!r} now" for key, name in others.items())
            raise ClassesChangedError(
                f"The classes were changed elsewhere since this was drawn: {', '.join(lines)}. "
                f"“Keep mine” saves the boxes with the classes that are shown now."
            )

    def _name(self, class_id: int) -> str:
        return self.classes[class_id] if 0 <= class_id < len(self.classes) else "no class"

    async def _write(
        self,
        name: str,
        present: LabelData | None,
        revision: str,
        annotations: list[Annotation] | None,
        agreed: bool,
        what: str,
        decided: Sequence[SuggestionBlock] = (),
    ) -> LabelData:
        """Write labels in place of those that are `present`, unless they are there already.

        What was decided on suggestions goes along: both, or neither. A page sends an edit again
        whose answer got lost.
        """
        label, place = self._stores.label, (self.dataset, self.split, name)
        expected = None if revision == UNREADABLE else revision
        is_repeat = present is not None and present.revision not in {"", revision}
        if annotations is None:
            if present is not None and not present.revision:
                data = present  # there is nothing to remove, or it was removed before
            else:
                await label.delete(*place, expected_revision=expected, what=what)
                data = LabelData(name, self.split, [])
        elif present is not None and is_repeat and same_boxes(present.annotations, annotations):
            data = present
        else:
            return await label.save(
                *place,
                annotations,
                expected_revision=expected,
                discard_other_rows=agreed,
                what=what,
                decided=decided,
            )
        if decided:
            await self._stores.image.add_suggestions(self.dataset, decided)
        return data

    @contextmanager
    def _noting(self, key: str, name: str) -> Iterator[None]:
        """Show that an image's labels are being saved, and whether they are."""
        self._saving += 1
        self._failures.pop(key, None)
        self._refresh_state()
        try:
            yield
        except (WorkbenchError, OSError) as error:
            self._failures[key] = f"{name}: {error}"
            raise
        finally:
            self._saving -= 1
            self._refresh_state()

    async def _sources_of(
        self, dataset: str, split: str, names: Sequence[str]
    ) -> dict[str, ImageSource]:
        """Return where the images of a walk came from, of those that a capture made."""
        wanted = set(names)
        found = await self._stores.image.sources(dataset)
        return {
            name: source
            for (its_split, name), source in found.items()
            if its_split == split and name in wanted
        }

    def _propose_what_capture_saw(self, num_classes: int) -> None:
        """Lay the boxes of a live model over the images that nobody has reviewed yet."""
        for name, source in self._sources.items():
            known = [p for p in source.predictions if p.class_id < num_classes]
            if known and name not in self._labelled and name not in self._proposals:
                self.propose(name, known)

    def _note_written(self, key: str, data: LabelData) -> None:
        self._writes[key] += 1
        self._has_saved = True
        if self.picture is not None and self.picture.key == key:
            self.labels = data
        if data.filename in self._places:
            (self._labelled.add if data.revision else self._labelled.discard)(data.filename)
            self.labelled = len(self._labelled)

    def _refresh_state(self) -> None:
        self.why = next(iter(self._failures.values()), "")
        self.state = "not saved" if self._failures else "saving" if self._saving else "saved"
