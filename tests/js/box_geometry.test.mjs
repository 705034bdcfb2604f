import assert from "node:assert/strict";
import { test } from "node:test";

import {
  allowedShift,
  boxBetween,
  boxesAt,
  fitViewport,
  handleAt,
  keepInSight,
  resized,
  shifted,
  toImage,
  toScreen,
  zoomAt,
} from "../../workbench/panels/annotate/static/geometry.mjs";

/** @import { Xyxy } from "../../workbench/panels/types.d.ts" */

const IMAGE = { width: 640, height: 480 };

test("image and screen are each other's inverse", () => {
  const view = { scale: 0.37, x: 12.5, y: -40 };
  const [left, top] = toScreen(view, [100, 200, 300, 400]);
  const back = toImage(view, { x: left, y: top });
  assert.ok(Math.abs(back.x - 100) < 1e-9 && Math.abs(back.y - 200) < 1e-9);
});

test("fit shows the whole image, centred", () => {
  const view = fitViewport(IMAGE, { width: 336, height: 416 }, 8);
  assert.equal(view.scale, 0.5);
  assert.deepEqual([view.x, view.y], [8, 88]);
});

test("zooming keeps the point under the pointer where it is", () => {
  const at = { x: 100, y: 50 };
  const before = { scale: 1, x: 10, y: 20 };
  const after = zoomAt(before, 3, at, 0.1);
  const [p, q] = [toImage(before, at), toImage(after, at)];
  assert.ok(Math.abs(p.x - q.x) < 1e-9 && Math.abs(p.y - q.y) < 1e-9);
  assert.equal(after.scale, 3);
});

test("zoom stops at its bounds", () => {
  assert.equal(zoomAt({ scale: 60, x: 0, y: 0 }, 10, { x: 0, y: 0 }, 0.1).scale, 64);
  assert.equal(zoomAt({ scale: 0.2, x: 0, y: 0 }, 0.01, { x: 0, y: 0 }, 0.1).scale, 0.1);
});

test("a panned image stays in sight", () => {
  const view = keepInSight({ scale: 1, x: 5000, y: -5000 }, IMAGE, { width: 800, height: 600 }, 48);
  assert.deepEqual([view.x, view.y], [752, 48 - 480]);
});

test("a drawn box has whole pixels, whatever corner it starts from", () => {
  assert.deepEqual(
    boxBetween({ x: 99.6, y: 80.2 }, { x: 10.4, y: 20.5 }, IMAGE),
    [10, 21, 100, 80],
  );
});

test("a drawn box is cut off at the image and never empty", () => {
  assert.deepEqual(boxBetween({ x: -50, y: -5 }, { x: 900, y: 999 }, IMAGE), [0, 0, 640, 480]);
  assert.deepEqual(boxBetween({ x: 640, y: 480 }, { x: 641, y: 485 }, IMAGE), [639, 479, 640, 480]);
  assert.deepEqual(boxBetween({ x: 5, y: 5 }, { x: 5.2, y: 5.1 }, IMAGE), [5, 5, 6, 6]);
});

test("boxes move together and stop together at the border", () => {
  /** @type {Xyxy[]} */
  const boxes = [
    [10, 10, 20, 20],
    [600, 400, 635, 470],
  ];
  assert.deepEqual(allowedShift(boxes, 30.4, -99, IMAGE), { x: 5, y: -10 });
  assert.deepEqual(shifted(boxes[0], { x: 5, y: -10 }), [15, 0, 25, 10]);
});

test("a box that sticks out of the image can be moved back in", () => {
  assert.deepEqual(allowedShift([[-20, 0, 30, 30]], 20, 0, IMAGE), { x: 20, y: 0 });
});

test("resizing leaves the edges that are not held bit for bit", () => {
  /** @type {Xyxy} */
  const box = [10.123456, 20.654321, 110.5, 120.5];
  assert.deepEqual(
    resized(box, "e", { x: 200.4, y: 7 }, IMAGE),
    [10.123456, 20.654321, 200, 120.5],
  );
  assert.deepEqual(resized(box, "nw", { x: 5, y: 6 }, IMAGE), [5, 6, 110.5, 120.5]);
});

test("dragging an edge past the opposite one turns the box over", () => {
  assert.deepEqual(resized([10, 10, 50, 50], "w", { x: 80, y: 0 }, IMAGE), [50, 10, 80, 50]);
  assert.deepEqual(resized([10, 10, 50, 50], "se", { x: -5, y: -5 }, IMAGE), [0, 0, 10, 10]);
});

test("a box cannot be resized to nothing", () => {
  for (const handle of /** @type {const} */ (["n", "ne", "e", "se", "s", "sw", "w", "nw"])) {
    /** @type {Xyxy[]} */
    const boxes = [
      [0, 0, 1, 1],
      [639, 479, 640, 480],
      [10, 10, 50, 50],
    ];
    for (const box of boxes) {
      for (const x of [-1, 0, 10, 49.7, 50, 639.6, 640]) {
        const [left, top, right, bottom] = resized(box, handle, { x, y: x }, IMAGE);
        assert.ok(right - left >= 1 && bottom - top >= 1, `${handle} ${box} ${x}`);
        assert.ok(left >= 0 && top >= 0 && right <= 640 && bottom <= 480, `${handle} ${box} ${x}`);
      }
    }
  }
});

test("edges and corners are found in screen pixels, inside and outside", () => {
  /** @type {Xyxy} */
  const box = [100, 100, 200, 200];
  assert.equal(handleAt(box, { x: 95, y: 95 }, 7), "nw");
  assert.equal(handleAt(box, { x: 150, y: 205 }, 7), "s");
  assert.equal(handleAt(box, { x: 196, y: 150 }, 7), "e");
  assert.equal(handleAt(box, { x: 150, y: 150 }, 7), null);
  assert.equal(handleAt(box, { x: 90, y: 90 }, 7), null);
});

test("a tiny box keeps a middle to move it by", () => {
  assert.equal(handleAt([100, 100, 108, 108], { x: 104, y: 104 }, 7), null);
});

test("of several boxes under the pointer the smallest comes first", () => {
  /** @type {{id: number, xyxy: Xyxy}[]} */
  const boxes = [
    { id: 1, xyxy: [0, 0, 100, 100] },
    { id: 2, xyxy: [20, 20, 40, 40] },
    { id: 3, xyxy: [200, 200, 300, 300] },
  ];
  assert.deepEqual(
    boxesAt(boxes, { x: 30, y: 30 }).map((box) => box.id),
    [2, 1],
  );
});
