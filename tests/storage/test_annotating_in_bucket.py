"""The annotate panel on a bucket whose server goes away, and comes back."""

from __future__ import annotations

import sys

import pytest

from tests.helpers.pictures import jpeg
from tests.panels.test_annotate import Page
from tests.storage.s3_proxy import S3Proxy
from workbench import AnnotatePanel, create_stores
from workbench.persistence.models import NewImage

CORNERS = (8, 6, 24, 18)
MORE = (2, 2, 20, 12)


@pytest.mark.parametrize("commit_arrives", [False, True])
async def test_what_is_drawn_while_the_server_is_gone_is_saved_when_it_is_back(
    commit_arrives: bool, address: str, s3: S3Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = create_stores(f"{address}/data", f"{address}/models")
    images = [NewImage(f"{n}.jpg", "train", jpeg(n)) for n in range(3)]
    await stores.dataset.create_from("cups", ["cup"], images)
    panel = AnnotatePanel("cups", split="train", stores=stores)
    page = Page(panel, monkeypatch)
    await panel.show(0)
    frame = (await page.hears("frame"))["frame"]
    if commit_arrives:  # and nobody hears of it
        s3.inject("lost", "PUT", "/lock")
        s3.inject("cut", "GET", times=sys.maxsize)
        s3.inject("cut", "PUT", times=sys.maxsize)
    else:
        s3.inject("cut", times=sys.maxsize)
    page.edit(frame, (0, CORNERS))
    refusal = await page.hears("not_saved")
    assert refusal["passes"]
    assert [choice["choice"] for choice in refusal["choices"]] == ["retry"]
    assert "expected an answer, found error sending request" in refusal["why"]
    assert "try again" not in refusal["why"]  # it is
    assert refusal["why"].endswith("and sent again until they are saved.")
    assert panel.status.state == "not saved"
    # What is asked for meanwhile gets the reason, and is not taken for damaged.
    page.say("want", walk=panel.model.walk, index=1)
    page.say("go", walk=panel.model.walk, index=2, seq=1)
    assert "expected an answer" in (await page.hears("not_shown"))["why"]

    s3.heal()
    page.say("go", walk=panel.model.walk, index=2, seq=1)
    while (await page.hears("frame"))["frame"]["name"] != "2.jpg":
        pass  # the one that was wanted meanwhile, if the server was back before it was given up
    page.edit(frame, (0, CORNERS), (0, MORE), seq=2)
    await page.hears("saved")
    assert panel.status.state == "saved"
    found = await create_stores(f"{address}/data", f"{address}/models").label.load(
        "cups", "train", "0.jpg"
    )
    assert len(found) == 2
    panel.close()
