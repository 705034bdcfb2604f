import assert from "node:assert/strict";
import { test } from "node:test";

import { createFetcher, rangesOf } from "../../workbench/panels/browse/static/fetch.mjs";
import { createUploader } from "../../workbench/panels/shared/static/upload.mjs";
import { fake } from "./fakes.mjs";

const JPEG = new Uint8Array(1000);

function setup(options = {}) {
  const sent = [];
  const fetcher = createFetcher({
    send: (message) => sent.push(message),
    changed: () => {},
    ...options,
  });
  fetcher.reset(1, 256);
  const answer = (request, positions = expand(request.ranges), done = true) =>
    fetcher.receive(
      {
        kind: "items",
        id: request.id,
        listing: request.listing,
        level: request.level,
        done,
        items: positions.map((position, buffer) => ({
          position,
          key: `k${position}`,
          name: "x",
          picture: true,
          buffer,
        })),
      },
      positions.map(() => new DataView(JPEG.buffer)),
    );
  return { sent, fetcher, answer, wants: () => sent.filter((m) => m.kind === "want") };
}

const expand = (ranges) =>
  ranges.flatMap(([from, to]) => Array.from({ length: to - from }, (_, i) => from + i));

test("positions become ranges", () => {
  assert.deepEqual(rangesOf([5, 3, 4, 9]), [
    [3, 6],
    [9, 10],
  ]);
});

test("what is in sight is asked for first, in few requests at a time", () => {
  const { fetcher, wants, answer } = setup({ chunk: 10, parallel: 2 });
  fetcher.want([20, 45], [0, 60]);
  assert.deepEqual(
    wants().map((m) => m.ranges),
    [[[20, 30]], [[30, 40]]],
  );
  answer(wants()[0]);
  assert.deepEqual(wants()[2].ranges, [[40, 50]]); // the rest in sight, then ahead
  answer(wants()[1]);
  answer(wants()[2]);
  answer(wants()[3]);
  assert.deepEqual(wants()[4].ranges, [[10, 20]]); // then behind
  assert.equal(fetcher.get(33)?.item.key, "k33");
});

test("while the gallery moves, what is ahead comes in full requests, what is in sight at once", () => {
  const { fetcher, wants, answer } = setup({ chunk: 10, parallel: 2 });
  fetcher.want([0, 10], [0, 15], true, true);
  answer(wants()[0]);
  assert.deepEqual(
    wants().map((m) => m.ranges),
    [[[0, 10]]],
  ); // five ahead are too few
  fetcher.want([0, 10], [0, 20], true, true);
  assert.deepEqual(
    wants()
      .map((m) => m.ranges)
      .slice(1),
    [[[10, 20]]],
  );
  fetcher.want([15, 24], [0, 24], true, true);
  assert.deepEqual(
    wants()
      .map((m) => m.ranges)
      .slice(2),
    [[[20, 24]]],
  );
  fetcher.want([15, 24], [0, 27], true, true);
  answer(wants()[1]);
  answer(wants()[2]);
  assert.equal(wants().length, 3);
  fetcher.want([15, 24], [0, 27], true, false); // it rests
  assert.deepEqual(wants()[3].ranges, [[24, 27]]);
});

test("after a long scroll the newest range comes next and what was skipped never does", () => {
  const { fetcher, sent, wants, answer } = setup({ chunk: 10, parallel: 2 });
  fetcher.want([0, 30], [0, 30]);
  fetcher.want([500, 530], [490, 540]);
  fetcher.want([9000, 9030], [8990, 9040]);
  assert.deepEqual(
    sent.filter((m) => m.kind === "cancel").map((m) => m.id),
    [1, 2, 3, 4],
  );
  answer(wants()[0]); // came too late to be called off: kept, for scrolling back
  assert.equal(fetcher.get(3)?.item.key, "k3");
  assert.deepEqual(wants().at(-1).ranges, [[9010, 9020]]);
});

test("nothing is asked for twice, unless a sharper picture is needed", () => {
  const { fetcher, wants, answer } = setup({ chunk: 50 });
  fetcher.want([0, 10], [0, 10]);
  answer(wants()[0]);
  fetcher.want([0, 10], [0, 10]);
  assert.equal(wants().length, 1);
  fetcher.sharpen(512);
  assert.equal(wants().length, 2);
  assert.equal(fetcher.get(3)?.level, 256); // shown until the sharper one is here
  answer(wants()[1]);
  assert.equal(fetcher.get(3)?.level, 512);
  fetcher.sharpen(256);
  assert.equal(wants().length, 2);
});

test("what the kernel could not give is not asked for again and again", () => {
  const { fetcher, wants, answer } = setup({ chunk: 10 });
  fetcher.want([0, 3], [0, 3]);
  answer(wants()[0], [0, 2]);
  assert.equal(wants().length, 1);
  assert.equal(fetcher.get(1)?.item.state, "unreadable");
});

test("memory is bounded, and what is in sight stays", () => {
  const { fetcher, wants, answer } = setup({ chunk: 50, parallel: 1, maxBytes: 100_000 });
  for (let top = 0; top < 5000; top += 50) {
    fetcher.want([top, top + 50], [top, top + 50]);
    answer(wants().at(-1));
    assert.ok(fetcher.stats().bytes <= 100_000);
    assert.ok(fetcher.get(top) && fetcher.get(top + 49));
  }
  assert.equal(fetcher.get(0), undefined);
});

test("answers about another list are dropped", () => {
  const { fetcher, wants, answer } = setup();
  fetcher.want([0, 10], [0, 10]);
  const [old] = wants();
  fetcher.reset(2);
  answer(old);
  assert.equal(fetcher.get(0), undefined);
  fetcher.want([0, 10], [0, 10]);
  assert.equal(wants().at(-1).listing, 2);
});

test("files go out in pieces, each when the one before has arrived", async () => {
  const sent = [];
  const failed = [];
  const uploader = createUploader({
    send: (message, [buffer]) => sent.push({ ...message, bytes: buffer.byteLength }),
    failed: (text) => failed.push(text),
    piece: 4,
  });
  const file = (name, text) => new File([text], name);
  const broken = fake({
    name: "folder",
    size: 9,
    slice: () => ({ arrayBuffer: () => Promise.reject(new Error("no")) }),
  });
  uploader.add(
    [file("a.jpg", "0123456789"), broken, file("empty.jpg", ""), file("b.jpg", "xy")],
    "val",
    "cup",
  );
  for (let step = 0; step < 6; step++) {
    await new Promise((resolve) => setTimeout(resolve));
    assert.equal(sent.length, step + 1);
    uploader.acknowledged({ batch: 1 });
  }
  assert.deepEqual(new Set(sent.map((m) => `${m.split} ${m.class_name}`)), new Set(["val cup"]));
  assert.deepEqual(
    sent.map((m) => [m.name, m.offset, m.bytes, m.size]),
    [
      ["a.jpg", 0, 4, 10],
      ["a.jpg", 4, 4, 10],
      ["a.jpg", 8, 2, 10],
      ["folder", 0, 0, 0],
      ["empty.jpg", 0, 0, 0],
      ["b.jpg", 0, 2, 2],
    ],
  );
  assert.equal(failed.length, 1);
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(sent.length, 6);
});
