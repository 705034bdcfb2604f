"""The model behind the pages of an import: look, choose, apply, read the account, undo.

No widgets: `page` says what is to be seen, coroutines do the work. How it goes:

1. `look` plans an import; nothing has been written.
2. `choose` and `aim` plan it anew: other choices, another dataset.
3. `apply` writes all of it or nothing, and the account is shown.
4. `undo` takes it back as one, in later sessions too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import traitlets

from workbench.datasets.formats.accounts import (
    Account,
    import_accounts,
    take_back_import,
    work_since,
)
from workbench.datasets.formats.choices import Choices
from workbench.datasets.formats.merging import MergePlan, plan_merge
from workbench.datasets.formats.naming import default_name
from workbench.datasets.formats.plan import ImportPlan, plan_import
from workbench.datasets.formats.view import FolderView
from workbench.datasets.manager import DatasetManager
from workbench.errors import (
    ArchiveError,
    ConflictError,
    ImportFormatError,
    NotFoundError,
    WorkbenchError,
)
from workbench.panels.shared.changing import BusyError, ChangingModel, Task, not_done
from workbench.panels.shared.import_words import (
    Key,
    account_page,
    accounts_page,
    chosen_value,
    pictures_of,
    plan_page,
)
from workbench.panels.shared.python_code import Name, call, code
from workbench.panels.shared.status import Status
from workbench.persistence import Stores
from workbench.persistence.models import ImageKey


class ImportModel(ChangingModel):
    """One import at a time, and the accounts of those before.

    Parameters
    ----------
    stores : Stores
    changed : callable
        ``await changed(dataset)`` once a dataset was made, changed or deleted.
    said : callable
        Makes a message fit to be shown: ``said(text)``.

    Notes
    -----
    Used on one event loop.
    """

    page = traitlets.Dict(help="what is to be seen; empty: nothing of an import")

    def __init__(
        self,
        stores: Stores,
        changed: Callable[[str], Awaitable[None]],
        said: Callable[[str], str] = str,
    ) -> None:
        super().__init__()
        self._stores = stores
        self._datasets = DatasetManager.on(stores)
        self._changed = changed
        self._said = said
        self._plan: ImportPlan | MergePlan | None = None
        self._source = Path()
        self._origin = self._name = self._open = ""
        self._wanted: dict[str, Any] = {}  # choices that wait for the planning under way
        self._account: Account | None = None
        self._dataset = ""
        self._is_fresh = False
        self._is_writing = False
        self._opened: Key | None = None

    @property
    def account(self) -> Account | None:
        """The account that is shown."""
        return self._account

    @property
    def plan(self) -> ImportPlan | MergePlan | None:
        """What would come of the import that is looked at."""
        return self._plan

    # Before anything is written

    async def look(
        self, path: Path, dataset: str = "", origin: str = "", *, name: str = ""
    ) -> None:
        """Show the plan of an import.

        Parameters
        ----------
        path : Path
            A folder, an archive or an annotation file.
        dataset : str
            The one that is open: annotations without pictures are meant for it; empty: none is.
        origin : str
            What people call it; default: its path.
        name : str
            Of the dataset to make; default: as `path` is called.
        """
        try:
            async with self._doing("Looking at what there is") as task:
                self.close()
                self._source, self._origin, self._open = path, origin or str(path), dataset
                self._name = await self._datasets.free_name(name or default_name(path))
                try:
                    self._plan = await self._planned("", {}, task)
                except (ArchiveError, ImportFormatError):
                    if not dataset or not await asyncio.to_thread(_is_bare, path):
                        raise
                    plan = await self._planned(dataset, {}, task)
                    if not plan.format:
                        plan.close()
                        raise
                    self._plan = plan
        except (WorkbenchError, OSError) as error:
            self.page = {"kind": "error", "title": self._origin, "text": self._said(str(error))}
        await self._show_plan()

    async def choose(self, key: str, value: Any) -> None:
        """Plan anew with another choice.

        Parameters
        ----------
        key : str
            One of those of `Choices`, or ``existing`` and ``new`` as `plan_merge` has them;
            ``class`` and ``split`` change where a single one goes.
        value : object
            For these ``(name, its new name)``; None leaves a class out.
        """
        self._wanted[f"{key} {value[0]}" if key in ("class", "split") else key] = (key, value)
        async with self._doing("Planning anew", wait=True, at_once=False) as task:
            wanted, self._wanted = self._wanted, {}
            if not wanted or self._plan is None:  # taken along by what came before
                return
            try:
                changes = self._changes_of(list(wanted.values()))
                self._plan = await self._plan.choose(progress=task, **changes)
            finally:
                await self._show_plan()  # after an error: with what is still chosen

    async def aim(self, dataset: str) -> None:
        """Plan to add to a dataset, or to make a new one (`dataset` is empty)."""
        async with self._doing("Planning anew", wait=True, at_once=False) as task:
            plan = self._plan
            if plan is None:
                return
            kept = {name: getattr(plan.choices, name) for name in plan.choices.__slots__}
            try:
                self._plan = await self._planned(dataset, kept, task)
                plan.close()
            finally:
                await self._show_plan()

    def rename(self, name: str) -> None:
        """Call the dataset that is made so."""
        self._name = name.strip()
        if self._plan is not None and self.page:
            self.page = {**self.page, "name": self._name, "code": self.as_python()}

    def _changes_of(self, wanted: list[tuple[str, Any]]) -> dict[str, Any]:
        assert self._plan is not None
        changes: dict[str, Any] = {}
        for key, value in wanted:
            if key == "class":
                now = self._plan.choices.classes
                classes = changes.setdefault(
                    "classes", dict(now) if isinstance(now, Mapping) else {}
                )
                name, to = value
                classes[name] = None if to is None else " ".join(str(to).split()) or name
            elif key == "split":
                splits = changes.setdefault("splits", dict(self._plan.choices.splits))
                splits[value[0]] = value[1]
            else:
                changes[key] = chosen_value(key, value)
        return changes

    async def _planned(
        self, dataset: str, choices: dict[str, Any], task: Task
    ) -> ImportPlan | MergePlan:
        if dataset:
            return await plan_merge(
                self._stores,
                self._source,
                dataset,
                origin=self._origin,
                progress=task,
                **choices,
            )
        return await plan_import(
            self._stores, self._source, self._name, origin=self._origin, progress=task, **choices
        )

    async def _show_plan(self) -> None:
        if self._plan is not None:
            names = await self._datasets.list_usable()
            names.sort(key=lambda name: name != self._open)  # the one that is open comes first
            page = plan_page(
                self._plan,
                origin=self._origin,
                name=self._name,
                datasets=names,
                opened=self._opened,
            )
            page["questions"] = [self._said(text) for text in page["questions"]]
            self.page = page | {"code": self.as_python()}

    def as_python(self) -> str:
        """Return what `apply` does, to be run in a cell; empty while there is no plan.

        What came from the browser is named as it is called there: put it beside the notebook.
        """
        plan = self._plan
        if plan is None:
            return ""
        is_local = self._origin == str(self._source)
        path = self._source if is_local else Path(self._source.name)
        standard = Choices()
        chosen = {
            field.name: value
            for field in fields(Choices)
            if (value := getattr(plan.choices, field.name)) != getattr(standard, field.name)
        }
        function, target = "plan_import", self._name
        if isinstance(plan, MergePlan):
            function, target = "plan_merge", plan.dataset
        stores = Name("get_stores()")
        return code(
            (function, "get_stores"),
            call(f"plan = await {function}", stores, path, target, **chosen),
            "print(plan)",
            "await plan.apply()",
        )

    # What is written

    async def apply(self) -> None:
        """Do what is planned, and show the account of it."""
        async with self._writing(), self._doing("Importing", wait=True) as task:
            plan = self._plan
            if plan is None:
                return
            if isinstance(plan, MergePlan):
                await self._merge(plan, task)
                dataset = plan.dataset
            else:
                made = await plan.apply(self._name, progress=task)
                dataset = made.name
        self._forget_plan()
        account = (await import_accounts(self._stores, dataset))[-1]
        self._is_fresh = True
        self.status = Status()
        await self._changed(dataset)
        await self._show_account(dataset, account)

    async def _merge(self, plan: MergePlan, task: Task) -> None:
        try:
            await plan.apply(progress=task)
        except ConflictError as error:
            self._plan = await plan.choose(progress=task)
            await self._show_plan()
            raise ConflictError(
                f"{error}. The plan is for what is there now: look at it, and import."
            ) from error

    async def undo(self, *, confirmed: bool = False) -> None:
        """Take back the import whose account is shown, as one.

        Where it made the dataset and work was done since, the page asks first.

        Parameters
        ----------
        confirmed : bool
            Whether the page has asked.

        Raises
        ------
        ConflictError
            If that would destroy what was done since; nothing is undone then.
        """
        if self._account is None:
            return
        dataset, account = self._dataset, self._account
        async with self._writing(), self._doing("Undoing"):
            if (
                account.made
                and not confirmed
                and (words := await work_since(self._stores, dataset))
            ):
                self.page = {**self.page, "confirm": words}
                return
            await take_back_import(self._stores, dataset, account, confirmed=confirmed)
        self.close()
        what = f"dataset {dataset!r} imported" if account.made else f"import of {account.source}"
        self.status = Status(f"Undone: {what}.")
        await self._changed(dataset)

    # Accounts

    async def show_accounts(self, dataset: str) -> None:
        """List all imports into a dataset."""
        self.close()
        self.page = accounts_page(await import_accounts(self._stores, dataset), dataset)
        self._dataset = dataset

    async def show_account(self, identity: str) -> None:
        """Show the account of one of the imports that are listed.

        Raises
        ------
        NotFoundError
            If there is no such one.
        """
        accounts = await import_accounts(self._stores, self._dataset)
        found = next((account for account in accounts if account.id == identity), None)
        if found is None:
            raise NotFoundError(
                f"{self._dataset}: there is no account {identity!r}; import_accounts lists them"
            )
        self._is_fresh = False
        await self._show_account(self._dataset, found)

    async def _show_account(self, dataset: str, account: Account) -> None:
        self._dataset, self._account = dataset, account
        self.page = account_page(
            account,
            dataset,
            await self._present(),
            can_undo=account.can_be_taken_back,
            fresh=self._is_fresh,
            opened=self._opened,
        )

    async def _present(self) -> list[ImageKey]:
        return [(i.split, i.filename) for i in await self._stores.image.list(self._dataset)]

    async def open_lines(self, key: Key | None) -> None:
        """Show the lines and elements that a row is about, or those of none."""
        self._opened = key
        if self._plan is not None:
            await self._show_plan()
        elif self._account is not None:
            await self._show_account(self._dataset, self._account)

    async def pictures(self, key: Key) -> tuple[str, list[ImageKey]]:
        """Return the dataset, and the pictures that a row of the account is about."""
        if self._account is None:
            return self._dataset, []
        return self._dataset, pictures_of(self._account, await self._present(), key)

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[None]:
        self._is_writing = True
        try:
            yield
        finally:
            self._is_writing = False

    async def leave(self) -> None:
        """Show nothing any more, and stop what is only being looked at.

        Raises
        ------
        BusyError
            If something is being written: what it reads has to stay.
        """
        if self._is_writing:
            raise BusyError(not_done(self.work.what or "Importing"))
        self.stop()
        async with self.at_rest():
            self.close()

    def close(self) -> None:
        """Show nothing any more; a plan that was not applied is forgotten."""
        self._forget_plan()
        self._account, self._dataset, self._is_fresh = None, "", False
        self.status = Status()
        self.page = {}

    def _forget_plan(self) -> None:
        if self._plan is not None:
            self._plan.close()
        self._plan, self._opened, self._wanted = None, None, {}


def _is_bare(path: Path) -> bool:
    """Whether what lies at a path has annotations and no pictures."""
    with FolderView.open(path, may_be_bare=True) as view:
        return not view.pictures and bool(view.names)
