"""Errors as the client sees them: one table, problem bodies (RFC 9457), no path in any of them."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from workbench import errors
from workbench.persistence.disk_errors import FULL

_log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

_STATUS: tuple[tuple[type[BaseException], int], ...] = (
    # The first that fits counts, so what is special comes before what is general.
    (errors.AlreadyExistsError, 409),
    (errors.ClassesInUseError, 409),
    (errors.LossySaveError, 409),
    (errors.LabelFormatError, 409),
    (errors.NotFoundError, 404),
    (errors.ReadOnlyError, 403),
    (errors.ConflictError, 412),
    (errors.BusyError, 503),
    (errors.StorageError, 503),
    (errors.FetchError, 502),
    (errors.NotStartedError, 503),
    (errors.SetupError, 503),
    (errors.InvalidConfigError, 422),
    (errors.TrainingError, 409),
    (FileNotFoundError, 404),
    (PermissionError, 403),
    (ValueError, 422),
)
_TITLES = {
    400: "The request cannot be understood",
    401: "A token is needed",
    403: "This may not be changed",
    404: "Not found",
    405: "There is no such operation here",
    406: "Not available in this form",
    409: "In conflict with what is there",
    412: "A condition is not met",
    413: "Too large",
    415: "Not a form that is understood",
    416: "No such range",
    422: "Not acceptable as it is",
    428: "A condition is needed",
    429: "Too many requests",
    500: "The server has failed",
    503: "Not ready",
    507: "The disk is full",
}

# What looks like an absolute path: its folders, up to the last name. On Windows with a drive.
_FOLDERS = re.compile(r"(?<![\w/\\.:%-])(?:[A-Za-z]:[\\/]|/)(?:[^\s/\\'\":;,()<>|]+[\\/])+")


# Uploads wait under names that nobody outside knows, see `params.upload_place`.
_UPLOADED = re.compile(r"\bupload-[0-9a-f]{16}(\.zip|\.pt|/)?")
_CALLED = {
    ".zip": "the uploaded archive",
    ".pt": "the uploaded weights",
    "/": "",
    "": "the uploaded folder",
}

# What the stores advise in Python, in words of HTTP.
_IN_HTTP = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"`await get_model_store\(\)\.set_active\(name\)`", "PUT /active-model"),
        (
            r"if that is right, pass limits=ArchiveLimits\(\w+=\.\.\.\)",
            "send it in parts, or import it in a notebook",
        ),
        (
            r"import it with trust=True",
            "import it in a notebook: over HTTP nothing that holds code is taken",
        ),
        (
            r"history\(\) lists them",
            "GET .../labels/{split}/{filename}/history lists those of an image",
        ),
        (r"allow_download=True", '"allow_download": true'),
    )
)


class Problem(BaseModel):
    """What went wrong, in the form of RFC 9457."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:workbench:already-exists",
                    "title": "In conflict with what is there",
                    "status": 409,
                    "detail": "dataset 'cups' exists already; choose another name",
                }
            ]
        },
    )

    type: str = Field(description="Which kind of error, as a URN that stays the same.")
    title: str = Field(description="The kind in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What was expected, what was found, what to do.")


class ProblemError(Exception):
    """An error that the server itself finds.

    Parameters
    ----------
    status : int
    detail : str
    kind : str
        The last part of the problem's type; default: made of the status.
    headers : mapping of str to str, optional
    more : mapping, optional
        Further members of the body.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str = "",
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.kind = kind
        self.headers = dict(headers or {})
        self.more = dict(more or {})


class BodyTooLargeError(HTTPException):
    """A body that goes on beyond its limit; raised while it is read."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, f"the body: expected at most {limit} bytes, found more; send less")


class Scrubber:
    """Takes folders out of texts: a client learns names of datasets and files, no places.

    Parameters
    ----------
    roots : iterable of Path or str
        Folders that are known, and addresses; what lies in them is named from there on.
    """

    def __init__(self, roots: Iterable[Path | str] = ()) -> None:
        texts = {form for root in roots for form in _forms(root)}
        self._roots = sorted((text for text in texts if len(text) > 1), key=len, reverse=True)

    def text(self, text: str) -> str:
        """Return a text without folders, and without advice that only Python can follow."""
        for said, instead in _IN_HTTP:
            text = said.sub(instead, text)
        for root in self._roots:
            text = text.replace(f"{root}/", "").replace(f"{root}\\", "")
            text = text.replace(root, "the server's folder")
        text = _UPLOADED.sub(lambda found: _CALLED[found[1] or ""], text)
        return _FOLDERS.sub("", text)

    def value(self, value: Any) -> Any:
        """Return JSON types with all texts in them scrubbed, and without NaN: of words only."""
        return _json_types(value, self.text)


def _forms(root: Path | str) -> set[str]:
    if isinstance(root, str):
        return {root.rstrip("/")}
    return {str(form) for form in (root, root.absolute(), root.resolve())}


def plain(value: Any) -> Any:
    """Return JSON types without NaN; texts as they are: a class may be called ``/usr/bin x``."""
    return _json_types(value, str)


def _json_types(value: Any, text: Callable[[str], str]) -> Any:
    match value:
        case str():
            return text(value)
        case float():
            return value if value == value and abs(value) != float("inf") else None
        case Mapping():
            return {text(str(key)): _json_types(item, text) for key, item in value.items()}
        case list() | tuple():
            return [_json_types(item, text) for item in value]
        case bool() | int() | None:
            return value
    return text(str(value))


def kind_of(error: BaseException) -> str:
    """Return ``"already-exists"`` for an `AlreadyExistsError`."""
    name = re.sub(r"Error$", "", type(error).__name__)
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


def problem_of(error: BaseException, scrub: Scrubber) -> dict[str, Any]:
    """Return the body that tells of an error; what nobody foresaw is told without its words."""
    if isinstance(error, ProblemError):
        kind = error.kind or re.sub(r"\W+", "-", _TITLES.get(error.status, "error").lower())
        return _body(kind, error.status, scrub.text(error.detail), plain(error.more))
    if isinstance(error, OSError) and error.errno in FULL:
        return _body(
            "disk-full",
            507,
            "the disk is full; empty the trash, for which there is always room (GET and DELETE of "
            "/trash/datasets/... and /datasets/{dataset}/trash/...), or free some space, then try "
            "again",
        )
    for family, status in _STATUS:
        if isinstance(error, family):
            return _body(kind_of(error), status, scrub.text(_words(error)))
    _log.error("a request failed", exc_info=error)
    return _body("internal", 500, "the server has failed; its log says more")


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:  # "[Errno 13] ..." means nothing to people
        name = Path(str(error.filename)).name if error.filename else ""
        return f"{name}: {error.strerror}" if name else error.strerror
    return str(error)


def _body(
    kind: str, status: int, detail: str, more: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    title = _TITLES.get(status, "Error")
    body = {"type": f"urn:workbench:{kind}", "title": title, "status": status, "detail": detail}
    return {**(more or {}), **body}


def problem_response(body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer that carries a problem."""
    return JSONResponse(dict(body), body["status"], dict(headers or {}), MEDIA_TYPE)


def add_problem_handlers(app: FastAPI) -> None:
    """Let an app answer every error of Workbench, and of requests, with a problem body."""
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _gone)
    for family in (ProblemError, errors.WorkbenchError, ValueError, OSError, Exception):
        app.add_exception_handler(family, _any_error)


def scrubber_of(app: Any) -> Scrubber:
    """Return the scrubber of an app; one that knows no folders if it has none."""
    state = getattr(app.state, "workbench", None)
    return Scrubber() if state is None else state.scrub


async def _any_error(request: Request, error: Exception) -> Response:
    body = problem_of(error, scrubber_of(request.app))
    headers = error.headers if isinstance(error, ProblemError) else {}
    if body["status"] == 503:
        headers = {"Retry-After": "5"} | headers
    return problem_response(body, headers)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = re.sub(r"\W+", "-", _TITLES.get(error.status_code, "error").lower())
    detail = scrubber_of(request.app).text(str(error.detail))
    headers = dict(error.headers or {})
    if error.status_code == 404 and error.detail == "Not Found":  # the router's own words
        detail = (
            f"there is nothing at {request.url.path[:200]}; /openapi.json lists what there is "
            "(no address ends with a slash)"
        )
    if error.status_code == 405:  # the router tells the methods of one route only
        headers["Allow"] = ", ".join(_methods(request))
        detail = f"expected one of {headers['Allow']} here, found {request.method}"
    return problem_response(_body(kind, error.status_code, detail), headers)


def _methods(request: Request) -> list[str]:
    """Return the methods that are known where a request was sent to."""
    found: set[str] = set()
    for method in ("DELETE", "GET", "PATCH", "POST", "PUT"):
        scope = {**request.scope, "method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes):
            found.add(method)
    if "GET" in found and getattr(request.app.state, "answers_head", False):
        found.add("HEAD")
    return sorted(found)


async def _gone(request: Request, error: Exception) -> Response:
    """Answer a client that broke off its request: nobody hears it, and it is no fault of ours."""
    _log.info("%s %s: the client is gone", request.method, request.url.path)
    return problem_response(_body("cut-off", 400, "the body ended before its end"))


async def _invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [
        {"where": ".".join(map(str, one["loc"])), "problem": _said_of(str(one["msg"]))}
        for one in error.errors()
    ]
    said = "; ".join(f"{one['where']}: {one['problem']}" for one in found[:5])
    scrub = scrubber_of(request.app)
    return problem_response(
        _body("invalid-request", 422, scrub.text(said), scrub.value({"errors": found}))
    )


def _said_of(message: str) -> str:
    """Return what FastAPI says of a value, without words of Python."""
    if message.endswith("Expected UploadFile, received: <class 'str'>"):
        return "expected a file, found text (curl -F files=@NAME)"
    return message
