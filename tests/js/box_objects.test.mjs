import assert from "node:assert/strict";
import { test } from "node:test";

import { makeBox, withLast } from "../../workbench/panels/annotate/static/document.mjs";
import { inSight } from "../../workbench/panels/annotate/static/geometry.mjs";
import { rowsInSight, sortedBoxes } from "../../workbench/panels/annotate/static/objects.mjs";
import { heightFor } from "../../workbench/panels/annotate/static/room.mjs";

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
});
