"""Who can be asked in Browse to suggest boxes, and the files that this takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from workbench.datasets.changes import BoxRef
from workbench.datasets.prelabelling import Labeller
from workbench.errors import NotFoundError
from workbench.geometry import to_pixels
from workbench.labelling import Example
from workbench.labelling.predictor import Predictor
from workbench.labelling.teaching import TAUGHT, Teacher
from workbench.panels.browse.gallery import Gallery
from workbench.panels.browse.model import BrowseModel
from workbench.panels.browse.prompt_lines import mapping_of, prompts_of
from workbench.panels.shared.looking import Looker
from workbench.panels.shared.offers import offer_of
from workbench.panels.shared.status import Status
from workbench.panels.shared.typed_path import typed_path
from workbench.panels.shared.where import on_cluster, place_wished
from workbench.persistence import Stores
from workbench.persistence.models import ImageKey, Progress
from workbench.training.config import LOCAL
from workbench.training.places.ray import RAY
from workbench.training.runner import TrainingRunner
from workbench.weights.fetching import MissingFilesError

How = Literal["model", "weights", "taught", "words", "similar", "pixels"]
Images = Literal["selected", "unlabelled", "all"]

_LIKE = ("similar", "pixels")
_MOST_EXAMPLES = 20
"""Of more selected boxes every so many-th is an example: each picture is held in memory."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page asks for.

    Parameters
    ----------
    how : str
        A ``"model"`` of the store; ``"weights"`` on disk; what was ``"taught"`` in the annotator;
        the classes in ``"words"``; or what is like the selected boxes: ``"similar"``, ``"pixels"``.
    name : str
        Of a model (empty: the active one), or the path of weights.
    where : str
        The place where a model looks.
    text : str
        The words of the classes, or which class of the weights is which; empty: as they are known.
    images : str
        The ``"selected"`` ones, those that are ``"unlabelled"``, or ``"all"``.
    """

    how: How = "model"
    name: str = ""
    where: str = LOCAL
    text: str = ""
    images: Images = "selected"

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Asked:
        """Read a ``suggest`` action.

        Raises
        ------
        ValueError
            If there is no such way, no such place, or there are no such images.
        """
        how: Any = message.get("how") or "model"
        if how not in get_args(How):
            raise ValueError(f"how {how!r}: expected one of {', '.join(get_args(How))}")
        images: Any = message.get("images") or "selected"
        if images not in get_args(Images):
            raise ValueError(f"images {images!r}: expected one of {', '.join(get_args(Images))}")
        return cls(
            how,
            str(message.get("name") or ""),
            place_wished(message.get("where")),
            str(message.get("text") or ""),
            images,
        )

    @property
    def query(self) -> str | None:
        """Of the images to look at; None: those that are selected."""
        return {"unlabelled": "unlabelled", "all": ""}.get(self.images)

    @property
    def looker(self) -> Looker:
        """Who looks; what examples it needs is not known here."""
        if self.how == "weights":
            return Looker(model=_weights(self.name), mapping=mapping_of(self.text))
        if self.how == "words" or self.how == "similar" or self.how == "pixels":
            return Looker(self.how)
        return Looker(model=self.name or None, where=self.where)


class SuggestingPages:
    """Offers who can suggest boxes, and the files that are missing for that.

    Parameters
    ----------
    stores : Stores
    model : BrowseModel
    gallery : Gallery
        Has the menu.
    runner : TrainingRunner or None
        Ran the lessons of the annotator.
    """

    def __init__(
        self, stores: Stores, model: BrowseModel, gallery: Gallery, runner: TrainingRunner | None
    ) -> None:
        self._stores = stores
        self._model = model
        self._gallery = gallery
        self._runner = runner
        self._offered: tuple[Asked, Looker] | None = None

    async def list_labellers(self) -> None:
        """Bring the menu up to date: the active model first, then the others, then words."""
        infos = await self._stores.model.list()
        active = next((f", {info.name}" for info in infos if info.is_active), "")
        others = [
            {"text": info.name, "how": "model", "name": info.name}
            for info in infos
            if not info.is_active
        ]
        model = f"The active model{active}"
        there = on_cluster()
        elsewhere = {"text": f"The same, {there}", "how": "model", "name": "", "where": RAY}
        taught = {"text": "What was taught in Annotate", "how": "taught", "name": ""}
        words = {"text": "The classes in words", "how": "words", "name": ""}
        self._gallery.labellers = [
            {"text": model, "how": "model", "name": ""},
            *([elsewhere] if there else []),
            *([taught] if self._runner is not None else []),
            *others,
            words,
        ]

    async def list_words(self, dataset: str) -> None:
        """Show what is looked for in words."""
        prompts = await self._stores.dataset.get_prompts(dataset)
        self._gallery.words = {str(class_id): words for class_id, words in prompts.items()}

    async def suggest(self, message: Mapping[str, Any]) -> None:
        """Have boxes proposed on the selection by whom a page has chosen."""
        asked = Asked.from_message(message)
        looker = asked.looker
        if asked.how == "words" and asked.text:
            await self._save_words(asked.text)
        if asked.how in _LIKE:
            looker = replace(looker, examples=await self._examples())
        await self._suggest(asked, looker, fetch=False)

    async def fetch(self) -> None:
        """Fetch the files that were offered, and go on with what they are needed for."""
        if self._offered is not None:
            await self._suggest(*self._offered, fetch=True)

    async def _suggest(self, asked: Asked, looker: Looker, *, fetch: bool) -> None:
        async def choose(predictor: Predictor, progress: Progress) -> Labeller:
            if asked.how == TAUGHT:
                return await self._taught(predictor)
            return looker.labeller(predictor, fetch=fetch, progress=progress)

        self._offered, self._gallery.offer = None, {}
        try:
            await self._model.suggest_by(choose, asked.query)
        except MissingFilesError as error:
            self._offered, self._gallery.offer = (asked, looker), offer_of(error)
            self._model.status = Status(
                f"{self._gallery.offer['text']} “Suggest boxes” offers to fetch them.", "problem"
            )

    async def _taught(self, predictor: Predictor) -> Labeller:
        """Return the best model of the annotator's lessons."""
        found = None
        if self._runner is not None:
            teacher = Teacher(self._stores, self._model.dataset, self._runner, predictor)
            await teacher.lessons()
            found = await teacher.labeller()
        if found is None:
            raise NotFoundError(
                f"Nothing was taught on {self._model.dataset} yet that saves work: turn on the "
                "switch in Annotate (Shift+T), and review some images"
            )
        return found

    async def _save_words(self, text: str) -> None:
        """Keep what a person wants looked for, where it differs from what is known."""
        dataset = self._model.dataset
        classes = (await self._stores.dataset.get(dataset)).classes
        wanted = prompts_of(text, classes)
        if wanted != await self._stores.dataset.get_prompts(dataset):
            await self._stores.dataset.save_prompts(dataset, wanted)
        await self.list_words(dataset)

    async def _examples(self) -> list[Example]:
        """Return the pictures of the selected boxes, with these."""
        listing = self._model.listing
        refs = [] if listing is None else listing.boxes(self._model.selection)
        if not refs:
            raise ValueError("no box is selected: show the objects and select what to find more of")
        refs = refs[:: -(-len(refs) // _MOST_EXAMPLES)]
        by_image: dict[ImageKey, list[BoxRef]] = {}
        for ref in refs:
            by_image.setdefault(ref.image, []).append(ref)
        return [await self._example(key, own) for key, own in by_image.items()]

    async def _example(self, key: ImageKey, refs: list[BoxRef]) -> Example:
        frame = await self._stores.image.load(self._model.dataset, *key)
        boxes = [ref.expected for ref in refs if ref.expected is not None]
        corners = to_pixels([box.xywh for box in boxes], frame.shape[1], frame.shape[0])
        return Example(frame, np.asarray(corners), [box.class_id for box in boxes])


def _weights(path: str) -> Path:
    if not path.strip():
        raise ValueError("expected the path of a weights file, found nothing")
    return typed_path(path)
