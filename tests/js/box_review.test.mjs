import assert from "node:assert/strict";
import { test } from "node:test";

import { createCommands, nothingToUndo } from "../../workbench/panels/annotate/static/commands.mjs";
import { makeBox } from "../../workbench/panels/annotate/static/document.mjs";
import { createSession } from "../../workbench/panels/annotate/static/session.mjs";
import { createSuggestMenu } from "../../workbench/panels/annotate/static/suggest_menu.mjs";

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
  /** What the pointer is on. @type {{box: any}} */
  const hand = { box: null };
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
    aimed: () => hand.box,
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
  return { session, commands, sent, told, edits, goes, hand };
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

test("Backspace rejects what the pointer is on, while nothing is selected", async () => {
  const { session, commands, edits, told, hand } = await start();
  const [first, second] = session.boxes();
  hand.box = second;
  commands.run("delete");
  assert.deepEqual([edits()[0].what, edits()[0].gone], ["reject", [DOUBTFUL]]);
  await saved(session, edits()[0], "");
  session.select([first.id]);
  hand.box = second;
  commands.run("delete");
  assert.deepEqual(edits()[1].gone, [SURE, DOUBTFUL], "what is selected comes first");
  hand.box = null;
  await saved(session, edits()[1], "");
  commands.run("delete");
  assert.deepEqual(told, ["No box is selected: click one first."]);
  assert.equal(edits().length, 2);
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

test("undo selects nothing that is not seen, so Enter accepts nothing of it", async () => {
  // A doubtful one under a sure one: accepting that answers both.
  const under = { ...suggestion(10, 0.1), source_id: "m2" };
  const { session, commands, edits } = await start({ fields: { proposals: [SURE, under] } });
  commands.run("accept-all");
  await saved(session, edits()[0], "r1");
  commands.run("undo");
  assert.equal(session.boxes().length, 2);
  assert.deepEqual(
    session.boxes().map((box) => session.state.selection.has(box.id)),
    [true, false],
  );
  await saved(session, edits()[1], "");
  commands.run("accept");
  assert.deepEqual(edits()[2].boxes, [label(SURE)]);
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

/** What the kernel says when others have suggested or decided. */
const suggested = (session, proposals, rejected = [], key = "ds/train/a.jpg") =>
  session.receive({ kind: "suggested", key, to_review: 7, proposals, rejected });
const drawn = makeBox(1, [200, 200, 300, 300]);
const scores = (session) => session.boxes().map((box) => box.proposal?.score ?? "drawn");

test("what others suggest meanwhile leaves drawn boxes, steps, selection and unsaved edits alone", async () => {
  const { session, sent, edits } = await start({ fields: { proposals: [SURE, DOUBTFUL] } });
  session.edit("draw", [...session.boxes(), drawn]);
  session.select([drawn.id]);
  const sure = session.boxes()[0].id;
  // On top of what was drawn, of a newer run that has dropped DOUBTFUL, and somewhere else.
  const covered = { ...suggestion(0, 0.8, "m2"), class_id: 1, xyxy: [205, 200, 300, 300] };
  await suggested(session, [SURE, covered, UNLIKELY]);
  assert.deepEqual(scores(session), [0.9, "drawn", 0.1]);
  assert.deepEqual([session.boxes()[0].id, session.boxes()[1]], [sure, drawn], "the same boxes");
  assert.deepEqual([...session.state.selection], [drawn.id]);
  assert.equal(session.state.toReview, 7);
  assert.equal(session.saving().state, "saving", "the edit is still under way");
  assert.equal(edits().length, 1, "and nothing else is");
  await saved(session, edits()[0], "r1");
  session.undo();
  assert.deepEqual(scores(session), [0.9, 0.8, 0.1], "without the box, what it covered is offered");
  session.redo();
  assert.deepEqual(scores(session), [0.9, "drawn", 0.1]);
  session.undo();
  session.undo();
  await saved(session, edits()[1], "r2");
  await saved(session, edits()[2], "r3");
  const asks = sent.filter(({ kind }) => kind === "want_trail");
  assert.equal(asks.length, 1, "suggestions were no step of this page");
});

test("what was decided here and not saved yet stays decided when others suggest", async () => {
  const { session, commands, edits } = await start({ fields: { proposals: [SURE, DOUBTFUL] } });
  session.select([session.boxes()[1].id]);
  commands.run("delete");
  await suggested(session, [SURE, DOUBTFUL, UNLIKELY]); // the kernel does not know of it yet
  assert.deepEqual(scores(session), [0.9, 0.1]);
  session.edit("draw", [...session.boxes(), drawn]);
  await saved(session, edits()[0], "");
  assert.deepEqual(edits()[1].gone, [DOUBTFUL], "a later edit says so, too");
  await saved(session, edits()[1], "r1");
  await suggested(session, [SURE, UNLIKELY], [DOUBTFUL]);
  session.undo();
  session.undo();
  assert.deepEqual(scores(session), [0.9, 0.4, 0.1], "undo brings back what was rejected");
});

test("what is rejected elsewhere goes here, and comes back when that is undone there", async () => {
  const { session, edits } = await start({ fields: { proposals: [SURE, DOUBTFUL] } });
  await suggested(session, [SURE], [DOUBTFUL]);
  assert.deepEqual(scores(session), [0.9]);
  session.edit("draw", [...session.boxes(), drawn]);
  assert.equal(edits()[0].gone, undefined, "it is not rejected once more");
  await saved(session, edits()[0], "r1");
  await suggested(session, [SURE, DOUBTFUL]);
  assert.deepEqual(scores(session), [0.9, "drawn", 0.4]);
});

test("what is suggested on an image that is not open waits there", async () => {
  const { session } = await start();
  await suggested(session, [SURE], [], "ds/train/b.jpg");
  assert.deepEqual(scores(session), [0.9, 0.4, 0.1]);
  assert.equal(session.state.toReview, 7);
});

test("thousands of suggestions come in without a pause, however many steps there are", async () => {
  const many = Array.from({ length: 3000 }, (_, i) => suggestion(i / 10, 0.5));
  const { session } = await start({ fields: { proposals: many } });
  for (let i = 0; i < 100; i++)
    session.edit("draw", [...session.boxes(), makeBox(1, [i, 300, i + 1, 301])]);
  const began = process.cpuUsage();
  await suggested(session, [...many, suggestion(400, 0.5)]);
  const { user } = process.cpuUsage(began);
  assert.ok(user < 2e6, `${user / 1e3} ms`);
  assert.equal(session.boxes().length, 3101);
});

test("who has accepted and gone on is told where that is undone", () => {
  assert.doesNotMatch(nothingToUndo({ target: () => 0 }), /one before/);
  assert.match(nothingToUndo({ target: () => 1 }), /nothing to undo .* the one before/);
});

test("what is like a suggestion is not looked for, and the menu says why", async () => {
  const { session, commands } = await start();
  let groups = [];
  /** @type {any} */
  const opened = { open: (_at, shown) => ({ groups } = shown) };
  const menu = createSuggestMenu(opened, session, {
    bindings: () => ({}),
    names: () => ["cup"],
    elsewhere: () => "",
    opening() {},
  });
  const why = () => {
    menu.open();
    return groups[1].items[0].whyNot;
  };
  assert.match(why(), /^Draw a box first/);
  session.select([session.boxes()[0].id]);
  assert.match(why(), /^Only suggestions are selected: accept one first/);
  commands.run("accept");
  assert.equal(why(), "");
});
