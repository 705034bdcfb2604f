"""Uploads that are sent twice, because the first answer got lost, are done once."""

from __future__ import annotations

import asyncio
import shutil
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.responses import Response

from workbench.api.problems import ProblemError

_KEPT = 2000
"""Answers that are remembered; the oldest go first."""

_LONGEST_KEY = 200


class Idempotency:
    """Remembers, by ``Idempotency-Key``, what was answered."""

    def __init__(self) -> None:
        self._answers: OrderedDict[tuple[str, str], tuple[str, Response]] = OrderedDict()
        self._under_way: set[tuple[str, str]] = set()

    def knows(self, where: str, key: str | None) -> bool:
        """Whether a request with this key was answered: it is not to be checked anew."""
        return key is not None and (where, key) in self._answers

    async def once(
        self, where: str, key: str | None, digest: str, work: Callable[[], Awaitable[Response]]
    ) -> Response:
        """Do something, or return the answer that the same request got before.

        Parameters
        ----------
        where : str
            What the key belongs to: keys of two operations do not meet.
        key : str or None
            None: whoever sends it wants no such thing.
        digest : str
            Of what was sent.

        Raises
        ------
        ProblemError
            409 while the first request with this key is under way; 422 if it had sent
            something else.
        """
        if key is None:
            return await work()
        if not 0 < len(key) <= _LONGEST_KEY:
            raise ProblemError(
                422, f"Idempotency-Key: expected 1 to {_LONGEST_KEY} characters, found {len(key)}"
            )
        place = (where, key)
        if place in self._answers:
            before, answer = self._answers[place]
            if before != digest:
                raise ProblemError(
                    422,
                    f"Idempotency-Key {key!r} was used for other contents; use each key once",
                    kind="idempotency-key-reused",
                )
            return answer
        if place in self._under_way:
            raise ProblemError(
                409,
                f"the first request with Idempotency-Key {key!r} is under way; try again",
                kind="under-way",
                headers={"Retry-After": "1"},
            )
        self._under_way.add(place)
        try:
            answer = await work()
        finally:
            self._under_way.discard(place)
        if answer.status_code < 300:
            self._answers[place] = (digest, answer)
            while len(self._answers) > _KEPT:
                self._answers.popitem(last=False)
        return answer


async def once_uploaded(
    idempotency: Idempotency,
    where: str,
    key: str | None,
    digest: str,
    path: Path,
    work: Callable[[], Awaitable[Response]],
) -> Response:
    """Answer an upload, unless it was answered before; then what was sent again is removed.

    Parameters
    ----------
    where, key, digest
        As for `Idempotency.once`.
    path : Path
        What was uploaded. It belongs to `work` from then on.
    """
    used = False

    async def noting() -> Response:
        nonlocal used
        response = await work()
        used = True
        return response

    try:
        return await idempotency.once(where, key, digest, noting)
    finally:
        if not used:
            await asyncio.to_thread(remove_upload, path)


def remove_upload(path: Path) -> None:
    """Remove an uploaded file, or a folder of them."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
