import assert from "node:assert/strict";
import { test } from "node:test";

import { makeBox } from "../../workbench/panels/annotate/static/document.mjs";
import { createSession } from "../../workbench/panels/annotate/static/session.mjs";
import { currentNotice } from "../../workbench/panels/annotate/static/situation.mjs";
import { fake } from "./fakes.mjs";

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
  clear() {
    this.#items.clear();
  }
}

const bitmap = { width: 640, height: 480, close() {} };

function start({
  storage = new MemoryStorage(),
  id = "s1",
  decode = async () => bitmap,
  names = () => /** @type {string[]} */ ([]),
} = {}) {
  const sent = [];
  const clock = { now: 0 };
  const session = createSession({
    send: (message) => sent.push(structuredClone(message)),
    storage,
    decode,
    now: () => clock.now,
    id,
    names,
  });
  const edits = () => sent.filter((message) => message.kind === "edit");
  return { session, sent, edits, storage, clock };
}

const frame = (index, fields = {}) => ({
  key: `ds/train/img_${index}.jpg`,
  token: `t${index}`,
  walk: 1,
  index,
  name: `img_${index}.jpg`,
  width: 640,
  height: 480,
  revision: "r0",
  editable: true,
  problem: "",
  boxes: [],
  proposals: [],
  keep: true,
  ...fields,
});
/** @param {any} session @param {number} index @param {Record<string, any>} options */
const arrive = (session, index, { fields, ...message } = {}) =>
  session.receive(
    {
      kind: "frame",
      id: 1,
      to: null,
      show: true,
      cause: null,
      total: 5,
      labelled: 0,
      plain: false,
      frame: frame(index, fields),
      ...message,
    },
    [new DataView(new ArrayBuffer(4))],
  );
const draw = (session, left = 10) =>
  session.edit("draw", [...session.boxes(), makeBox(0, [left, 10, left + 10, 20])]);

test("an edit carries the image and the revision it is based on", async () => {
  const { session, edits } = start();
  await arrive(session, 0);
  draw(session);
  const [edit] = edits();
  assert.deepEqual(
    [edit.key, edit.revision, edit.boxes],
    ["ds/train/img_0.jpg", "r0", [{ class_id: 0, xyxy: [10, 10, 20, 20] }]],
  );
  assert.equal(session.saving().state, "saving");
});

test("edits made while one is under way go out as one, based on its answer", async () => {
  const { session, edits } = start();
  await arrive(session, 0);
  draw(session, 10);
  draw(session, 30);
  draw(session, 50);
  assert.equal(edits().length, 1);
  await session.receive({
    kind: "saved",
    session: "s1",
    seq: edits()[0].seq,
    key: edits()[0].key,
    revision: "r1",
    labelled: 1,
  });
  assert.equal(edits().length, 2);
  assert.deepEqual([edits()[1].revision, edits()[1].boxes.length], ["r1", 3]);
  await session.receive({
    kind: "saved",
    session: "s1",
    seq: edits()[1].seq,
    key: edits()[1].key,
    revision: "r2",
    labelled: 1,
  });
  assert.equal(session.saving().state, "saved");
  assert.equal(session.state.frame?.revision, "r2");
});

test("an edit made before going on is still that image's edit", async () => {
  const { session, edits } = start();
  await arrive(session, 0);
  draw(session);
  await arrive(session, 1, { fields: { revision: "q0" } });
  await session.receive({
    kind: "saved",
    session: "s1",
    seq: edits()[0].seq,
    key: edits()[0].key,
    revision: "r1",
    labelled: 1,
  });
  assert.equal(edits()[0].key, "ds/train/img_0.jpg");
  assert.equal(session.state.frame?.revision, "q0");
  assert.equal(session.boxes().length, 0);
});

test("undo history is kept when leaving and coming back", async () => {
  const { session, edits } = start();
  await arrive(session, 0);
  draw(session);
  await session.receive({
    kind: "saved",
    session: "s1",
    seq: edits()[0].seq,
    key: edits()[0].key,
    revision: "r1",
    labelled: 1,
  });
  await arrive(session, 1);
  await arrive(session, 0, {
    fields: { revision: "r1", boxes: [{ class_id: 0, xyxy: [10, 10, 20, 20] }] },
  });
  assert.equal(session.boxes().length, 1);
  session.undo();
  assert.equal(session.boxes().length, 0);
  assert.deepEqual([edits()[1].what, edits()[1].revision], ["undo", "r1"]);
});

test("the rounding of a label file is no change", async () => {
  const { session } = start();
  await arrive(session, 0, { fields: { boxes: [{ class_id: 0, xyxy: [10, 10, 20, 20] }] } });
  await arrive(session, 0, {
    fields: { boxes: [{ class_id: 0, xyxy: [10, 9.9999984, 20.0000016, 20] }] },
  });
  session.undo();
  assert.deepEqual(
    session.boxes().map((box) => box.xyxy),
    [[10, 10, 20, 20]],
  );
});

test("boxes that changed elsewhere come in as a step that can be undone", async () => {
  const { session } = start();
  await arrive(session, 0);
  await arrive(session, 0, {
    fields: { revision: "r9", boxes: [{ class_id: 1, xyxy: [1, 2, 3, 4] }] },
  });
  assert.deepEqual(session.boxes()[0].xyxy, [1, 2, 3, 4]);
  assert.ok(session.canUndo());
});

test("a conflict holds the edit until the user decides", async () => {
  for (const choice of /** @type {const} */ (["mine", "theirs"])) {
    const { session, edits, sent } = start();
    await arrive(session, 0);
    draw(session);
    await session.receive({
      kind: "not_saved",
      to: "s1",
      session: "s1",
      seq: edits()[0].seq,
      key: edits()[0].key,
      why: "changed",
      choices: [],
      revision: "r7",
      boxes: [{ class_id: 2, xyxy: [0, 0, 5, 5] }],
    });
    draw(session, 40);
    assert.equal(edits().length, 1, "nothing is sent while the question is open");
    assert.deepEqual(session.saving(), { state: "not saved", why: "img_0.jpg: changed" });
    session.resolve(choice);
    if (choice === "mine") {
      assert.deepEqual(
        [edits()[1].agreed, edits()[1].revision, edits()[1].boxes.length],
        [true, "r7", 2],
      );
    } else {
      assert.equal(edits().length, 1);
      assert.deepEqual(
        session.boxes().map((box) => box.cls),
        [2],
      );
      assert.ok(
        sent.some((message) => message.kind === "want" && message.key === "ds/train/img_0.jpg"),
      );
      await arrive(session, 0, {
        show: false,
        fields: { revision: "r7", boxes: [{ class_id: 2, xyxy: [0, 0, 5, 5] }] },
      });
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
  await second.session.receive({
    kind: "saved",
    session: "s2",
    seq: edit.seq,
    key: edit.key,
    revision: "r1",
    labelled: 1,
  });
  assert.equal(storage.length, 0);
});

test("unsaved edits of another dataset are left alone", async () => {
  const storage = new MemoryStorage();
  storage.setItem(
    "workbench:unsaved:other/train/a.jpg",
    JSON.stringify({ revision: "", boxes: [], proposals: null, what: "" }),
  );
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
  await session.receive({
    kind: "saved",
    session: "s1",
    seq: edits()[0].seq,
    key: edits()[0].key,
    revision: "r1",
    labelled: 1,
  });
  assert.equal(session.saving().state, "saved");
});

test("a prefetched image is shown at once", async () => {
  const { session, sent } = start();
  await arrive(session, 0);
  await arrive(session, 1, { show: false });
  session.step(1);
  assert.equal(session.state.frame?.name, "img_1.jpg");
  assert.deepEqual(
    sent.filter((m) => m.kind === "go").map((m) => [m.index, m.have]),
    [[1, "t1"]],
  );
});

test("an answer to an older step does not turn the page back", async () => {
  const { session, sent } = start();
  await arrive(session, 0);
  session.step(1);
  session.step(1);
  const [first, second] = sent.filter((message) => message.kind === "go");
  await arrive(session, 1, { cause: { session: "s1", seq: first.seq } });
  assert.equal(session.state.frame?.name, "img_0.jpg");
  await arrive(session, 2, { cause: { session: "s1", seq: second.seq } });
  assert.equal(session.state.frame?.name, "img_2.jpg");
});

test("an edit answered while its image is still being decoded is not undone", async () => {
  const storage = new MemoryStorage();
  const first = start({ storage });
  await arrive(first.session, 0);
  draw(first.session);

  let decoded;
  const { session, edits } = start({
    storage,
    id: "s2",
    decode: () => new Promise((resolve) => (decoded = resolve)),
  });
  const arrival = arrive(session, 0);
  await session.receive({ kind: "scope", to: "s2", scope: "ds/train/" });
  await session.receive({
    kind: "saved",
    session: "s2",
    seq: edits()[0].seq,
    key: edits()[0].key,
    revision: "r1",
    labelled: 1,
  });
  decoded(bitmap);
  await arrival;
  assert.equal(session.boxes().length, 1);
  assert.equal(session.state.frame?.revision, "r1");
});

test("of images shown in a row the last stays, whichever is decoded first", async () => {
  const waiting = [];
  const { session } = start({
    decode: () => new Promise((resolve) => waiting.push(() => resolve(bitmap))),
  });
  const arrivals = [arrive(session, 0), arrive(session, 3)];
  waiting[1]();
  await arrivals[1];
  waiting[0]();
  await arrivals[0];
  assert.equal(session.state.frame?.name, "img_3.jpg");
});

test("another page's messages are not taken for one's own", async () => {
  const { session, edits } = start();
  await arrive(session, 0);
  draw(session);
  await session.receive({
    kind: "not_saved",
    to: "s2",
    session: "s2",
    seq: edits()[0].seq,
    key: edits()[0].key,
    why: "x",
    choices: [],
    revision: "",
    boxes: [],
  });
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
  assert.deepEqual(
    edits().map((edit) => edit.boxes),
    [[]],
  );
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

const row = (left) => ({ class_id: 0, xyxy: [left, 10, left + 10, 20] });
const lefts = (session) => session.boxes().map((box) => box.xyxy[0]);
const saved = (session, edit, revision) =>
  session.receive({
    kind: "saved",
    session: "s1",
    seq: edit.seq,
    key: edit.key,
    revision,
    labelled: 0,
  });
const answer = (session, fields) =>
  session.receive({
    kind: "trail",
    to: "s1",
    key: "ds/train/img_0.jpg",
    more: false,
    future: [],
    ...fields,
  });
const asked = (sent) =>
  sent.filter((message) => message.kind === "want_trail").map((message) => message.key);

test("undo goes on into what earlier sessions did, and redo comes back", async () => {
  const { session, sent, edits } = start();
  await arrive(session, 0, { fields: { boxes: [row(10), row(30)] } });
  assert.ok(session.canUndo());
  session.undo();
  assert.deepEqual(asked(sent), ["ds/train/img_0.jpg"]);
  assert.equal(edits().length, 0);
  await answer(session, { boxes: [row(10), row(30)], past: [null, [row(10)]] });
  assert.deepEqual([edits()[0].what, edits()[0].revision, lefts(session)], ["undo", "r0", [10]]);
  session.undo();
  assert.deepEqual([lefts(session), session.canUndo()], [[], false]);
  session.undo();
  assert.equal(asked(sent).length, 1, "there is nothing more to ask for");
  session.redo();
  session.redo();
  assert.deepEqual(lefts(session), [10, 30]);
});

test("what comes before the first label is an image without labels, not a background", async () => {
  const { session, edits } = start();
  await arrive(session, 0, { fields: { revision: "" } });
  draw(session);
  await saved(session, edits()[0], "r1");
  session.undo();
  assert.deepEqual([edits()[1].boxes, edits()[1].labelled], [[], false]);
  await saved(session, edits()[1], "");
  session.nothingHere();
  assert.deepEqual([edits()[2].boxes, edits()[2].labelled], [[], true]);
  session.undo();
  await saved(session, edits()[2], "r2");
  assert.deepEqual([edits()[3].boxes, edits()[3].labelled, edits()[3].what], [[], false, "undo"]);
});

test("rejecting predictions does not make an image a labelled one, accepting does", async () => {
  const { session, edits } = start();
  const waiting = { class_id: 0, xyxy: [1, 1, 5, 5], score: 0.5, source: "m" };
  await arrive(session, 0, { fields: { revision: "", proposals: [waiting, waiting] } });
  session.edit("reject", session.boxes().slice(1));
  assert.deepEqual([edits()[0].boxes, edits()[0].labelled], [[], false]);
  await saved(session, edits()[0], "");
  session.edit(
    "accept",
    session.boxes().map((box) => ({ ...box, proposal: null })),
  );
  assert.deepEqual([edits()[1].boxes.length, edits()[1].labelled], [1, true]);
});

test("where no earlier step is, undo says so once and is not offered any more", async () => {
  const { session, sent } = start();
  const changes = [];
  session.subscribe((what) => changes.push(what));
  await arrive(session, 0, { fields: { boxes: [row(10)] } });
  assert.equal(session.canUndo(), true);
  session.undo();
  assert.equal(asked(sent).length, 1);
  await answer(session, { boxes: [row(10)], past: [] });
  assert.equal(changes.filter((what) => what === "start").length, 1);
  assert.equal(session.canUndo(), false);
});

test("several wishes are granted when the answer comes, predictions stay", async () => {
  const { session, sent, edits } = start();
  const waiting = { class_id: 0, xyxy: [1, 1, 5, 5], score: 0.5, source: "m" };
  await arrive(session, 0, { fields: { boxes: [row(10)], proposals: [waiting] } });
  session.undo();
  session.undo();
  assert.equal(asked(sent).length, 1);
  await answer(session, { boxes: [row(10)], past: [[row(50)], [row(30)], [row(20)]] });
  assert.deepEqual(lefts(session), [30, 1]);
  assert.equal(edits()[0].proposals.length, 1);
});

test("what earlier sessions had undone can be redone", async () => {
  const { session } = start();
  await arrive(session, 0, { fields: { boxes: [row(10)] } });
  session.undo();
  await answer(session, { boxes: [row(10)], past: [[]], future: [[row(10), row(30)]] });
  session.redo();
  session.redo();
  assert.deepEqual(lefts(session), [10, 30]);
});

test("where a long trail ends the page asks again", async () => {
  const { session, sent, edits } = start();
  await arrive(session, 0, { fields: { boxes: [row(10)] } });
  session.undo();
  await answer(session, { boxes: [row(10)], past: [[row(20)]], more: true });
  session.undo();
  assert.equal(asked(sent).length, 1, "not before the file holds what the page shows");
  await saved(session, edits()[0], "r1");
  assert.equal(asked(sent).length, 2);
  await answer(session, { boxes: [row(20)], past: [[row(30)]] });
  assert.deepEqual(lefts(session), [30]);
});

test("an answer that does not fit what the page shows changes nothing", async () => {
  const { session, sent, edits } = start();
  await arrive(session, 0, { fields: { boxes: [row(10)] } });
  session.undo();
  await answer(session, { boxes: [row(70)], past: [[row(20)]] });
  assert.deepEqual([lefts(session), edits().length], [[10], 0]);
  assert.ok(
    sent.some((message) => message.kind === "want" && message.key === "ds/train/img_0.jpg"),
  );

  session.undo();
  draw(session, 40);
  await saved(session, edits()[0], "r1");
  await answer(session, { boxes: [row(10)], past: [[row(20)]] });
  assert.deepEqual(lefts(session), [10, 40]);
});

test("a wish that waited too long is not granted any more", async () => {
  const { session, clock } = start();
  await arrive(session, 0, { fields: { boxes: [row(10)] } });
  session.undo();
  clock.now = 60_000;
  await answer(session, { boxes: [row(10)], past: [[row(20)]] });
  assert.deepEqual(lefts(session), [10]);
  session.undo();
  assert.deepEqual(lefts(session), [20]);
});

test("an image on its own, which is in no dataset, has no earlier sessions", async () => {
  const { session, sent } = start();
  await arrive(session, 0, { fields: { keep: false } });
  session.undo();
  assert.deepEqual([asked(sent), session.canUndo()], [[], false]);
});

test("predictions that come for an image already seen are shown, and gone once reviewed elsewhere", async () => {
  const { session, sent } = start();
  const waiting = { class_id: 0, xyxy: [1, 1, 5, 5], score: 0.5, source: "m" };
  await arrive(session, 0, { fields: { boxes: [row(10)] } });
  await arrive(session, 0, { fields: { boxes: [row(10)], proposals: [waiting] } });
  assert.deepEqual(
    session.boxes().map((box) => box.proposal?.score),
    [undefined, 0.5],
  );
  session.undo();
  assert.equal(asked(sent).length, 1, "they are no step to undo");
  await arrive(session, 0, { fields: { boxes: [row(10)] } });
  assert.deepEqual(lefts(session), [10]);
});

test("boxes are drawn in by the kernel, unless they were changed meanwhile", async () => {
  const { session, sent, edits } = start();
  const rows = [
    { class_id: 0, xyxy: [10, 10, 60, 60] },
    { class_id: 1, xyxy: [100, 100, 200, 200] },
  ];
  await arrive(session, 0, { fields: { boxes: rows } });
  const [first, second] = session.boxes();
  session.tighten([first, second]);
  const asked = sent.at(-1);
  assert.equal(asked.kind, "tighten");
  assert.deepEqual(asked.boxes, [rows[0].xyxy, rows[1].xyxy]);
  // The second one is moved before the answer comes.
  session.edit(
    "move",
    session
      .boxes()
      .map((box) => (box.id === second.id ? { ...box, xyxy: [110, 100, 210, 200] } : box)),
  );
  const answer = () =>
    session.receive({
      kind: "tightened",
      key: asked.key,
      ids: asked.ids,
      boxes: [
        [12, 12, 58, 58],
        [105, 105, 190, 190],
      ],
    });
  await answer();
  assert.deepEqual(
    session.boxes().map((box) => box.xyxy),
    [
      [12, 12, 58, 58],
      [110, 100, 210, 200],
    ],
  );
  const count = edits().length;
  await answer(); // nobody asked again
  assert.equal(edits().length, count);
  session.undo();
  assert.deepEqual(session.boxes()[0].xyxy, [10, 10, 60, 60]);
});

test("a box around what was pointed at is an edit of the image it was asked for", async () => {
  const rows = [{ class_id: 0, xyxy: [10, 10, 60, 60] }];
  const { session, sent, edits } = start();
  await arrive(session, 0, { fields: { boxes: rows } });
  session.update((state) => (state.currentClass = 1));
  session.clickAt({ x: 120.5, y: 80 });
  const asked = sent.at(-1);
  assert.equal(asked.kind, "click");
  assert.deepEqual(asked.point, [120.5, 80]);
  /** @typedef {[number, number, number, number]} Corners */
  const answer = (/** @type {string} */ key, /** @type {Corners|null} */ xyxy) =>
    session.receive({ kind: "clicked", key, xyxy });
  await answer("another/image.jpg", [1, 1, 5, 5]);
  await answer(asked.key, null);
  assert.equal(edits().length, 0);
  await answer(asked.key, [100, 60, 140, 110]);
  assert.deepEqual(
    session.boxes().map((box) => [box.cls, box.xyxy]),
    [
      [0, [10, 10, 60, 60]],
      [1, [100, 60, 140, 110]],
    ],
  );
  assert.deepEqual([...session.state.selection], [session.boxes()[1].id]);
  session.undo();
  assert.equal(session.boxes().length, 1);
});

test("an edit that was refused for a reason that passes goes out again until it is saved", async () => {
  const { session, edits, clock } = start();
  await arrive(session, 0);
  draw(session);
  const refuse = () =>
    session.receive({
      kind: "not_saved",
      to: "s1",
      session: "s1",
      seq: edits().at(-1).seq,
      key: edits().at(-1).key,
      why: "no answer",
      choices: [{ choice: "retry", text: "Try again" }],
      passes: true,
      revision: "r0",
      boxes: [],
    });
  await refuse();
  session.tick();
  assert.equal(edits().length, 1, "not at once");
  clock.now += 6000;
  session.tick();
  assert.equal(edits().length, 2);
  assert.deepEqual(session.saving(), { state: "not saved", why: "img_0.jpg: no answer" });
  draw(session, 40);
  await refuse();
  // With all that was drawn meanwhile, based on what the file had before.
  clock.now += 6000;
  session.tick();
  assert.deepEqual([edits().length, edits()[2].revision, edits()[2].boxes.length], [3, "r0", 2]);
  await session.receive({
    kind: "saved",
    session: "s1",
    seq: edits()[2].seq,
    key: edits()[2].key,
    revision: "r1",
    labelled: 1,
  });
  assert.equal(session.saving().state, "saved");
  assert.equal(session.outbox.failure(edits()[2].key), null);
});

test("an image that could not be fetched is asked for again, and the page says why meanwhile", async () => {
  const { session, sent, clock } = start();
  await arrive(session, 0);
  session.go(3);
  const asked = () => sent.filter((message) => message.kind === "go").length;
  await session.receive({ kind: "not_shown", to: "s1", index: 3, why: "no answer" });
  assert.equal(session.state.notShown?.why, "no answer");
  const nothing = fake({ get: () => "" });
  const said = () => currentNotice(nothing, session, (act) => act())?.text;
  const still = "Image 4 does not come; this is still image 1. ";
  assert.equal(said(), `${still}no answer`);
  draw(session, 40);
  await session.receive({
    kind: "not_saved",
    session: "s1",
    seq: 1,
    key: "ds/train/img_0.jpg",
    passes: true,
    why: "not saved",
    choices: [],
    revision: "r0",
    boxes: [],
  });
  assert.match(said() ?? "", /^Image 4 does not come; this is still image 1\. .*not saved/);
  session.tick();
  assert.equal(asked(), 1, "not at once");
  clock.now += 6000;
  session.tick();
  clock.now += 6000;
  session.tick();
  assert.equal(asked(), 2, "the kernel has not answered yet");
  await session.receive({ kind: "not_shown", to: "s1", index: 3, why: "no answer" });
  clock.now += 6000;
  session.tick();
  assert.equal(asked(), 3);
  await arrive(session, 3, { cause: { session: "s1", seq: 1 } });
  assert.deepEqual([session.state.notShown, session.state.frame?.name], [null, "img_3.jpg"]);
});

test("when the kernel is gone it is said at once, and edits go on to be kept", async () => {
  const { session, storage } = start();
  await arrive(session, 0);
  session.kernelGone();
  const notice = () => currentNotice(fake({ get: () => "" }), session, (act) => act());
  assert.match(notice()?.text ?? "", /^The kernel was restarted or has ended/);
  assert.equal(session.saving().state, "saved", "nothing is missing on the disk");

  session.edit("draw", [makeBox(0, [10, 10, 60, 60])]);
  assert.equal(session.saving().state, "not saved");
  assert.match(notice()?.text ?? "", /run the cell again.* kept in this browser/);
  assert.equal(storage.length, 1);
});

/** A session whose classes are changed elsewhere. @param {string[]} before */
function startWithClasses(before) {
  let names = before;
  const started = start({ names: () => names });
  return {
    ...started,
    /** @param {string[]} after */
    become(after) {
      const last = names;
      names = after;
      started.session.classesChanged(last, after);
    },
  };
}
const BOX = /** @type {import("../../workbench/panels/types.d.ts").Xyxy} */ ([10, 10, 60, 60]);

test("what is not saved keeps its class when the classes are reordered elsewhere", async () => {
  const { session, edits, storage, become } = startWithClasses(["red", "white", "platelet"]);
  await arrive(session, 0);
  session.state.currentClass = 1;
  session.edit("draw", [makeBox(0, BOX)]);
  const [sent] = edits();
  const refused = { session: "s1", why: "changed", choices: [], boxes: [], revision: "r9" };
  await session.receive({ kind: "not_saved", key: sent.key, seq: sent.seq, to: "s1", ...refused });

  become(["platelet", "red", "white"]);
  assert.equal(session.state.currentClass, 2, "white is drawn with still");
  assert.deepEqual(
    session.boxes().map((box) => box.cls),
    [1],
  );
  assert.match(storage.getItem("workbench:unsaved:ds/train/img_0.jpg"), /"class_id":1/);
  session.resolve("mine");
  assert.deepEqual(edits().at(-1).boxes, [{ class_id: 1, xyxy: BOX }]);
  assert.deepEqual(edits().at(-1).names, { 1: "red" });
});

test("a class that is gone becomes no other one, and one that is renamed stays", async () => {
  const { session, edits, become } = startWithClasses(["red", "white"]);
  await arrive(session, 0);
  session.edit("draw", [makeBox(0, BOX), makeBox(1, [100, 100, 150, 150])]);
  become(["red", "leucocyte"]);
  const classes = () => session.boxes().map((box) => box.cls);
  assert.deepEqual(classes(), [0, 1]);
  become(["leucocyte"]);
  assert.deepEqual(classes(), [1, 0]);
  session.edit("move", [...session.boxes()]);
  const [{ key, seq }] = edits();
  await session.receive({
    kind: "saved",
    session: "s1",
    seq,
    key,
    revision: "r1",
    labelled: 1,
  });
  assert.deepEqual(edits().at(-1).names, { 0: "leucocyte" }, "the kernel refuses class 1");
});

test("saved images are read again when the classes change, and no old step leads back", async () => {
  const { session, sent, become } = startWithClasses(["red", "white"]);
  await arrive(session, 0, { fields: { boxes: [{ class_id: 0, xyxy: BOX }], revision: "r1" } });
  become(["white", "red"]);
  assert.deepEqual(sent.at(-1), { kind: "want", key: "ds/train/img_0.jpg", session: "s1" });
  await arrive(session, 0, { fields: { boxes: [{ class_id: 1, xyxy: BOX }], revision: "r2" } });
  assert.deepEqual(
    session.boxes().map((box) => box.cls),
    [1],
  );
  become(["white", "red", "third"]);
  assert.equal(sent.filter((message) => message.kind === "want" && message.key).length, 1);
});

test("an edit of an image that is gone can be given up from any other", async () => {
  const { session, edits, storage } = start();
  await arrive(session, 0);
  session.edit("draw", [makeBox(0, BOX)]);
  const [{ key, seq }] = edits();
  await session.receive({
    kind: "not_saved",
    session: "s1",
    key,
    seq,
    why: "it is in val",
    choices: [{ choice: "theirs", text: "Discard my edit" }],
    boxes: [],
    revision: "",
  });
  await arrive(session, 1);
  const shown = currentNotice(fake({ get: () => "" }), session, (act) => act());
  assert.equal(shown?.text, "img_0.jpg: it is in val");
  assert.deepEqual(
    shown?.choices.map(({ text }) => text),
    ["Discard my edit"],
  );
  shown?.choices[0].run();
  assert.equal(session.saving().state, "saved");
  assert.equal(storage.length, 0);
});
