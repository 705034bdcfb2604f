"""What every route of ours asks of a request before it is read.

- Its address is UTF-8: other bytes would all become the same character, and two names one file.
- Its body is in the form that the route takes: JSON, a form with files, or the file itself.
- Its conditions are ones that the route heeds: what is not heeded must not seem so.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine, Mapping
from email.message import Message as Mail
from typing import Any, get_args, get_origin
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Request, Response, params
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

from workbench.api.problems import ProblemError

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_CONDITIONS = ("if-match", "if-none-match", "if-unmodified-since")
_JSON, _FORM, _FILE = "application/json", "multipart/form-data", "application/octet-stream"

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def router_of(tag: str) -> APIRouter:
    """Return a router whose routes check their requests.

    Parameters
    ----------
    tag : str
        What it is about, as the description of the API groups it.
    """
    return APIRouter(tags=[tag], route_class=CheckedRoute)


class CheckedRoute(APIRoute):
    """A route that answers what is wrong with a request's form before it reads any of it."""

    def get_route_handler(self) -> Handler:
        """Return what serves a request."""
        handle = super().get_route_handler()
        form = _form_of(self)
        lists = _lists_of(self)
        heeded = {field.alias.lower() for field in self.dependant.header_params}
        unheeded = [name for name in _CONDITIONS if name not in heeded]

        async def checked(request: Request) -> Response:
            _require_utf8(request)
            if request.method not in _SAFE_METHODS:
                _require_heeded(request, unheeded)
            if form:
                _require_form(request, form)
            return await handle(_Request(request.scope, _whole(request), lists))

        return checked


class _Request(Request):
    """A request whose JSON keeps nobody else waiting, and is refused in one way.

    Parameters
    ----------
    scope, receive : ASGI
    lists : mapping of str to TypeAdapter
        Of the lists that the body may hold, by their names.
    """

    def __init__(
        self, scope: Scope, receive: Receive, lists: Mapping[str, TypeAdapter[list[Any]]]
    ) -> None:
        super().__init__(scope, receive)
        self._lists = lists

    async def json(self) -> Any:
        """Return the body as JSON types; of a large one the entries of its lists as models."""
        body = await self.body()
        try:
            if len(body) < _LARGE_BYTES:
                return json.loads(body)
            found = await asyncio.to_thread(json.loads, body, object_hook=_let_others)
        except RecursionError as error:
            raise _malformed("lists or objects nested too deeply") from error
        except json.JSONDecodeError as error:
            raise _malformed(f"{error.msg} at character {error.pos}") from error
        except UnicodeDecodeError as error:
            raise _malformed(f"bytes that are no UTF-8 at position {error.start}") from error
        return await self._in_slices(found)

    async def _in_slices(self, found: Any) -> Any:
        """Let the entries of long lists become models, and others have their turn meanwhile.

        FastAPI makes models of all of them at once; what is one already it takes as it is.
        """
        if not isinstance(found, dict):
            return found
        made = dict(found)
        for name, adapter in self._lists.items():
            entries = found.get(name)
            if isinstance(entries, list):
                checked: list[Any] = []
                for begin in range(0, len(entries), _SLICE):
                    try:
                        checked += adapter.validate_python(entries[begin : begin + _SLICE])
                    except ValidationError:  # FastAPI finds it again, and says where it is
                        return found
                    await asyncio.sleep(0)
                made[name] = checked
        return made


_LARGE_BYTES = 256 * 1024
_SLICE = 500


def _let_others(found: dict[str, Any]) -> dict[str, Any]:
    # Only between calls of Python does the thread that reads JSON let other threads run.
    return found


def _lists_of(route: APIRoute) -> dict[str, TypeAdapter[list[Any]]]:
    """Return what the lists in a route's body hold: each entry by itself."""
    field = route.body_field
    model = None if field is None else field.field_info.annotation
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return {}
    kinds: dict[str, Any] = {name: info.annotation for name, info in model.model_fields.items()}
    return {
        name: TypeAdapter(kind)
        for name, kind in kinds.items()
        if get_origin(kind) is list and _is_model(get_args(kind)[0])
    }


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _malformed(found: str) -> HTTPException:
    # FastAPI lets this one through; of any other it would say that "there was an error".
    return HTTPException(400, f"the body: expected JSON, found {found}")


def _form_of(route: APIRoute) -> str:
    """Return the media type that a route's body has; empty if it takes none."""
    if route.body_field is not None:
        return _FORM if isinstance(route.body_field.field_info, params.Form) else _JSON
    return _FILE if "requestBody" in (route.openapi_extra or {}) else ""


def _require_utf8(request: Request) -> None:
    path = request.scope.get("raw_path") or b""
    for where, given in (("the address", path), ("the query", request.scope["query_string"])):
        try:
            unquote_to_bytes(given).decode("utf-8")
        except UnicodeDecodeError as error:
            raise ProblemError(
                422,
                f"{where}: expected UTF-8, encoded with %, found the byte "
                f"%{error.object[error.start]:02X}; encode names as UTF-8",
                kind="not-utf-8",
            ) from error


def _require_heeded(request: Request, unheeded: list[str]) -> None:
    """Raise if a request may only be done under a condition that nothing here looks at."""
    for name in unheeded:
        given = request.headers.get(name)
        if given is not None and not (name == "if-match" and given.strip() == "*"):
            title = name.title()
            raise ProblemError(
                412,
                f"{title}: this operation cannot make sure of it, so nothing was done; send the "
                "request without it",
                kind="condition-not-heeded",
            )


def _require_form(request: Request, form: str) -> None:
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in {"", "identity"}:
        raise ProblemError(
            415,
            f"Content-Encoding: expected none, found {coding!r}; send the body as it is",
            kind="media-type",
            headers={"Accept-Encoding": "identity"},
        )
    length = request.headers.get("content-length")
    if length == "0" or (length is None and "transfer-encoding" not in request.headers):
        return  # without a body there is nothing that could have a form
    given = request.headers.get("content-type", "")
    kind = given.partition(";")[0].strip().lower()
    found = f"{given!r}" if given else "no such header"
    if form == _JSON and not re.fullmatch(r"application/(json|.+\+json)", kind):
        raise ProblemError(
            415,
            f"expected JSON with the header 'Content-Type: application/json', found {found} "
            "(curl -d needs -H 'Content-Type: application/json')",
            kind="media-type",
        )
    if form == _FORM and kind != _FORM:
        raise ProblemError(
            415,
            f"expected a form with the header 'Content-Type: multipart/form-data', found {found} "
            "(curl -F files=@NAME)",
            kind="media-type",
        )
    if form == _FORM and not _boundary(given):
        raise ProblemError(
            400, f"Content-Type: expected a form with its boundary, found {given!r}", kind="form"
        )
    if form == _FILE and kind.startswith("multipart/"):
        raise ProblemError(
            415,
            "expected the file itself as the body, found a form; send it with Content-Type: "
            "application/octet-stream (curl --data-binary @FILE)",
            kind="media-type",
        )


def _boundary(content_type: str) -> bytes:
    mail = Mail()
    mail["content-type"] = content_type
    return str(mail.get_param("boundary") or "").encode("latin-1", "ignore")


def _whole(request: Request) -> Receive:
    """Return `receive` that raises where a form ends before its last boundary.

    The parser takes such a form for a shorter one, and what was cut off would not be missed.
    """
    content_type = request.headers.get("content-type", "")
    boundary = _boundary(content_type) if content_type.lower().startswith("multipart/") else b""
    if not boundary:
        return request.receive
    last = b"--" + boundary + b"--"
    tail = b""

    async def receive() -> Message:
        nonlocal tail
        message = await request.receive()
        if message["type"] == "http.request":
            tail = (tail + message.get("body", b""))[-len(last) - _AFTER_LAST :]
            if not message.get("more_body", False) and last not in tail:
                raise HTTPException(
                    400, "the body: expected a form with its last boundary, found it cut off"
                )
        return message

    return receive


_AFTER_LAST = 1024
"""Bytes that may follow the last boundary: a new line mostly."""
