import assert from "node:assert/strict";
import { test } from "node:test";

import {
  createBeat,
  createFrameOutbox,
  createMeter,
  createWindow,
} from "../../workbench/panels/live/static/flow.mjs";

test("no more than the window is on its way", () => {
  const ways = createWindow(() => 2);
  ways.send(0, 10);
  assert.equal(ways.isOpen(), true);
  ways.send(1, 20);
  assert.equal(ways.isOpen(), false);
  assert.equal(ways.acknowledge(0, 50), 40);
  assert.equal(ways.isOpen(), true);
});

test("an acknowledgement that nobody waits for opens nothing", () => {
  const ways = createWindow(() => 1);
  ways.send(5, 0);
  assert.equal(ways.acknowledge(4, 9), null);
  assert.equal(ways.isOpen(), false);
});

test("silence is counted from the oldest frame", () => {
  const ways = createWindow(() => 3);
  assert.equal(ways.silence(1000), 0);
  ways.send(0, 100);
  ways.send(1, 900);
  assert.equal(ways.silence(1000), 900);
  ways.clear();
  assert.equal(ways.silence(1000), 0);
});

test("the beat lets through the rate that is wanted, in the long run", () => {
  const beat = createBeat();
  let through = 0;
  for (let frame = 0; frame < 300; frame++) through += Number(beat.isDue((frame * 1000) / 30, 10));
  assert.ok(Math.abs(through - 100) <= 1, String(through));
});

test("rate 0 lets everything through, and a new beat begins after it", () => {
  const beat = createBeat();
  for (let frame = 0; frame < 30; frame++) assert.equal(beat.isDue(frame * 33, 0), true);
  assert.equal(beat.isDue(1000, 2), true);
  assert.equal(beat.isDue(1033, 2), false);
});

test("after a gap no frames are made up for", () => {
  const beat = createBeat();
  beat.isDue(0, 10);
  assert.equal(beat.isDue(60_000, 10), true);
  assert.equal(beat.isDue(60_033, 10), false);
});

test("the meter tells the rate of late", () => {
  const meter = createMeter();
  for (let i = 0; i <= 20; i++) meter.note(i * 100);
  assert.ok(Math.abs(meter.rate(2000) - 10) < 0.01);
  assert.equal(meter.rate(9000), 0);
});

function post(options = {}) {
  const sent = [];
  /** @type {(() => void) | null} */
  let pending = null;
  const later = (work) => {
    pending = work;
    return 1;
  };
  const outbox = createFrameOutbox((items) => sent.push(items), {
    ...options,
    later,
    never: () => (pending = null),
  });
  return { sent, outbox, pass: () => pending?.() };
}

test("the first frame goes at once, those soon after it go together", () => {
  const { sent, outbox } = post({ most: 3 });
  for (let i = 0; i < 8; i++) outbox.put(i);
  assert.deepEqual(sent, [[0], [1, 2, 3], [4, 5, 6]]);
});

test("what waits does not wait for more than a moment", () => {
  const { sent, outbox, pass } = post();
  outbox.put("a");
  outbox.put("b");
  pass();
  assert.deepEqual(sent, [["a"], ["b"]]);
  pass();
  outbox.put("c");
  assert.deepEqual(sent, [["a"], ["b"], ["c"]]);
});

test("the picture of the shutter does not wait, and nothing overtakes", () => {
  const { sent, outbox } = post();
  outbox.put("a");
  outbox.put("b");
  outbox.put("shot", true);
  assert.deepEqual(sent, [["a"], ["b", "shot"]]);
});

test("nothing is sent of a camera that was closed", () => {
  const { sent, outbox, pass } = post();
  outbox.put("a");
  outbox.put("b");
  outbox.clear();
  pass();
  assert.deepEqual(sent, [["a"]]);
});

test("one at a time where that is wanted", () => {
  const { sent, outbox } = post({ most: 1 });
  for (let i = 0; i < 3; i++) outbox.put(i);
  assert.deepEqual(sent, [[0], [1], [2]]);
});
