import assert from "node:assert/strict";
import { test } from "node:test";

import { makeBox, withLast } from "../../workbench/panels/annotate/static/document.mjs";
import { labelText } from "../../workbench/panels/annotate/static/draw.mjs";
import { stripRange } from "../../workbench/panels/annotate/static/filmstrip.mjs";
import { inSight } from "../../workbench/panels/annotate/static/geometry.mjs";
import { rowsInSight, sortedBoxes } from "../../workbench/panels/annotate/static/objects.mjs";
import { heightFor } from "../../workbench/panels/annotate/static/room.mjs";
import { createStrip } from "../../workbench/panels/annotate/static/strip.mjs";

const small = makeBox(1, [0, 0, 5, 5]);
const large = makeBox(0, [0, 0, 50, 50]);
const middle = makeBox(1, [0, 0, 20, 20]);
const boxes = [small, large, middle];

test("objects are listed as in the file, by size or by class, and the file's order stays", () => {
  assert.deepEqual(sortedBoxes(boxes, "file"), [small, large, middle]);
  assert.deepEqual(sortedBoxes(boxes, "large"), [large, middle, small]);
  assert.deepEqual(sortedBoxes(boxes, "small"), [small, middle, large]);
  assert.deepEqual(sortedBoxes(boxes, "class"), [large, middle, small]);
  assert.deepEqual(boxes, [small, large, middle]);
});

test("of a long list only the rows in sight are made, and that which has the focus", () => {
  assert.deepEqual(rowsInSight(3, 0, 400, -1), [0, 1, 2]);
  const places = rowsInSight(2000, 26 * 1000, 260, 7);
  assert.ok(places.length < 20);
  assert.ok(places.includes(1000) && places.includes(1009) && places.at(-1) === 7);
  assert.deepEqual(rowsInSight(0, 0, 400, 0), []);
});

test("boxes brought to the front come last, in the order they had", () => {
  const after = withLast(boxes, new Set([small.id, large.id]));
  assert.deepEqual(after, [middle, small, large]);
});

test("a box out of sight is brought to the middle; one in sight moves nothing", () => {
  const stage = { width: 100, height: 80 };
  const view = { scale: 2, x: 0, y: 0 };
  assert.equal(inSight(view, [10, 10, 20, 20], stage), view);
  assert.deepEqual(inSight(view, [100, 100, 110, 120], stage), { scale: 2, x: -160, y: -180 });
});

test("the picture's row is as high as was asked for, or less, so that its bars are in sight", () => {
  assert.equal(heightFor(560, 900, 100), 560);
  assert.equal(heightFor(560, 700, 200), 490);
  assert.equal(heightFor(560, 300, 200), 240);
  assert.equal(heightFor(560, 300, 200, 132), 372, "the lists below the picture take none of it");
});

test("the filmstrip has the present image in its middle, and ends where the walk does", () => {
  assert.deepEqual(stripRange(950, 50, 100, 0), { first: 45, count: 10 });
  assert.deepEqual(stripRange(950, 1, 100, 0), { first: 0, count: 10 });
  assert.deepEqual(stripRange(950, 98, 100, 0), { first: 90, count: 10 });
  assert.deepEqual(stripRange(950, 50, 100, 20), { first: 65, count: 10 });
  assert.deepEqual(stripRange(950, 0, 3, 0), { first: 0, count: 3 });
  assert.deepEqual(stripRange(950, 0, 0, 0), { first: 0, count: 0 });
});

test("a strip asks for the pictures that it lacks, and forgets those of another walk", () => {
  const sent = [];
  const released = [];
  const strip = createStrip({
    post: (message) => sent.push(message),
    toUrl: (bytes) => `url of ${bytes.byteLength}`,
    release: (url) => released.push(url),
  });
  const item = (index, buffer, labelled = false) => ({
    index,
    name: `${index}.jpg`,
    labelled,
    buffer,
  });
  const bytes = (length) => new DataView(new ArrayBuffer(length));
  strip.ask(1, 4, 2);
  assert.deepEqual(sent.pop(), { kind: "strip", walk: 1, first: 4, count: 2, have: [] });
  const items = [item(4, 0), item(5, 1)];
  strip.received({ kind: "strip", walk: 1, items }, [bytes(9), bytes(0)]);
  assert.equal(strip.at(4)?.url, "url of 9");
  assert.equal(strip.at(5)?.url, "", "it cannot be read, and is not asked for again");
  strip.ask(1, 3, 3);
  assert.deepEqual(sent.pop()?.have, [4, 5]);
  strip.received({ kind: "strip", walk: 1, items: [item(4, null, true)] }, []);
  assert.deepEqual(strip.at(4), { index: 4, name: "4.jpg", labelled: true, url: "url of 9" });
  strip.ask(2, 0, 1);
  assert.deepEqual(released, ["url of 9"]);
  strip.received({ kind: "strip", walk: 1, items }, [bytes(9), bytes(9)]);
  assert.equal(strip.at(4), null, "an answer for the walk before");
});

test("a strip asks once more for pictures that did not come", () => {
  const sent = [];
  const clock = { now: 0 };
  const strip = createStrip({
    post: (message) => sent.push(message),
    toUrl: () => "url",
    now: () => clock.now,
  });
  const items = (...buffers) =>
    buffers.map((buffer, i) => ({ index: i, name: `${i}.jpg`, labelled: false, buffer }));
  const bytes = [new DataView(new ArrayBuffer(9))];
  strip.ask(1, 0, 2);
  strip.received({ kind: "strip", walk: 1, items: items(0, null) }, bytes);
  strip.askAgain(1, 5000);
  assert.equal(sent.length, 1, "not at once");
  clock.now = 5000;
  strip.askAgain(2, 5000);
  assert.equal(sent.length, 1, "of the walk before nothing is wanted");
  strip.askAgain(1, 5000);
  assert.deepEqual(sent[1], { kind: "strip", walk: 1, first: 0, count: 2, have: [0] });
  strip.received({ kind: "strip", walk: 1, items: items(null, 0) }, bytes);
  clock.now = 20000;
  strip.askAgain(1, 5000);
  assert.equal(sent.length, 2, "all of it is here");
});

test("a label says in a word that its box is locked: not every system has the sign", () => {
  const box = makeBox(0, [0, 0, 10, 10]);
  assert.equal(labelText(box, ["cup"], true), "cup (locked)");
  assert.equal(labelText(box, ["cup"], false), "cup");
});
