"""Readings that overlap: what an older one found is never shown over what a newer one did."""

from __future__ import annotations

from collections.abc import Callable


class Readings:
    """Numbers the readings of one state, such as the list of datasets.

    Two of them may be under way at once, and the one that began first may be done last. It knows
    less, so what it found is dropped::

        is_news = self._readings.begin()
        found = await self._stores.dataset.list()
        if is_news():
            self.datasets = found

    Nothing may be awaited between the question and the change. Used on one event loop.
    """

    def __init__(self) -> None:
        self._begun = 0
        self._shown = 0

    def begin(self) -> Callable[[], bool]:
        """Begin a reading.

        Returns
        -------
        callable
            Whether what it found may be shown: asked once, when it is done.
        """
        self._begun += 1
        number = self._begun

        def is_news() -> bool:
            if number < self._shown:
                return False
            self._shown = number
            return True

        return is_news
