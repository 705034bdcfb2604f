import assert from "node:assert/strict";
import { test } from "node:test";

import {
  GAP,
  layoutOf,
  moved,
  placeOf,
  positionsIn,
  scrollToShow,
} from "../../workbench/panels/browse/static/layout.mjs";
import { createScroll, MAX_HEIGHT } from "../../workbench/panels/browse/static/scroll.mjs";

test("cells fill the width and never overlap", () => {
  for (const width of [320, 584, 1000, 1384]) {
    for (const wish of [80, 168, 420]) {
      const layout = layoutOf({ width, wish, total: 1000 });
      assert.ok(layout.columns >= 1);
      const used = layout.columns * (layout.cellWidth + GAP) + GAP;
      assert.ok(used <= width && used > width - layout.columns - 1, `${width} ${wish}: ${used}`);
      if (layout.columns > 1) assert.ok(layout.cellWidth >= wish);
      assert.equal(placeOf(layout, layout.columns).left, GAP);
      assert.equal(
        placeOf(layout, layout.columns).top - placeOf(layout, 0).top,
        layout.cellHeight + GAP,
      );
    }
  }
});

test("positions in sight are those whose rows meet the view", () => {
  const layout = layoutOf({ width: 1000, wish: 168, total: 1003 });
  for (const top of [0, 1, layout.rowHeight - 1, layout.rowHeight * 7 + 3, layout.height - 600]) {
    const [from, to] = positionsIn(layout, { top, height: 600, total: 1003 });
    for (let i = 0; i < 1003; i++) {
      const at = placeOf(layout, i).top;
      if (at < top + 600 && at + layout.cellHeight > top)
        assert.ok(i >= from && i < to, `${i} at ${top}`);
    }
    assert.ok(to - from <= (Math.ceil(600 / layout.rowHeight) + 1) * layout.columns);
  }
  assert.deepEqual(positionsIn(layout, { top: 0, height: 600, total: 0 }), [0, 0]);
});

test("scrolling to a cell moves no more than needed", () => {
  const layout = layoutOf({ width: 1000, wish: 168, total: 1000 });
  assert.equal(scrollToShow(layout, { top: 0, height: 600 }, 0), 0);
  const top = scrollToShow(layout, { top: 0, height: 600 }, 500);
  const cell = placeOf(layout, 500).top;
  assert.ok(cell >= top && cell + layout.cellHeight <= top + 600);
  assert.equal(scrollToShow(layout, { top, height: 600 }, 500), top);
});

test("keys move within the grid", () => {
  const grid = { columns: 5, rowsInView: 3, total: 23 };
  const to = (from, key) => moved(from, key, grid);
  assert.equal(to(7, "ArrowLeft"), 6);
  assert.equal(to(0, "ArrowLeft"), 0);
  assert.equal(to(22, "ArrowRight"), 22);
  assert.equal(to(7, "ArrowUp"), 2);
  assert.equal(to(2, "ArrowUp"), 2);
  assert.equal(to(7, "ArrowDown"), 12);
  assert.equal(to(19, "ArrowDown"), 19); // nothing below it
  assert.equal(to(3, "PageDown"), 18);
  assert.equal(to(18, "PageDown"), 18);
  assert.equal(to(18, "PageUp"), 3);
  assert.equal(to(9, "Home"), 0);
  assert.equal(to(9, "End"), 22);
  assert.equal(to(9, "x"), null);
  assert.equal(moved(0, "End", { ...grid, total: 0 }), null);
});

test("a short gallery scrolls as the element does", () => {
  const scroll = createScroll();
  scroll.resize(50_000, 600);
  assert.equal(scroll.height, 50_000);
  assert.equal(scroll.scrolled(1234), 1234);
  assert.equal(scroll.offset, 0);
  assert.equal(scroll.settle(), 1234);
});

test("a gallery higher than browsers allow: all of it is reached, small steps are exact", () => {
  const content = 63_000_000;
  const view = 600;
  const scroll = createScroll();
  scroll.resize(content, view);
  assert.equal(scroll.height, MAX_HEIGHT);
  const end = MAX_HEIGHT - view;
  assert.equal(scroll.scrolled(end), content - view); // dragged to the end
  assert.equal(scroll.scrolled(end - 100), content - view - 100); // one wheel step back
  const middle = scroll.scrolled(end / 2);
  assert.ok(Math.abs(middle - (content - view) / 2) < 10);
  assert.equal(scroll.scrolled(end / 2 + 120), middle + 120);
  const before = scroll.top;
  const at = scroll.settle();
  assert.equal(scroll.top, before); // what is seen does not move
  assert.equal(scroll.top - at, scroll.offset);
  assert.equal(scroll.scrolled(at), before);
});

test("wheeling on and on gets from one end to the other without a jump", () => {
  const scroll = createScroll({ maxHeight: 20_000, edge: 2000 });
  scroll.resize(90_000, 500);
  let at = 0;
  let seen = 0;
  for (let step = 0; step < 3000 && seen < 89_500; step++) {
    at = Math.min(at + 90, 19_500);
    const top = scroll.scrolled(at);
    assert.ok(top - seen <= 91 && top > seen, `step ${step}: ${seen} -> ${top}`);
    seen = top;
    if (step % 7 === 0) at = scroll.settle();
  }
  assert.equal(seen, 89_500);
});

test("seeking shows exactly that place", () => {
  const scroll = createScroll();
  scroll.resize(63_000_000, 600);
  for (const top of [0, 5, 200_001, 31_234_567, 62_999_000]) {
    const at = scroll.seek(top);
    assert.ok(at >= 0 && at <= MAX_HEIGHT - 600);
    assert.equal(scroll.top, top);
    assert.equal(scroll.scrolled(at), top);
  }
});
