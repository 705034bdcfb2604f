"""The OpenAPI document: complete, kept by the server, and good enough to generate a client."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS

from tests.api.serving import ROOT, serving
from tests.helpers.pictures import jpeg
from workbench.api import ApiLimits, create_app
from workbench.api.state import open_state
from workbench.persistence import Stores, create_memory_stores

TOKEN = "a-token-for-tests-0123456789abcdef"
CALM = ApiLimits(requests_per_second=1e6, burst=1e6, failures_per_second=1e6)

# What a schema allows and a rule of the stores refuses (a name with a slash, a box of an
# unknown class) is answered with 422, which this check takes for a mistake of the schema.
# What nobody can know from the schema alone is which ids exist.
LEFT_OUT = ("positive_data_acceptance", "ensure_resource_availability")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(create_memory_stores(), token=TOKEN).openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, found in document["paths"].items():
        for method, operation in found.items():
            yield f"{method} {path}", operation


def test_every_operation_says_what_it_is_and_how_it_fails(document: dict[str, Any]) -> None:
    assert document["security"] == [{"token": []}]
    assert len(list(operations(document))) > 60
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(names)) == len(names)
    for where, operation in operations(document):
        assert operation["description"].strip(), where
        assert operation["tags"], where
        for status in ("401", "404", "422", "429", "503"):
            answer = operation["responses"][status]
            assert [*answer["content"]] == ["application/problem+json"], where
        assert any(status.startswith("2") for status in operation["responses"]), where


def test_what_is_sent_has_examples_that_are_right(document: dict[str, Any]) -> None:
    import jsonschema

    schemas = document["components"]["schemas"]
    used = json.dumps(document)
    for name, schema in schemas.items():
        assert f"schemas/{name}" in used, f"{name} is used by nothing"
        for example in schema.get("examples", []):
            jsonschema.validate(example, {**schema, "components": document["components"]})
    sent = {
        body["content"]["application/json"]["schema"].get("$ref", "").rsplit("/", 1)[-1]
        for _, operation in operations(document)
        if "application/json" in (body := operation.get("requestBody", {"content": {}}))["content"]
    }
    without = {name for name in sent if name and not schemas[name].get("examples")}
    assert without <= {"ManyLabels", "ResumeRun"}, without


def test_headers_that_are_read_elsewhere_are_described(document: dict[str, Any]) -> None:
    headers = {
        (where, one["name"])
        for where, operation in operations(document)
        for one in operation.get("parameters", [])
        if one["in"] == "header"
    }
    image = "/v1/datasets/{dataset}/images/{split}/{filename}"
    assert {
        ("get /v1/jobs/{job}/events", "Last-Event-ID"),
        ("get /v1/runs/{run}/events", "Last-Event-ID"),
        (f"get {image}", "Range"),
        (f"delete {image}", "If-Match"),
    } <= headers


def test_the_document_names_no_place_of_this_machine(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    assert str(ROOT) not in text
    assert str(Path.home()) not in text


async def _filled() -> Stores:
    """Stores in memory, with something in them to find."""
    stores = create_memory_stores()
    await stores.dataset.create("pets", ["cat", "dog"])
    for number in range(3):
        await stores.image.save_bytes("pets", "train", f"{number}.jpg", jpeg(number))
    return stores


class _Renewable:
    """An app that can begin again with what it had first.

    What one sequence of requests has left must not decide what the next one meets: Hypothesis
    repeats a sequence, and takes another answer for a test that depends on chance.
    """

    def __init__(self) -> None:
        self._app = create_app(create_memory_stores(), token=TOKEN, limits=CALM)
        self._open = AsyncExitStack()
        self._stale = True
        self._loop: asyncio.AbstractEventLoop | None = None

    def renew(self) -> None:
        self._stale = True

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":  # what it opens is opened and closed here
            for word in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{word}.complete"})
            return
        if self._stale:
            self._stale, self._loop = False, asyncio.get_running_loop()
            await self._open.aclose()
            self._app.state.workbench = await self._open.enter_async_context(
                open_state(await _filled(), runs_dir="/nonexistent/runs", limits=CALM)
            )
        await self._app(scope, receive, send)

    def close(self) -> None:
        """Let go of what was opened, in the loop that opened it."""
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._open.aclose(), self._loop).result(60)


APP = _Renewable()


@pytest.fixture(scope="module", autouse=True)
def _app_is_closed() -> Iterator[None]:
    yield
    APP.close()


schema = schemathesis.openapi.from_asgi("/openapi.json", APP, headers={
    "Authorization": f"Bearer {TOKEN}",
})  # fmt: skip
schema.config.update(headers={"Authorization": f"Bearer {TOKEN}"})
schema.config.checks.update(excluded_check_names=list(LEFT_OUT))
# A stream of events may go on for as long as a run does.
schema = schema.exclude(path_regex="/events$")


def _checks() -> list[Any]:
    return [check for check in CHECKS.get_all() if check.__name__ not in LEFT_OUT]


def _few(count: int) -> Any:
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )


@schema.parametrize()
@_few(3)
def test_the_server_keeps_what_the_document_says(case: schemathesis.Case) -> None:
    case.call_and_validate(checks=_checks(), headers={"Authorization": f"Bearer {TOKEN}"})


@pytest.mark.long
@schema.parametrize()
@_few(20)
def test_the_server_keeps_what_the_document_says_for_long(case: schemathesis.Case) -> None:
    case.call_and_validate(checks=_checks(), headers={"Authorization": f"Bearer {TOKEN}"})


@pytest.mark.long
def test_sequences_of_requests_keep_it_too() -> None:
    machine: Any = schema.as_state_machine()

    class WithToken(machine):
        def setup(self) -> None:
            super().setup()
            APP.renew()

        def get_call_kwargs(self, case: schemathesis.Case) -> dict[str, Any]:
            return {"headers": {"Authorization": f"Bearer {TOKEN}"}}

    WithToken.run(
        settings=settings(
            max_examples=30,
            stateful_step_count=8,
            deadline=None,
            # The same sequences on each machine; the nightly job takes new ones.
            derandomize="WORKBENCH_NEW_SEQUENCES" not in os.environ,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
    )


def test_a_generated_client_works(document: dict[str, Any], tmp_path: Path) -> None:
    """Made by openapi-python-client from the document alone, and used against a real server."""
    described = tmp_path / "openapi.json"
    described.write_text(json.dumps(document))
    subprocess.run(
        [
            sys.executable, "-m", "openapi_python_client", "generate", "--path", str(described),
            "--output-path", str(tmp_path / "client"), "--meta", "none", "--fail-on-warning",
            "--config", str(_config(tmp_path)),
        ],
        check=True, capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    script = tmp_path / "use.py"
    script.write_text(_USE)
    with serving(tmp_path / "data", token=TOKEN) as server:
        done = subprocess.run(
            [sys.executable, str(script), server.url.removesuffix("/v1"), TOKEN],
            capture_output=True, text=True, cwd=tmp_path, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["pets", "cat", "409", "1", "412"]
    row = (tmp_path / "data/pets/labels/train/a.txt").read_text().split()
    assert [*map(float, row)] == [0, 0.5, 0.5, 0.2, 0.2]


def _config(folder: Path) -> Path:
    config = folder / "config.yaml"
    binary = ("application/zip", "image/jpeg", "application/vnd.apache.arrow.stream")
    overrides = "".join(f"  {name}: application/octet-stream\n" for name in binary)
    # Hooks would format it, which nobody reads.
    config.write_text(f"post_hooks: []\ncontent_type_overrides:\n{overrides}")
    return config


_USE = """
import io
import sys

from client import AuthenticatedClient
from client.api.datasets import create_dataset
from client.api.images import upload_images
from client.api.labels import get_labels, save_labels
from client.models import BodyUploadImages, Box, NewDataset, NewLabels
from client.types import File

client = AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2])
made = create_dataset.sync(client=client, body=NewDataset(name="pets", classes=["cat"]))
print(made.name, made.classes[0])
again = create_dataset.sync_detailed(client=client, body=NewDataset(name="pets"))
print(int(again.status_code))

import asyncio
import base64
picture = base64.b64decode("PICTURE")
body = BodyUploadImages(files=[File(payload=io.BytesIO(picture), file_name="a.jpg")])
print(len(upload_images.sync("pets", client=client, body=body).added))
seen = get_labels.sync_detailed("pets", "train", "a.jpg", client=client)
new = NewLabels(boxes=[Box(class_id=0, x=0.5, y=0.5, width=0.2, height=0.2)])
save_labels.sync("pets", "train", "a.jpg", client=client, body=new,
                 if_match=seen.headers["etag"])
stale = save_labels.sync_detailed("pets", "train", "a.jpg", client=client, body=new,
                                  if_match=seen.headers["etag"])
print(int(stale.status_code))
"""
_USE = _USE.replace("PICTURE", base64.b64encode(jpeg(1)).decode())
