"""Items of a listing together with their thumbnails or crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from workbench.datasets.thumbnails import CropRequest, Thumbnail, Thumbnails
from workbench.errors import NotFoundError
from workbench.panels.browse.listing import Item, Listing
from workbench.persistence import Stores


class PageMaker:
    """Makes pictures in threads, and keeps those made last.

    Parameters
    ----------
    stores : Stores
    """

    def __init__(self, stores: Stores) -> None:
        self._thumbnails = Thumbnails(stores)

    async def make(
        self, listing: Listing, places: Sequence[int], side: int
    ) -> list[tuple[Item, bytes | None]]:
        """Return items with their thumbnails or crops, as JPEG; None where there is none.

        Parameters
        ----------
        listing : Listing
            One that is or was shown.
        places : sequence of int
            Places in it; what is beyond its end is left out.
        side : int
            Longer side of the pictures, in pixels.
        """
        places = [place for place in places if 0 <= place < len(listing)]
        items = [listing.item(place) for place in places]
        pictures = await self._pictures(listing, places, side)
        return [_with_picture(*pair) for pair in zip(items, pictures, strict=True)]

    def close(self) -> None:
        """End the threads and free the pictures."""
        self._thumbnails.close()

    async def _pictures(
        self, listing: Listing, places: Sequence[int], side: int
    ) -> Sequence[Thumbnail | Exception | None]:
        rows = [int(listing.rows[place]) for place in places]
        if listing.mode == "trash":
            entries = [listing.trash[row] for row in rows]
            found = await self._thumbnails.deleted(listing.dataset, entries, size=side)
            # Labels that had no image have no picture, and nothing is wrong with them.
            return [None if isinstance(one, NotFoundError) else one for one in found]
        index = listing.boxed
        if listing.mode in ("objects", "suggested"):
            images = index.keys(index.image_index[rows])
            boxes = index.boxes[rows].tolist()
            requests = [
                CropRequest(image, (x, y, width, height))
                for image, (x, y, width, height) in zip(images, boxes, strict=True)
            ]
            return await self._thumbnails.crops(listing.dataset, requests, size=side)
        changed = index.modified_ns[rows].tolist()
        return await self._thumbnails.get(
            listing.dataset, index.keys(rows), size=side, modified_ns=changed
        )


def _with_picture(item: Item, picture: Thumbnail | Exception | None) -> tuple[Item, bytes | None]:
    if isinstance(picture, Exception):
        return replace(item, state="unreadable", badge="", problem=str(picture)), None
    return item, None if picture is None else picture.data
