import assert from "node:assert/strict";
import { test } from "node:test";

import { createCommands } from "../../workbench/panels/annotate/static/commands.mjs";
import { createSession } from "../../workbench/panels/annotate/static/session.mjs";

const bitmap = { width: 640, height: 480, close() {} };

/** @import { ProposalRow } from "../../workbench/panels/types.d.ts" */

/** @param {number} left @param {number} score @returns {ProposalRow} */
const suggestion = (left, score, source_id = "m1") => ({
  class_id: 0,
  xyxy: [left, 10, left + 10, 20],
  score,
  source: "model cups",
  source_id,
});
const label = ({ class_id, xyxy }) => ({ class_id, xyxy });
const SURE = suggestion(10, 0.9);
const DOUBTFUL = suggestion(50, 0.4);
const UNLIKELY = suggestion(90, 0.1);

/** A page that shows the first of three images, with three suggestions. */
async function start({ walks = true, fields = {} } = {}) {
  const sent = [];
  const told = [];
  const session = createSession({
    send: (message) => sent.push(structuredClone(message)),
    storage: null,
    decode: async () => bitmap,
    now: () => 0,
    id: "s1",
  });
  const commands = createCommands(session, {
    tell: (text) => told.push(text),
    walks: () => walks,
    breakOff: () => false,
    leave: () => "pass",
    zoomBy() {},
    fit() {},
    actualSize() {},
    visible: () => [0, 0, bitmap.width, bitmap.height],
    toggleCrosshair() {},
    toggleHelp() {},
    findClass() {},
    openMenu() {},
    toggleObjects() {},
    toggleFilmstrip() {},
    toggleFullScreen() {},
    openSuggestions() {},
    pointerAt: () => null,
  });
  session.setThreshold(0.25);
  await session.receive(
    {
      kind: "frame",
      id: 1,
      show: true,
      cause: null,
      total: 3,
      labelled: 0,
      to_review: 2,
      plain: false,
      frame: {
        key: "ds/train/a.jpg",
        token: "t",
        walk: 1,
        index: 0,
        name: "a.jpg",
        width: 640,
        height: 480,
        revision: "",
        editable: true,
        problem: "",
        boxes: [],
        proposals: [SURE, DOUBTFUL, UNLIKELY],
        rejected: 0,
        keep: true,
        ...fields,
      },
    },
    [new DataView(new ArrayBuffer(4))],
  );
  const edits = () => sent.filter((message) => message.kind === "edit");
  const goes = () => sent.filter((message) => message.kind === "go");
  return { session, commands, sent, told, edits, goes };
}
const saved = (session, edit, revision) =>
  session.receive({
    kind: "saved",
    session: "s1",
    seq: edit.seq,
    key: edit.key,
    revision,
    labelled: 1,
    to_review: 1,
  });

test("Enter accepts what is shown, and goes on", async () => {
  const { session, commands, edits, goes } = await start();
  commands.run("accept");
  assert.deepEqual(edits()[0].boxes, [label(SURE), label(DOUBTFUL)]);
  assert.deepEqual(edits()[0].proposals, [UNLIKELY]);
  assert.deepEqual(edits()[0].gone, [SURE, DOUBTFUL]);
  assert.equal(edits()[0].what, "accept all");
  assert.equal(goes()[0].index, 1);
  await saved(session, edits()[0], "r1");
  assert.equal(session.state.toReview, 1);
});

test("the threshold shows and hides at once, and what is hidden is not selected", async () => {
  const { session, commands, edits } = await start();
  commands.run("select-all");
  assert.equal(session.state.selection.size, 2);
  session.setThreshold(0.5);
  assert.equal(session.state.selection.size, 1);
  commands.run("accept-all");
  assert.deepEqual(edits()[0].boxes, [label(SURE)]);
  session.setThreshold(0);
  commands.run("accept-all");
  await saved(session, edits()[0], "r1");
  assert.equal(edits()[1].boxes.length, 3);
});

test("a class can have a threshold of its own, until one for all is set", async () => {
  const other = { ...suggestion(130, 0.4), class_id: 1 };
  const { session } = await start({ fields: { proposals: [SURE, DOUBTFUL, other] } });
  const shown = () =>
    session
      .boxes()
      .filter(session.isShown)
      .map((box) => box.cls);
  session.setThreshold(0.5, { 1: 0.3 });
  assert.deepEqual(shown(), [0, 1]);
  session.setThreshold(0.3, { 1: 0.5 });
  assert.deepEqual(shown(), [0, 0]);
  session.setThreshold(0.3);
  assert.deepEqual(shown(), [0, 0, 1]);
});

test("Tab walks what is shown, Backspace rejects, Enter takes the rest", async () => {
  const { commands, edits, goes } = await start();
  commands.run("select-next");
  commands.run("select-next");
  commands.run("delete");
  assert.deepEqual([edits()[0].boxes, edits()[0].labelled], [[], false]);
  assert.deepEqual(edits()[0].gone, [DOUBTFUL]);
  commands.run("accept");
  assert.equal(goes().length, 1);
});

test("rejecting all rejects what is shown", async () => {
  const { commands, edits } = await start();
  commands.run("reject-all");
  assert.deepEqual(edits()[0].gone, [SURE, DOUBTFUL]);
  assert.deepEqual(edits()[0].proposals, [UNLIKELY]);
});

test("undo takes acceptance and rejection back", async () => {
  const { session, commands, edits } = await start();
  commands.run("select-next");
  commands.run("delete");
  await saved(session, edits()[0], "");
  commands.run("accept-all");
  await saved(session, edits()[1], "r1");
  commands.run("undo");
  await saved(session, edits()[2], "");
  commands.run("undo");
  assert.deepEqual(
    [edits()[3].boxes, edits()[3].labelled, edits()[3].gone],
    [[], false, undefined],
  );
  assert.deepEqual(edits()[3].proposals, [SURE, DOUBTFUL, UNLIKELY]);
});

test("where nothing is shown and nothing was said, Enter does not go on", async () => {
  const { session, commands, told, goes } = await start();
  session.setThreshold(1);
  commands.run("accept");
  assert.deepEqual([goes().length, told.length], [0, 1]);
  commands.run("nothing-here");
  commands.run("accept");
  assert.equal(goes().length, 1);
});

test("an image that is alone is submitted", async () => {
  const { commands, sent, goes } = await start({ walks: false });
  commands.run("accept");
  assert.deepEqual([sent.filter((m) => m.kind === "submit").length, goes().length], [1, 0]);
});

test("suggestions of two sources at one place are told apart", async () => {
  const other = suggestion(10, 0.8, "m2");
  const { session, commands, edits } = await start({ fields: { proposals: [SURE, other] } });
  session.select([session.boxes()[1].id]);
  commands.run("delete");
  assert.deepEqual(edits()[0].gone, [other]);
});

test("where two sources propose the same, accepting one answers the other; undo brings both back", async () => {
  const other = { ...suggestion(12, 0.8, "m2"), class_id: 1 };
  const beside = suggestion(15, 0.7);
  const { session, commands, edits } = await start({
    fields: { proposals: [SURE, beside, other, DOUBTFUL] },
  });
  session.select([session.boxes()[0].id]);
  commands.run("accept");
  assert.deepEqual(edits()[0].boxes, [label(SURE)]);
  assert.deepEqual(edits()[0].proposals, [beside, DOUBTFUL], "the same source means another box");
  await saved(session, edits()[0], "r1");
  commands.run("undo");
  assert.deepEqual(edits()[1].proposals, [SURE, beside, other, DOUBTFUL]);
});

test("undo asks for what was rejected in an earlier session, and shows it again", async () => {
  const { session, commands, sent } = await start({ fields: { proposals: [SURE], rejected: 1 } });
  assert.equal(session.canUndo(), true);
  commands.run("undo");
  assert.equal(sent.filter((message) => message.kind === "want_trail").length, 1);
  await session.receive({
    kind: "trail",
    key: "ds/train/a.jpg",
    boxes: null,
    past: [null],
    future: [],
    past_proposals: [[SURE, DOUBTFUL]],
    future_proposals: [],
    more: false,
  });
  assert.deepEqual(
    session.boxes().map((box) => box.proposal?.score),
    [0.9, 0.4],
  );
});
