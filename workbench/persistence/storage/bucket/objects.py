"""Requests to a bucket: the one module that knows obstore, and what it raises."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import obstore as obs
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotModifiedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import GCSStore

from workbench.errors import (
    BusyError,
    InvalidDatasetError,
    ReadOnlyError,
    StorageError,
    UnreachableError,
    WorkbenchError,
)
from workbench.persistence.yolo.names import HIDDEN

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult, ObjectMeta, UpdateVersion
    from obstore.store import ObjectStore

PIECE = 8 << 20
"""Bytes that travel in one request where a value is larger."""


class Found(NamedTuple):
    """An object without its bytes."""

    path: str
    tag: str
    size: int


class Tag(NamedTuple):
    """Which object it was, for a conditional request; Google goes by the version."""

    e_tag: str
    version: str | None


NOTHING = Tag("", None)
"""In place of the tag of an object: there was none."""


class Objects:
    """The objects below a prefix. What fails is an error of `workbench.errors`.

    Parameters
    ----------
    store : ObjectStore
    where : str
        What messages shall call it.
    """

    def __init__(self, store: ObjectStore, where: str) -> None:
        self._store = store
        self._where = where
        self._by_version = isinstance(store, GCSStore)

    def tag_of(self, got: GetResult | str | None) -> Tag | None:
        """Return which object has been begun to be read; None if no condition can be made of it."""
        if got is None:
            return NOTHING
        if isinstance(got, str):
            return None if self._by_version else Tag(got, None)
        return _tag(got) if got.meta["e_tag"] else None

    def get(self, path: str, *, if_tag: str | None = None) -> GetResult | None:
        """Begin to read an object; None if it is not there, or is another one by now."""
        return self._begun(path, {} if if_tag is None else {"if_match": if_tag})

    def get_unless(self, path: str, known: str | None) -> GetResult | str | None:
        """Begin to read an object; its tag if it is still the known one, None if not there."""
        try:
            return self._begun(path, {} if known is None else {"if_none_match": known})
        except _SameError:
            return known

    def get_newer(self, path: str, known: Tag | None) -> tuple[bytes, Tag] | Tag | None:
        """Return an object; only its tag if it is still the known one, None if it is not there."""
        got = self.get_unless(path, known.e_tag if known else None)
        if got is None or isinstance(got, str):
            return None if got is None else known
        return self.body(got), _tag(got)

    def read(self, path: str, start: int, end: int, if_tag: str) -> bytes | None:
        """Return bytes of an object, None if it is gone or another one."""
        got = self._begun(path, {"if_match": if_tag, "range": (start, end)})
        return None if got is None else self.body(got)

    def start(self, path: str, length: int) -> bytes | None:
        """Return the first bytes of an object, None if it is not there."""
        try:
            got = self._begun(path, {"range": (0, length)})
            return None if got is None else self.body(got)
        except StorageError:  # services have no word for the beginning of nothing
            found = self.head(path)
            if found is None or not found.size:
                return None if found is None else b""
            raise

    def _begun(self, path: str, options: GetOptions) -> GetResult | None:
        try:
            with self._in_words(path):
                return obs.get(self._store, path, options=options)
        except _MissingError:
            return None

    def body(self, got: GetResult) -> bytes:
        """Return the bytes of an object that has been begun to be read."""
        with self._in_words(got.meta["path"]):
            return bytes(got.bytes())

    def pieces(self, got: GetResult) -> Iterator[bytes]:
        """Yield the bytes of an object that has been begun to be read."""
        pieces = iter(got.stream(PIECE))
        while True:
            with self._in_words(got.meta["path"]):
                piece = next(pieces, b"")
            if not piece:
                return
            yield bytes(piece)

    def head(self, path: str) -> Found | None:
        """Look at an object."""
        try:
            with self._in_words(path):
                return _found(obs.head(self._store, path))
        except (_MissingError, InvalidDatasetError):  # nothing has a name that no bucket takes
            return None

    def put(self, path: str, data: bytes) -> None:
        """Write an object, whatever was there."""
        with self._in_words(path, changing=True):
            obs.put(self._store, path, data, use_multipart=False)

    def put_if(self, path: str, data: bytes, known: Tag | None) -> Tag | None:
        """Write an object if it is still the known one, or not there; else return None."""
        mode: UpdateVersion = {}
        if known is not None and known != NOTHING:
            mode["e_tag"] = known.e_tag
            if known.version is not None:
                mode["version"] = known.version
        try:
            with self._in_words(path, changing=True):
                made = obs.put(self._store, path, data, mode=mode or "create", use_multipart=False)
        except _MissingError:
            return None
        return Tag(made["e_tag"] or "", made["version"])

    def put_over(self, path: str, data: bytes, known: Tag) -> Tag | None:
        """Write an object where the known one is, or was before the same was written.

        Returns
        -------
        Tag or None
            What is there in place of both; nothing was written then.
        """
        if self.put_if(path, data, known) is not None:
            return None
        got = self.get_unless(path, None)
        if got is None or isinstance(got, str):
            return NOTHING
        return None if self.body(got) == data else _tag(got)

    def put_stream(self, path: str, stream: BinaryIO) -> tuple[int, str]:
        """Write the rest of a stream; return its size and SHA-256."""
        digest, size, broken = hashlib.sha256(), 0, list[Exception]()

        def pieces(first: bytes) -> Iterator[bytes]:
            nonlocal size
            piece = first
            while piece:
                digest.update(piece)
                size += len(piece)
                yield piece
                try:
                    piece = stream.read(PIECE)
                except Exception as error:
                    broken.append(error)
                    raise

        first = stream.read(PIECE)
        try:
            with self._in_words(path, changing=True):
                if len(first) < PIECE:
                    data = b"".join(pieces(first))
                    obs.put(self._store, path, data, use_multipart=False)
                else:
                    obs.put(self._store, path, pieces(first), chunk_size=PIECE, max_concurrency=4)
        except WorkbenchError:
            if broken:  # the stream's own words, not those for a bucket
                raise broken[0] from None
            raise
        return size, digest.hexdigest()

    def copy(self, source: str, target: str) -> bool:
        """Copy an object within the bucket; False if it is not there."""
        try:
            with self._in_words(target, changing=True):
                obs.copy(self._store, source, target)
        except _MissingError:
            return False
        return True

    def delete(self, paths: Sequence[str]) -> None:
        """Delete objects, those that are not there too."""
        for batch in _batches(paths, 1000):
            try:
                with self._in_words(batch[0], changing=True):
                    obs.delete(self._store, batch)
            except _MissingError:  # some services mind, and may have left the others
                for path in batch if len(batch) > 1 else ():
                    self.delete([path])

    def directly_in(self, folder: str) -> tuple[list[Found], list[str]]:
        """Return the objects directly in a folder, and the names of the folders in it."""
        try:
            with self._in_words(folder):
                found = obs.list_with_delimiter(self._store, folder or None)
        except InvalidDatasetError:  # nothing has a name that no bucket takes
            return [], []
        folders = [prefix.rpartition("/")[2] for prefix in found["common_prefixes"]]
        # Consoles make an object named as the folder itself.
        return [_found(meta) for meta in found["objects"] if meta["path"] != folder], folders

    def below(self, folder: str) -> list[Found]:
        """Return all objects below a folder, at whatever depth."""
        with self._in_words(folder):
            found = obs.list(self._store, folder).collect()
        return [_found(meta) for meta in found if meta["path"] != folder]

    def _name(self, path: str) -> str:
        """Return what messages call an object; of ours, which nobody asked for, only the place."""
        if path.split("/")[0] == HIDDEN:
            return self._where.removesuffix(f"/{HIDDEN}")
        return f"{self._where}/{path}".rstrip("/")

    @contextmanager
    def _in_words(self, path: str, *, changing: bool = False) -> Iterator[None]:
        try:
            yield
        except WorkbenchError:
            raise
        except NotModifiedError:
            raise _SameError from None
        except (AlreadyExistsError, PreconditionError):
            raise _MissingError from None
        except (BaseError, FileNotFoundError, ValueError) as error:
            ours = _refusal(error, self._name(path), changing)
            # What obstore says can hold the address with its signature: it is not passed on.
            raise ours from None


class DeniedError(StorageError):
    """One object may not be read, which says nothing of others."""


class _MissingError(StorageError):
    """It is not there, or not the one that was asked for."""


class _SameError(StorageError):
    """It is still the one that is known."""


def _tag(got: GetResult) -> Tag:
    return Tag(got.meta["e_tag"] or "", got.meta["version"])


def _found(meta: ObjectMeta) -> Found:
    tag = meta["e_tag"] or f"{meta['last_modified']}"
    if tag.startswith("0x"):  # Azure leaves the quotes out where it lists, and only there
        tag = f'"{tag}"'
    return Found(meta["path"], tag, meta["size"])


def _batches(paths: Sequence[str], size: int) -> Iterable[list[str]]:
    remaining = iter(paths)
    return iter(lambda: list(itertools.islice(remaining, size)), [])


_CODE = re.compile(r"<Code>(\w+)</Code>|\"reason\": ?\"(\w+)\"")
_STATUS = re.compile(r"status code: (\d+)")
_REQUEST = re.compile(r"^Generic \w+ error: Error performing .*? - (?:HTTP error: )?")
# It keeps obstore from listing all that lies beside it.
_UNSPEAKABLE = re.compile(r"object with invalid path.*?Path \"(.*?)\"", re.DOTALL)
_ADDRESS = re.compile(r"\w+://\S+")
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "specified bucket does not exist")
_NO_CREDENTIALS = ("169.254.", "metadata.google.internal", "No credentials", "MissingCredentials")
_SKEW = ("RequestTimeTooSkewed", "Request date header too old")
_UNKNOWN = frozenset(
    {
        *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"),
        *("AuthenticationFailed", "InvalidAuthenticationInfo", "TokenRefreshRequired"),
    }
)
_CANNOT = frozenset({501, 505})
"""What a service answers that knows no such request: it will not know it later either."""
_SLOW = frozenset({"SlowDown", "ServerBusy", "RequestLimitExceeded", "Throttling"})


def _refusal(error: Exception, where: str, changing: bool) -> WorkbenchError:
    """Return what a service's refusal means, without any address that it names."""
    said = str(error)
    code = next(filter(None, match.groups()), "") if (match := _CODE.search(said)) else ""
    status = int(match[1]) if (match := _STATUS.search(said)) else 0
    found = code or (f"the answer {status}" if status else _ADDRESS.sub("...", _first_line(said)))

    def sentence(expected: str, remedy: str) -> str:
        return f"{where}: expected {expected}, found {found}; {remedy}"

    if any(word in said for word in _NO_BUCKET):
        return StorageError(
            sentence("a bucket of this name", "make it at your provider, or correct its name")
        )
    if isinstance(error, FileNotFoundError):
        return _MissingError(sentence("an object", "it was removed meanwhile; look again"))
    if isinstance(error, ValueError):
        return InvalidDatasetError(
            sentence("a name that a bucket takes", "choose one without control characters")
        )
    if unspoken := _UNSPEAKABLE.search(said):
        return StorageError(
            f"{where}: expected names without control characters, none of them empty, '.' or '..', "
            f"found an object {unspoken[1]!r}; rename it or remove it by your provider's tools"
        )
    if any(word in said for word in _SKEW):
        return StorageError(
            sentence("this machine's clock to be right", "set its date and time, then try again")
        )
    if any(word in said for word in _NO_CREDENTIALS):
        found = "none"
        return StorageError(
            sentence("credentials", "set them in the environment, say AWS_ACCESS_KEY_ID")
        )
    if code in _UNKNOWN or isinstance(error, UnauthenticatedError) or status == 401:
        return StorageError(
            sentence("credentials that are known there", "set the right ones, then try again")
        )
    if isinstance(error, PermissionDeniedError) or status == 403:
        if changing:
            return ReadOnlyError(
                sentence("permission to change this", "ask the bucket's owner for it")
            )
        return DeniedError(sentence("permission to read this", "ask the bucket's owner for it"))
    if code in _SLOW or status in (429, 503):
        return BusyError(
            sentence("a service with time for us", "wait a minute, then try again; nothing is lost")
        )
    if not status or status in (408, 409) or (status >= 500 and status not in _CANNOT):
        return UnreachableError(
            sentence("an answer", "see to the network and to the endpoint, then try again")
        )
    return StorageError(sentence("the service to do as it is asked", "look that up in its manual"))


def _first_line(said: str) -> str:
    return _REQUEST.sub("", said.split("\n", 1)[0].strip())[:300]
