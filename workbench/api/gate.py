"""What every request passes before anything is done for it: token, rate, number, size."""

from __future__ import annotations

import contextlib
import hmac
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workbench.api.problems import BodyTooLargeError, ProblemError, Scrubber, problem_of
from workbench.api.problems import problem_response as respond
from workbench.api.settings import ApiLimits
from workbench.api.token import is_token

_CLIENTS = 10_000
"""Addresses whose rate is remembered; the one that was silent longest is forgotten first."""

_UPLOADS = re.compile(r"/(imports(/folder)?|datasets/[^/]+/images|models)/?$")
_IMAGES = re.compile(r"/(images/[^/]+/[^/]+|frames|predict)/?$")


class Buckets:
    """Token buckets by client: so many at once, so many a second after that.

    Parameters
    ----------
    per_second, burst : float
    clock : callable
        In seconds; tests have their own.
    """

    def __init__(
        self, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, client: str) -> float:
        """Take one; return the seconds to wait before there is one, 0 if it was there."""
        now = self._clock()
        with self._lock:
            level, since = self._levels.pop(client, (self._burst, now))
            level = min(self._burst, level + (now - since) * self._per_second)
            enough = level >= 1
            self._levels[client] = (level - 1 if enough else level, now)
            while len(self._levels) > _CLIENTS:
                self._levels.popitem(last=False)
        return 0.0 if enough else (1 - level) / self._per_second


class _HeadSentError(Exception):
    """Raised where a body would begin that nobody has asked for, so that nothing makes it."""


class Gate:
    """ASGI middleware that lets through who has the token, as fast as the limits allow.

    Parameters
    ----------
    app : ASGI application
    token : str
    limits : ApiLimits
    """

    def __init__(self, app: ASGIApp, *, token: str, limits: ApiLimits) -> None:
        if not token:
            raise ValueError("token: expected a secret that clients must know, found none")
        if not is_token(token):
            raise ValueError(
                "token: expected letters, digits and signs of ASCII without spaces, found others"
            )
        self._app = app
        self._token = token.encode()
        self._limits = limits
        self._rates = Buckets(limits.requests_per_second, limits.burst)
        self._failures = Buckets(limits.failures_per_second, 5 * limits.failures_per_second)
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        try:
            self._admit(scope, headers)
            limit = self._body_limit(scope["path"])
            _check_length(headers, limit)
        except ProblemError as error:
            answer = respond(problem_of(error, Scrubber()), error.headers)
            await answer(scope, receive, send)
            return
        self._under_way += 1
        try:
            if scope["method"] == "HEAD":
                await self._head(scope, _bounded(receive, limit), send)
            else:
                await self._app(scope, _bounded(receive, limit), send)
        finally:
            self._under_way -= 1

    async def _head(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer HEAD as GET, up to where the body would begin (RFC 9110, section 9.3.2)."""

        async def head_only(message: Message) -> None:
            if message["type"] == "http.response.body":
                raise _HeadSentError
            await send(message)

        with contextlib.suppress(_HeadSentError):
            await self._app({**scope, "method": "GET"}, receive, head_only)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _admit(self, scope: Scope, headers: Headers) -> None:
        """Raise a problem unless this request may be served now."""
        if not self._is_known(headers):
            wait = self._failures.take("")
            if wait:
                raise _too_many("too many requests with a wrong token", wait)
            raise ProblemError(
                401,
                "expected the header 'Authorization: Bearer TOKEN' with the token that the "
                "server printed when it started",
                kind="unauthorized",
                headers={"WWW-Authenticate": 'Bearer realm="workbench"'},
            )
        client = scope.get("client")
        wait = self._rates.take(client[0] if client else "")
        if wait:
            raise _too_many("too many requests", wait)
        if self._under_way >= self._limits.max_requests:
            raise ProblemError(
                503,
                f"{self._under_way} requests are under way; try again in a second",
                kind="busy",
                headers={"Retry-After": "1"},
            )

    def _is_known(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        # Compared as a whole whatever is given, so that its time tells nothing of the token.
        same = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), self._token)
        return same and scheme.lower() in {"bearer", "token"}

    def _body_limit(self, path: str) -> int:
        if _UPLOADS.search(path):
            return self._limits.max_upload_bytes
        if _IMAGES.search(path):
            return self._limits.max_image_bytes
        return self._limits.max_json_bytes


def _too_many(what: str, wait: float) -> ProblemError:
    seconds = max(1, round(wait + 0.5))
    return ProblemError(
        429,
        f"{what}; try again in {seconds} s",
        kind="too-many-requests",
        headers={"Retry-After": str(seconds)},
    )


def _check_length(headers: Headers, limit: int) -> None:
    length = headers.get("content-length", "0")
    if length.isascii() and length.isdigit() and int(length) > limit:
        raise ProblemError(
            413,
            f"the body: expected at most {limit} bytes, found {length}; send less",
            kind="too-large",
        )


def _bounded(receive: Receive, limit: int) -> Receive:
    """Return `receive` that raises as soon as more has come than may."""
    got = 0

    async def bounded() -> Message:
        nonlocal got
        message = await receive()
        got += len(message.get("body", b""))
        if got > limit:
            raise BodyTooLargeError(limit)
        return message

    return bounded
