import assert from "node:assert/strict";
import { test } from "node:test";

import { makeBox } from "../../workbench/panels/widgets/static/box_document.mjs";
import { createSession } from "../../workbench/panels/widgets/static/box_session.mjs";

/** A browser's storage, in memory. */
class MemoryStorage {
  #items = new Map();
  get length() {
    return this.#items.size;
  }
  key(index) {
    return [...this.#items.keys()][index] ?? null;
  }
  getItem(key) {
    return this.#items.get(key) ?? null;
  }
  setItem(key, value) {
    this.#items.set(key, value);
  }
  removeItem(key) {
    this.#items.delete(key);
  }
}

const bitmap = { width: 640, height: 480, close() {} };

function start({ storage = new MemoryStorage(), id = "s1", decode = async () => bitmap } = {}) {
  const sent = [];
  const clock = { now: 0 };
  const session = createSession({
    send: (message) => sent.push(structuredClone(message)),
    storage,
    decode,
    now: () => clock.now,
    id,
  });
  const edits = () => sent.filter((message) => message.kind === "edit");
  return { session, sent, edits, storage, clock };
}

const frame = (index, fields = {}) => ({
  key: `ds/train/img_${index}.jpg`, token: `t${index}`, walk: 1, index, name: `img_${index}.jpg`,
  width: 640, height: 480, revision: "r0", editable: true, problem: "", boxes: [], proposals: [], keep: true, ...fields,
});
const arrive = (session, index, { fields, ...message } = {}) =>
  session.receive({ kind: "frame", id: 1, to: null, show: true, cause: null, total: 5, labelled: 0, plain: false, frame: frame(index, fields), ...message }, [new DataView(new ArrayBuffer(4))]);
const draw = (session, left = 10) => session.edit("draw", [...session.boxes(), makeBox(0, [left, 10, left + 10, 20])]);

test("an edit carries the image and the revision it is based on", async () => {
  const { session, edits } = start();
  await arrive(session, 0);
  draw(session);
  const [edit] = edits();
  assert.deepEqual([edit.key, edit.revision, edit.boxes], ["ds/train/img_0.jpg", "r0", [{ class_id: 0, xyxy: [10, 10, 20, 20] }]]);
  assert.equal(session.saving().state, "saving");
});

test("edits made while one is under way go out as one, based on its answer", async () => {
  const { session, edits } = start();
  await arrive(session, 0);
  draw(session, 10);
  draw(session, 30);
  draw(session, 50);
  assert.equal(edits().length, 1);
  await session.receive({ kind: "saved", session: "s1", seq: edits()[0].seq, key: edits()[0].key, revision: "r1", labelled: 1 });
  assert.equal(edits().length, 2);
  assert.deepEqual([edits()[1].revision, edits()[1].boxes.length], ["r1", 3]);
  await session.receive({ kind: "saved", session: "s1", seq: edits()[1].seq, key: edits()[1].key, revision: "r2", labelled: 1 });
  assert.equal(session.saving().state, "saved");
  assert.equal(session.state.frame.revision, "r2");
});

test("an edit made before going on is still that image's edit", async () => {
  const { session, edits } = start();
  await arrive(session, 0);
  draw(session);
  await arrive(session, 1, { fields: { revision: "q0" } });
  await session.receive({ kind: "saved", session: "s1", seq: edits()[0].seq, key: edits()[0].key, revision: "r1", labelled: 1 });
  assert.equal(edits()[0].key, "ds/train/img_0.jpg");
  assert.equal(session.state.frame.revision, "q0");
  assert.equal(session.boxes().length, 0);
});

test("undo history is kept when leaving and coming back", async () => {
  const { session, edits } = start();
  await arrive(session, 0);
  draw(session);
  await session.receive({ kind: "saved", session: "s1", seq: edits()[0].seq, key: edits()[0].key, revision: "r1", labelled: 1 });
  await arrive(session, 1);
  await arrive(session, 0, { fields: { revision: "r1", boxes: [{ class_id: 0, xyxy: [10, 10, 20, 20] }] } });
  assert.equal(session.boxes().length, 1);
  session.undo();
  assert.equal(session.boxes().length, 0);
  assert.deepEqual([edits()[1].what, edits()[1].revision], ["undo", "r1"]);
});

test("the rounding of a label file is no change", async () => {
  const { session } = start();
  await arrive(session, 0, { fields: { boxes: [{ class_id: 0, xyxy: [10, 10, 20, 20] }] } });
  await arrive(session, 0, { fields: { boxes: [{ class_id: 0, xyxy: [10, 9.9999984, 20.0000016, 20] }] } });
  assert.ok(!session.canUndo());
});

test("boxes that changed elsewhere come in as a step that can be undone", async () => {
  const { session } = start();
  await arrive(session, 0);
  await arrive(session, 0, { fields: { revision: "r9", boxes: [{ class_id: 1, xyxy: [1, 2, 3, 4] }] } });
  assert.deepEqual(session.boxes()[0].xyxy, [1, 2, 3, 4]);
  assert.ok(session.canUndo());
});

test("a conflict holds the edit until the user decides", async () => {
  for (const choice of ["mine", "theirs"]) {
    const { session, edits, sent } = start();
    await arrive(session, 0);
    draw(session);
    await session.receive({ kind: "not_saved", to: "s1", seq: edits()[0].seq, key: edits()[0].key, why: "changed", choices: [], revision: "r7", boxes: [{ class_id: 2, xyxy: [0, 0, 5, 5] }] });
    draw(session, 40);
    assert.equal(edits().length, 1, "nothing is sent while the question is open");
    assert.deepEqual(session.saving(), { state: "not saved", why: "img_0.jpg: changed" });
    session.resolve(choice);
    if (choice === "mine") {
      assert.deepEqual([edits()[1].agreed, edits()[1].revision, edits()[1].boxes.length], [true, "r7", 2]);
    } else {
      assert.equal(edits().length, 1);
      assert.deepEqual(session.boxes().map((box) => box.cls), [2]);
      assert.ok(sent.some((message) => message.kind === "want" && message.key === "ds/train/img_0.jpg"));
      await arrive(session, 0, { show: false, fields: { revision: "r7", boxes: [{ class_id: 2, xyxy: [0, 0, 5, 5] }] } });
      assert.equal(session.saving().state, "saved");
      session.undo();
      assert.deepEqual([edits()[1].revision, edits()[1].boxes.length], ["r7", 2]);
    }
  }
});

test("what was never acknowledged survives the page and is sent by the next", async () => {
  const storage = new MemoryStorage();
  const first = start({ storage });
  await arrive(first.session, 0);
  draw(first.session);
  assert.equal(storage.length, 1);

  const second = start({ storage, id: "s2" });
  await arrive(second.session, 0);
  await second.session.receive({ kind: "scope", to: "s2", scope: "ds/train/" });
  const [edit] = second.edits();
  assert.deepEqual([edit.revision, edit.boxes.length], ["r0", 1]);
  assert.equal(second.session.boxes().length, 1, "and is shown");
  await second.session.receive({ kind: "saved", session: "s2", seq: edit.seq, key: edit.key, revision: "r1", labelled: 1 });
  assert.equal(storage.length, 0);
});

test("unsaved edits of another dataset are left alone", async () => {
  const storage = new MemoryStorage();
  storage.setItem("workbench:unsaved:other/train/a.jpg", JSON.stringify({ revision: "", boxes: [], proposals: null, what: "" }));
  const { session, edits } = start({ storage });
  await arrive(session, 0);
  await session.receive({ kind: "scope", to: "s1", scope: "ds/train/" });
  assert.equal(edits().length, 0);
  assert.equal(storage.length, 1);
});

test("an unanswered edit counts as not saved, and goes out again", async () => {
  const { session, edits, clock } = start();
  await arrive(session, 0);
  draw(session);
  clock.now = 6000;
  session.tick();
  assert.equal(edits().length, 2);
  assert.equal(edits()[0].seq, edits()[1].seq);
  assert.equal(session.saving().state, "not saved");
  await session.receive({ kind: "saved", session: "s1", seq: edits()[0].seq, key: edits()[0].key, revision: "r1", labelled: 1 });
  assert.equal(session.saving().state, "saved");
});

test("a prefetched image is shown at once", async () => {
  const { session, sent } = start();
  await arrive(session, 0);
  await arrive(session, 1, { show: false });
  session.step(1);
  assert.equal(session.state.frame.name, "img_1.jpg");
  assert.deepEqual(sent.filter((m) => m.kind === "go").map((m) => [m.index, m.have]), [[1, "t1"]]);
});

test("an answer to an older step does not turn the page back", async () => {
  const { session, sent } = start();
  await arrive(session, 0);
  session.step(1);
  session.step(1);
  const [first, second] = sent.filter((message) => message.kind === "go");
  await arrive(session, 1, { cause: { session: "s1", seq: first.seq } });
  assert.equal(session.state.frame.name, "img_0.jpg");
  await arrive(session, 2, { cause: { session: "s1", seq: second.seq } });
  assert.equal(session.state.frame.name, "img_2.jpg");
});

test("an edit answered while its image is still being decoded is not undone", async () => {
  const storage = new MemoryStorage();
  const first = start({ storage });
  await arrive(first.session, 0);
  draw(first.session);

  let decoded;
  const { session, edits } = start({ storage, id: "s2", decode: () => new Promise((resolve) => (decoded = resolve)) });
  const arrival = arrive(session, 0);
  await session.receive({ kind: "scope", to: "s2", scope: "ds/train/" });
  await session.receive({ kind: "saved", session: "s2", seq: edits()[0].seq, key: edits()[0].key, revision: "r1", labelled: 1 });
  decoded(bitmap);
  await arrival;
  assert.equal(session.boxes().length, 1);
  assert.equal(session.state.frame.revision, "r1");
});

test("of images shown in a row the last stays, whichever is decoded first", async () => {
  const waiting = [];
  const { session } = start({ decode: () => new Promise((resolve) => waiting.push(() => resolve(bitmap))) });
  const arrivals = [arrive(session, 0), arrive(session, 3)];
  waiting[1]();
  await arrivals[1];
  waiting[0]();
  await arrivals[0];
  assert.equal(session.state.frame.name, "img_3.jpg");
});

test("another page's messages are not taken for one's own", async () => {
  const { session, edits } = start();
  await arrive(session, 0);
  draw(session);
  await session.receive({ kind: "not_saved", to: "s2", seq: edits()[0].seq, key: edits()[0].key, why: "x", choices: [], revision: "", boxes: [] });
  assert.equal(session.saving().state, "saving");
});

test("an image that must not be edited is not", async () => {
  const { session, edits } = start();
  await arrive(session, 0, { fields: { editable: false } });
  draw(session);
  session.nothingHere();
  assert.equal(edits().length, 0);
});

test("nothing here writes an empty list, but never over boxes", async () => {
  const { session, edits } = start();
  await arrive(session, 0, { fields: { revision: "" } });
  session.nothingHere();
  assert.deepEqual(edits().map((edit) => edit.boxes), [[]]);
  await arrive(session, 1, { fields: { boxes: [{ class_id: 0, xyxy: [1, 1, 2, 2] }] } });
  session.nothingHere();
  assert.equal(edits().length, 1);
});

test("a failing storage does not stop an edit", async (t) => {
  t.mock.method(console, "warn", () => {});
  const storage = new MemoryStorage();
  storage.setItem = () => {
    throw new Error("quota exceeded");
  };
  const { session, edits } = start({ storage });
  await arrive(session, 0);
  draw(session);
  assert.equal(edits().length, 1);
});
