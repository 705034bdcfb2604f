import assert from "node:assert/strict";
import { test } from "node:test";

import {
  clicked,
  contains,
  countOf,
  everything,
  inverted,
  NOTHING,
  toggled,
  withoutRange,
  withRange,
} from "../../workbench/panels/browse/static/selection.mjs";

test("ranges are joined where they touch and cut where they are taken away", () => {
  let ranges = withRange(NOTHING, 10, 12);
  ranges = withRange(ranges, 20, 25);
  assert.deepEqual(withRange(ranges, 12, 20), [[10, 25]]);
  assert.deepEqual(withRange(ranges, 0, 3), [
    [0, 3],
    [10, 12],
    [20, 25],
  ]);
  assert.deepEqual(withoutRange(ranges, 11, 22), [
    [10, 11],
    [22, 25],
  ]);
  assert.deepEqual(withoutRange([[0, 10]], 3, 5), [
    [0, 3],
    [5, 10],
  ]);
  assert.deepEqual(withRange(ranges, 5, 5), ranges);
});

test("all of a million is one range, and so is its inverse but one", () => {
  const all = everything(1_000_000);
  assert.deepEqual(all, [[0, 1_000_000]]);
  const butOne = toggled(all, 500_000);
  assert.equal(countOf(butOne), 999_999);
  assert.equal(contains(butOne, 500_000), false);
  assert.equal(contains(butOne, 499_999), true);
  assert.deepEqual(inverted(butOne, 1_000_000), [[500_000, 500_001]]);
  assert.deepEqual(everything(0), []);
});

test("clicks select as in a file manager", () => {
  let selection = clicked({ ranges: [[3, 9]], anchor: 3 }, 5, { toggle: false, extend: false });
  assert.deepEqual(selection, { ranges: [[5, 6]], anchor: 5 });
  selection = clicked(selection, 8, { toggle: false, extend: true });
  assert.deepEqual(selection, { ranges: [[5, 9]], anchor: 5 });
  selection = clicked(selection, 2, { toggle: false, extend: true });
  assert.deepEqual(selection, { ranges: [[2, 6]], anchor: 5 });
  selection = clicked(selection, 3, { toggle: true, extend: false });
  assert.deepEqual(selection, {
    ranges: [
      [2, 3],
      [4, 6],
    ],
    anchor: 3,
  });
  selection = clicked(selection, 10, { toggle: true, extend: true });
  assert.deepEqual(selection, { ranges: [[2, 11]], anchor: 3 });
});

test("whatever is done, the ranges stay what a set would be", () => {
  let seed = 7;
  const random = (below) => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    return seed % below;
  };
  let ranges = NOTHING;
  const model = new Set();
  for (let step = 0; step < 3000; step++) {
    const from = random(60);
    const to = from + random(8);
    const kind = random(4);
    if (kind === 0) {
      ranges = withRange(ranges, from, to);
      for (let i = from; i < to; i++) model.add(i);
    } else if (kind === 1) {
      ranges = withoutRange(ranges, from, to);
      for (let i = from; i < to; i++) model.delete(i);
    } else if (kind === 2) {
      ranges = toggled(ranges, from);
      model.has(from) ? model.delete(from) : model.add(from);
    } else if (random(10) === 0) {
      ranges = inverted(ranges, 70);
      for (let i = 0; i < 70; i++) model.has(i) ? model.delete(i) : model.add(i);
    }
    assert.equal(countOf(ranges), model.size);
    for (let i = 0; i < 70; i++)
      assert.equal(contains(ranges, i), model.has(i), `step ${step}, ${i}`);
    for (let i = 1; i < ranges.length; i++) assert.ok(ranges[i - 1][1] < ranges[i][0]);
  }
});
