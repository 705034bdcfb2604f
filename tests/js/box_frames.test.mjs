import assert from "node:assert/strict";
import { test } from "node:test";

import { createFrames, stageSize } from "../../workbench/panels/annotate/static/frames.mjs";

const STAGE = { width: 800, height: 450 };
const BYTES = new DataView(new ArrayBuffer(4));

/** Decodes to whatever size it is told, and counts what has been closed. */
function start(own = { width: 3840, height: 2160 }) {
  const asked = [];
  const closed = [];
  const decode = async (_blob, size) => {
    asked.push(size);
    const bitmap = { ...(size ?? own), close: () => closed.push(bitmap) };
    return bitmap;
  };
  return { frames: createFrames(decode), asked, closed };
}

/** @import { Frame } from "../../workbench/panels/types.d.ts" */

/** @param {number} index @param {Partial<Frame>} fields @returns {Frame} */
const frame = (index, fields = {}) => ({
  key: `k${index}`,
  token: `t${index}`,
  walk: 1,
  index,
  name: `${index}.jpg`,
  width: 3840,
  height: 2160,
  revision: "",
  editable: true,
  problem: "",
  boxes: [],
  proposals: [],
  rejected: 0,
  keep: false,
  ...fields,
});

test("the size of the stage is taken where an image is much larger, and its shape kept", () => {
  assert.deepEqual(stageSize({ width: 3840, height: 2160 }, STAGE), { width: 800, height: 450 });
  assert.deepEqual(stageSize({ width: 1000, height: 4000 }, STAGE), { width: 113, height: 450 });
  assert.equal(stageSize({ width: 640, height: 480 }, STAGE), null);
  assert.equal(stageSize({ width: 900, height: 500 }, STAGE), null);
  assert.equal(stageSize({ width: 0, height: 0 }, STAGE), null);
});

test("a large image is decoded at the size of the stage, and in full when it is sharpened", async () => {
  const { frames, asked } = start();
  const entry = await frames.put(frame(0), BYTES, STAGE, () => null);
  assert.deepEqual([entry.bitmap?.width, entry.full], [800, null]);
  const full = await frames.sharpen("k0");
  assert.deepEqual([full?.width, frames.get("k0")?.full === full], [3840, true]);
  assert.equal(await frames.sharpen("k0"), null);
  assert.deepEqual(asked, [{ width: 800, height: 450 }, null]);
});

test("only one image is held in full", async () => {
  const { frames, closed } = start();
  await frames.put(frame(0), BYTES, STAGE, () => null);
  await frames.put(frame(1), BYTES, STAGE, () => null);
  const first = await frames.sharpen("k0");
  await frames.sharpen("k1");
  assert.deepEqual([closed, frames.get("k0")?.full], [[first], null]);
  assert.equal(frames.get("k0")?.bitmap?.width, 800);
});

test("an image no larger than the stage is decoded once and never closed by another", async () => {
  const { frames, asked, closed } = start({ width: 640, height: 480 });
  const entry = await frames.put(frame(0, { width: 640, height: 480 }), BYTES, STAGE, () => null);
  assert.equal(entry.full, entry.bitmap);
  await frames.put(frame(1), BYTES, STAGE, () => null);
  await frames.sharpen("k1");
  assert.deepEqual([closed, frames.get("k0")?.full === entry.bitmap, asked.length], [[], true, 3]);
});

test("pixels that arrive after their image was dropped are let go", async () => {
  const waiting = [];
  const closed = [];
  const frames = createFrames(
    (_blob, size) =>
      new Promise((resolve) =>
        waiting.push(() => {
          const bitmap = {
            ...(size ?? { width: 3840, height: 2160 }),
            close: () => closed.push(bitmap),
          };
          resolve(bitmap);
        }),
      ),
  );
  const put = frames.put(frame(0), BYTES, STAGE, () => null);
  waiting[0]();
  await put;
  const late = frames.sharpen("k0");
  frames.clear();
  waiting[1]();
  assert.equal(await late, null);
  assert.deepEqual(
    closed.map(({ width }) => width),
    [800, 3840],
  );
});

test("an image that cannot be held in full stays at the size of the stage", async () => {
  const frames = createFrames(async (_blob, size) => {
    if (!size) throw new Error("too large");
    return { ...size, close() {} };
  });
  const { bitmap } = await frames.put(frame(0), BYTES, STAGE, () => null);
  const warn = console.warn;
  console.warn = () => {};
  assert.equal(await frames.sharpen("k0"), bitmap);
  console.warn = warn;
  assert.equal(await frames.sharpen("k0"), null);
});
