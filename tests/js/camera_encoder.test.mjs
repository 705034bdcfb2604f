import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { createEncoder } from "../../workbench/panels/live/static/encoder.mjs";
import { fake } from "./fakes.mjs";

/** What a page has, and Node.js has not. */
const page = fake(globalThis);
let made = [];

class FakeWorker {
  /** @type {((event: object) => void) | null} */
  onmessage = null;
  constructor() {
    this.asked = [];
    made.push(this);
  }
  postMessage(message) {
    this.asked.push(message);
  }
  answer(buffer) {
    this.onmessage?.({ data: { id: this.asked.shift().id, buffer } });
  }
  terminate() {
    this.isOver = true;
  }
}

const picture = () => ({ width: 4, height: 3, close() {} });

beforeEach(() => {
  made = [];
  page.Worker = FakeWorker;
  page.OffscreenCanvas = class {};
  page.document = {
    createElement: () => ({
      getContext: () => ({ drawImage() {} }),
      toBlob: (done) => done(new Blob(["on the page"])),
    }),
  };
});

afterEach(() => {
  delete page.Worker;
  delete page.OffscreenCanvas;
  delete page.document;
});

test("the workers take turns, and each answer finds its picture", async () => {
  const encoder = createEncoder(2);
  const files = [0, 1, 2].map(() => encoder.encode(picture(), 0.9));
  assert.deepEqual(
    made.map((worker) => worker.asked.length),
    [2, 1],
  );
  made[1].answer("second");
  made[0].answer("first");
  made[0].answer("third");
  assert.deepEqual(await Promise.all(files), ["first", "second", "third"]);
});

test("closing lets nobody wait, and workers are made anew", async () => {
  const encoder = createEncoder(1);
  const file = encoder.encode(picture(), 0.9);
  encoder.close();
  await assert.rejects(file);
  assert.equal(made[0].isOver, true);
  encoder.encode(picture(), 0.9).catch(() => {});
  assert.equal(made.length, 2);
  encoder.close();
});

test("where a page may have no workers it encodes by itself", async () => {
  page.Worker = class {
    constructor() {
      throw new Error("refused by the policy of the page");
    }
  };
  const encoder = createEncoder(1);
  const file = await encoder.encode(picture(), 0.9);
  assert.equal(new TextDecoder().decode(file), "on the page");
});

test("workers that cannot start are given up", async () => {
  const encoder = createEncoder(2);
  const lost = encoder.encode(picture(), 0.9);
  made[0].onerror();
  await assert.rejects(lost);
  const file = await encoder.encode(picture(), 0.9);
  assert.equal(new TextDecoder().decode(file), "on the page");
});
