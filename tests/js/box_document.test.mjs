import assert from "node:assert/strict";
import { test } from "node:test";

import {
  copies,
  fromRows,
  nextBox,
  sameRows,
  toProposalRows,
  toRows,
  withAccepted,
  withChanged,
  withoutBoxes,
} from "../../workbench/panels/annotate/static/document.mjs";
import {
  amend,
  commit,
  createHistory,
  redo,
  undo,
} from "../../workbench/panels/annotate/static/history.mjs";

/** @import { ProposalRow, Row } from "../../workbench/panels/types.d.ts" */

const IMAGE = { width: 640, height: 480 };
/** @type {Row[]} */
const ROWS = [
  { class_id: 0, xyxy: [10, 10, 20, 20] },
  { class_id: 2, xyxy: [0.125, 300.7, 40, 400] },
];
/** @type {ProposalRow[]} */
const PROPOSALS = [{ class_id: 1, xyxy: [5, 5, 9, 9], score: 0.75, source: "model" }];

test("rows survive the way in and out, bit for bit", () => {
  const boxes = fromRows(ROWS, PROPOSALS);
  assert.deepEqual(toRows(boxes), ROWS);
  assert.deepEqual(toProposalRows(boxes), PROPOSALS);
});

test("a prediction is no label until it is accepted", () => {
  const boxes = fromRows([], PROPOSALS);
  assert.deepEqual(toRows(boxes), []);
  const accepted = withAccepted(boxes, new Set([boxes[0].id]));
  assert.deepEqual(toRows(accepted), [{ class_id: 1, xyxy: [5, 5, 9, 9] }]);
  assert.deepEqual(toProposalRows(accepted), []);
});

test("a prediction that a person reshapes becomes a label", () => {
  const [box] = fromRows([], PROPOSALS);
  const [changed] = withChanged([box], new Set([box.id]), () => ({ xyxy: [5, 5, 12, 9] }));
  assert.equal(changed.proposal, null);
});

test("changes leave the old state as it was", () => {
  const boxes = fromRows(ROWS);
  const next = withChanged(boxes, new Set([boxes[0].id]), () => ({ cls: 7 }));
  assert.deepEqual([boxes[0].cls, next[0].cls, next[1]], [0, 7, boxes[1]]);
  assert.deepEqual(withoutBoxes(boxes, new Set([boxes[0].id])), [boxes[1]]);
});

test("copies stay inside the image", () => {
  const [, low] = fromRows([ROWS[0], { class_id: 0, xyxy: [600, 440, 640, 480] }]);
  const [copy] = copies([low], 10, IMAGE);
  assert.deepEqual(copy.xyxy, [600, 440, 640, 480]);
  assert.notEqual(copy.id, low.id);
});

test("Tab walks in reading order and leaves at the end", () => {
  const boxes = fromRows([
    { class_id: 0, xyxy: [50, 90, 60, 99] },
    { class_id: 0, xyxy: [10, 10, 20, 20] },
  ]);
  const [second, first] = boxes;
  assert.equal(nextBox(boxes, null, 1), first.id);
  assert.equal(nextBox(boxes, first.id, 1), second.id);
  assert.equal(nextBox(boxes, second.id, 1), null);
  assert.equal(nextBox(boxes, null, -1), second.id);
  assert.equal(nextBox([], null, 1), null);
});

test("equal rows are recognised", () => {
  assert.ok(sameRows(ROWS, structuredClone(ROWS)));
  assert.ok(!sameRows(ROWS, ROWS.slice(1)));
  assert.ok(!sameRows(ROWS, [ROWS[0], { ...ROWS[1], class_id: 1 }]));
});

test("undo and redo walk the same states", () => {
  let history = createHistory("a", false);
  history = commit(commit(history, "draw", "b", true), "move", "c", true);
  history = undo(undo(history));
  assert.equal(history.present.state, "a");
  assert.equal(undo(history), history);
  history = redo(redo(history));
  assert.equal(history.present.state, "c");
  assert.equal(redo(history), history);
});

test("a new edit after undo drops the redone future", () => {
  const history = commit(
    undo(commit(createHistory("a", false), "draw", "b", true)),
    "draw",
    "c",
    true,
  );
  assert.equal(redo(history), history);
  assert.equal(undo(history).present.state, "a");
});

test("amending replaces the present without a step", () => {
  const history = amend(commit(createHistory("a", false), "move", "b", true), "c", true);
  assert.equal(history.present.state, "c");
  assert.equal(undo(history).present.state, "a");
});
