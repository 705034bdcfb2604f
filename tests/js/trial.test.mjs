import assert from "node:assert/strict";
import { test } from "node:test";

import { badgeOf } from "../../workbench/panels/models/static/trial.mjs";
import { countWords, rowsAbove } from "../../workbench/panels/models/static/trial_boxes.mjs";

/** @import { DetectionRow } from "../../workbench/panels/types.d.ts" */

/** @param {number} score @returns {DetectionRow} */
const row = (score) => [0.5, 0.5, 0.2, 0.2, "cup", score, 0];

test("the slider leaves out what is below it, and keeps what is on it", () => {
  const rows = [row(0.9), row(0.3), row(0.05)];
  assert.deepEqual(rowsAbove(rows, 0.3), rows.slice(0, 2));
  assert.deepEqual(rowsAbove(rows, 0.05), rows);
  assert.deepEqual(rowsAbove(rows, 0.95), []);
});

test("boxes are counted in words, and nothing is said where nobody has looked", () => {
  assert.equal(countWords(1, 1, "a"), "1 of 1 box, by a");
  assert.equal(countWords(0, 3, "a"), "0 of 3 boxes, by a");
  assert.equal(countWords(0, 0, ""), "");
});

test("the badge says what is the matter with the feed", () => {
  assert.deepEqual(badgeOf({ status: "stalled", why: "no frame" }, false), ["no frame", "problem"]);
  assert.deepEqual(badgeOf({ status: "opening" }, false), ["opening …", "info"]);
  assert.deepEqual(badgeOf({ status: "opening" }, true), ["", ""]);
  assert.deepEqual(badgeOf({}, false), ["", ""]);
});
