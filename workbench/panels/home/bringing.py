"""What is brought in on the home page: the host of an import there, see `ImportPages`."""

from __future__ import annotations

from collections.abc import Callable

from workbench.datasets.formats.accounts import Account
from workbench.panels.home.model import HomeModel
from workbench.panels.shared.status import Status
from workbench.persistence.models import ImageKey

Go = Callable[[str, str], object]
"""Opens a panel, by its title, on a dataset."""

ShowPictures = Callable[[str, list[ImageKey], str], object]
"""Shows some pictures of a dataset; the last word says which."""


class ImportsOfHome:
    """An `ImportHost` among the cards of all datasets: none of them is open.

    Parameters
    ----------
    model : HomeModel
    go : Go, optional
    show : ShowPictures, optional
    """

    dataset = ""

    def __init__(self, model: HomeModel, go: Go | None, show: ShowPictures | None) -> None:
        self._model = model
        self._go = go
        self._show = show

    async def changed(self, dataset: str) -> None:
        """Show it on the cards."""
        await self._model.refresh()

    async def open_dataset(self, dataset: str) -> None:
        """Open it in Browse; a home page that stands alone says how."""
        if self._go is not None:
            self._go("Browse", dataset)
        else:
            self._model.status = Status(f"Show it in a cell: BrowsePanel({dataset!r})")

    async def show_pictures(self, dataset: str, images: list[ImageKey], words: str) -> None:
        """Show some pictures in Browse; a home page that stands alone says how."""
        if self._show is not None:
            self._show(dataset, images, words)
        else:
            names = ", ".join(map(repr, images[:3])) + (", …" if images[3:] else "")
            self._model.status = Status(
                f"Show them in a cell: BrowsePanel({dataset!r}, images=[{names}])"
            )

    def applied(self, dataset: str, account: Account) -> None:
        """Let Undo of the home page take it back, too."""
        self._model.note_import(dataset, account)

    def undone(self, account: Account, status: Status) -> None:
        """Say so above the cards."""
        self._model.forget_import(account)
        self._model.status = status
