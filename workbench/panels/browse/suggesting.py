"""Who can be asked in Browse to suggest boxes, and the files that this takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from workbench.datasets.prelabelling import Labeller
from workbench.labelling import ModelLabeller, WordLabeller
from workbench.labelling.predictor import Predictor
from workbench.panels.browse.gallery import Gallery
from workbench.panels.browse.model import BrowseModel
from workbench.panels.shared.offers import offer_of
from workbench.panels.shared.status import Status
from workbench.panels.shared.where import on_cluster, place_wished, placed
from workbench.persistence import Stores
from workbench.persistence.models import Progress
from workbench.training.config import LOCAL
from workbench.training.places.ray import RAY
from workbench.weights.fetching import MissingFilesError

How = Literal["model", "words"]


@dataclass(frozen=True, slots=True)
class Asked:
    """Who shall suggest: a model of the store (empty: the active one), or words; and where."""

    how: How = "model"
    name: str = ""
    where: str = LOCAL

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Asked:
        """Read a ``suggest`` action.

        Raises
        ------
        ValueError
            If there is no such way, or no such place.
        """
        how: Any = message.get("how") or "model"
        if how not in get_args(How):
            raise ValueError(f"how {how!r}: expected one of {', '.join(get_args(How))}")
        return cls(how, str(message.get("name") or ""), place_wished(message.get("where")))

    def labeller(self, predictor: Predictor, *, fetch: bool, progress: Progress) -> Labeller:
        """Return who that is."""
        if self.how == "words":
            return WordLabeller(predictor, fetch=fetch, progress=progress)
        return placed(ModelLabeller(predictor, self.name or None), self.where)


class SuggestingPages:
    """Offers who can suggest boxes, and the files that are missing for that.

    Parameters
    ----------
    stores : Stores
    model : BrowseModel
    gallery : Gallery
        Has the menu.
    """

    def __init__(self, stores: Stores, model: BrowseModel, gallery: Gallery) -> None:
        self._stores = stores
        self._model = model
        self._gallery = gallery
        self._offered: Asked | None = None

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
        words = {"text": "The classes in words", "how": "words", "name": ""}
        self._gallery.labellers = [
            {"text": model, "how": "model", "name": ""},
            *([elsewhere] if there else []),
            *others,
            words,
        ]

    async def suggest(self, message: Mapping[str, Any]) -> None:
        """Have boxes proposed on the selection by whom a page has chosen."""
        await self._suggest(Asked.from_message(message), fetch=False)

    async def fetch(self) -> None:
        """Fetch the files that were offered, and go on with what they are needed for."""
        if self._offered is not None:
            await self._suggest(self._offered, fetch=True)

    async def _suggest(self, asked: Asked, *, fetch: bool) -> None:
        self._offered, self._gallery.offer = None, {}
        try:
            await self._model.suggest_by(
                lambda predictor, progress: asked.labeller(
                    predictor, fetch=fetch, progress=progress
                )
            )
        except MissingFilesError as error:
            self._offered, self._gallery.offer = asked, offer_of(error)
            self._model.status = Status(
                f"{self._gallery.offer['text']} “Suggest boxes” offers to fetch them.", "problem"
            )
