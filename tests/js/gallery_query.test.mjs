import assert from "node:assert/strict";
import { test } from "node:test";

import {
  describeItem,
  howManyFit,
  isSame,
  outlines,
  roomFor,
} from "../../workbench/panels/browse/static/cells.mjs";
import { isLookedFor } from "../../workbench/panels/browse/static/popup.mjs";
import {
  completed,
  createQueryTrack,
  grown,
  SORTS,
  sortOf,
  withSort,
} from "../../workbench/panels/browse/static/query.mjs";
import { wordsOf } from "../../workbench/panels/browse/static/status.mjs";
import { createTypeAhead } from "../../workbench/panels/shared/static/type_ahead.mjs";
import { fake } from "./fakes.mjs";

test("the order is part of the query's text", () => {
  assert.equal(sortOf("class:person sort:-date boxes>3"), "sort:-date");
  assert.equal(sortOf("resort:x"), "");
  assert.equal(withSort("class:person", "sort:name"), "class:person sort:name");
  assert.equal(withSort("sort:-date class:person", "sort:boxes"), "class:person sort:boxes");
  assert.equal(withSort("class:person sort:-date", ""), "class:person");
  for (const [sort] of SORTS) assert.equal(sortOf(withSort("x", sort)), sort);
});

test("a completion takes the place of the word it completes", () => {
  assert.deepEqual(completed("cla", { insert: "class:", start: 0, end: 3 }), {
    text: "class:",
    cursor: 6,
  });
  assert.deepEqual(completed("class:pe boxes>3", { insert: "class:person", start: 0, end: 8 }), {
    text: "class:person boxes>3",
    cursor: 12,
  });
  assert.deepEqual(completed("x unl", { insert: "unlabelled", start: 2, end: 5 }), {
    text: "x unlabelled ",
    cursor: 13,
  });
});

test("a screen reader hears what a cell shows", () => {
  const item = {
    name: "a.jpg",
    split: "val",
    state: "labelled",
    counts: [
      [0, 2],
      [7, 1],
    ],
    tags: ["odd"],
    predicted: true,
  };
  assert.equal(
    describeItem(fake(item), ["cell"]),
    "a.jpg, val, labelled, has predictions, 2 cell, 1 class 7, tagged odd",
  );
});

test("outlines are in the picture's pixels, one for each class", () => {
  const found = outlines(
    [
      [0, 0.5, 0.5, 0.2, 0.4],
      [1, 0.1, 0.1, 0.2, 0.2],
      [0, 0.25, 0.75, 0.5, 0.5],
    ],
    200,
    100,
  );
  assert.deepEqual(
    [...found],
    [
      [0, "M80 30h40v40h-40zM0 50h100v50h-100z"],
      [1, "M0 0h40v20h-40z"],
    ],
  );
});

test("as many chips as fit, and at least one", () => {
  const texts = ["car 3", "bus", "bicycle 12", "traffic light"];
  const all = texts.reduce((sum, text) => sum + roomFor(text) + 28, 0);
  assert.equal(howManyFit(texts, all), 4);
  assert.equal(howManyFit(texts, all - 1), 3);
  assert.equal(howManyFit(texts, 10), 1);
  assert.equal(howManyFit([], 10), 0);
  assert.ok(roomFor("信号灯") > roomFor("abc"));
});

test("quoted spaces of a query stay when its order changes, and spaces around the colon do not matter", () => {
  assert.equal(withSort('"my  cat" sort:boxes', "sort:-date"), '"my  cat" sort:-date');
  assert.equal(sortOf("cat sort: -size"), "sort:-size");
  assert.equal(withSort("a sort = size b", ""), "a b");
});

test("late answers take no place of what is being typed, queries from elsewhere do", () => {
  const track = createQueryTrack();
  assert.equal(track.ask(""), false, "this is shown already");
  assert.equal(track.ask("a"), true);
  assert.equal(track.ask("ab"), true);
  assert.equal(track.ask("ab"), false);
  assert.equal(track.isForeign("a", "ab"), false, "the answer to what was asked for first");
  assert.equal(track.isForeign("ab", "ab"), false);
  assert.equal(track.isForeign("class:x", "ab"), true, "somebody else asked for it");
  assert.equal(track.isForeign("class:x", "class:x"), false, "the same, brought up to date");
  assert.equal(track.isForeign("class:y", "class:x boxes"), false, "not over what is being typed");
  assert.equal(track.ask("class:x boxes>1"), true);
  assert.equal(track.ask("boxes>"), true, "one that is refused is never shown");
  assert.equal(track.ask("class:x boxes>1"), true);
  assert.equal(track.isForeign("class:x boxes>1", "class:x boxes>1"), false);
  assert.equal(track.isForeign("class:x boxes>1", "class:x boxes>1"), false);
  assert.equal(track.ask("class:x boxes>1"), false);
});

test("a completion that comes while somebody types on replaces all of the word", () => {
  const completion = { insert: "class:", start: 2, end: 4 };
  assert.deepEqual(completed("x cla", grown(completion, "x cl", "x cla")), {
    text: "x class:",
    cursor: 8,
  });
  assert.deepEqual(completed("x ", grown(completion, "x cl", "x ")), {
    text: "x class:",
    cursor: 8,
  });
});

test("items of a menu are found by what is typed, spaces included", () => {
  let now = 0;
  const find = createTypeAhead(() => now);
  const texts = ["class 1", "class 12", "time: noon", "train", "val"];
  assert.equal(find.isTyping(), false);
  assert.equal(find.find("t", texts, 0), 2);
  assert.equal(find.find("t", texts, 2), 3, "the next one with this letter");
  assert.equal(find.find("t", texts, 3), 2, "and round again");
  now += 2000;
  let at = 4;
  for (const letter of "class 12") {
    at = find.find(letter, texts, at);
    assert.equal(find.isTyping(), true);
  }
  assert.equal(at, 1);
  assert.equal(find.find("x", texts, at), -1);
  now += 2000;
  assert.equal(find.isTyping(), false, "a space presses the item again");
  assert.ok(isLookedFor("class 012 of things", "THI 12"));
  assert.ok(!isLookedFor("class 012 of things", "13"));
  assert.ok(isLookedFor("anything", ""));
});

test("the same picture is known again in another list, whatever its place", () => {
  const entry = (key, name, jpeg) => fake({ item: { key, name }, jpeg });
  assert.ok(isSame(entry("a.jpg#3", "a.jpg", "data:1"), entry("a.jpg#2", "a.jpg", "data:1")));
  assert.ok(
    !isSame(entry("a.jpg#3", "a.jpg", "data:1"), entry("a.jpg#3", "a.jpg", "data:2")),
    "another box has this number now",
  );
  assert.ok(isSame(entry("t/a.jpg", "a.jpg", ""), entry("t/a.jpg", "a.jpg", "")));
});

test("the status line says what matters most at the moment", () => {
  const quiet = {
    status: { text: "Done.", tone: "info" },
    progress: {},
    sending: null,
    problem: "",
    note: "",
    isGone: false,
  };
  assert.deepEqual(wordsOf(quiet), { text: "Done.", tone: "info", details: [] });
  assert.equal(
    wordsOf({ ...quiet, status: {} }).tone,
    "hint",
    "nothing to say: which keys there are",
  );
  assert.deepEqual(wordsOf({ ...quiet, problem: "class:x: …", note: "No image." }), {
    text: "class:x: …",
    tone: "problem",
    details: [],
  });
  assert.equal(wordsOf(quiet).share, undefined, "nothing is under way");
  const counted = wordsOf({ ...quiet, progress: { what: "Adding", done: 1000, total: 4000 } });
  assert.deepEqual([counted.text, counted.share], ["Adding … 1,000 of 4,000", 0.25]);
  const endless = wordsOf({ ...quiet, progress: { what: "Adding", done: 128, total: 0 } });
  assert.deepEqual([endless.text, endless.share], ["Adding … 128 so far", null]);
  const sending = { file: 2, files: 40, name: "b.jpg", share: 0.1, split: "val" };
  assert.equal(
    wordsOf({ ...quiet, sending, progress: { what: "Adding" } }).text,
    "Sending file 2 of 40 to val: b.jpg …",
  );
  const one = { file: 1, files: 1, name: "cells.zip", share: 0.1, split: "" };
  assert.equal(wordsOf({ ...quiet, sending: one }).text, "Sending cells.zip …");
  assert.equal(wordsOf({ ...quiet, note: "No image." }).tone, "problem");
  assert.match(wordsOf({ ...quiet, sending, isGone: true }).text, /run the cell again/);
  assert.deepEqual(
    wordsOf({ ...quiet, status: { text: "x", tone: "problem", details: ["a", "b"] } }).details,
    ["a", "b"],
  );
});
