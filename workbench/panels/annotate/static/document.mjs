/**
 * The boxes of one image as an immutable list, and every change of it. No DOM.
 *
 * @typedef {{readonly id: number, readonly cls: number, readonly xyxy: Xyxy, readonly proposal: Proposal|null}} Box
 *   `cls` is an index into the classes; a box with a proposal waits for review and is not a label yet.
 */
/** @import { Proposal, ProposalRow, Row, Size, Xyxy } from "../../types.d.ts" */

let lastId = 0;

/** @param {number} cls @param {Xyxy} xyxy @param {Proposal|null} proposal @returns {Box} */
export function makeBox(cls, xyxy, proposal = null) {
  lastId += 1;
  return Object.freeze({ id: lastId, cls, xyxy, proposal });
}

/** @param {Row[]} rows @param {ProposalRow[]} proposals @returns {Box[]} */
export function fromRows(rows, proposals = []) {
  return [
    ...rows.map((row) => makeBox(row.class_id, row.xyxy)),
    ...proposals.map((row) =>
      makeBox(row.class_id, row.xyxy, {
        score: row.score,
        source: row.source,
        ...(row.source_id ? { source_id: row.source_id } : {}),
      }),
    ),
  ];
}

/** What the label file shall hold: accepted boxes only. @param {Box[]} boxes @returns {Row[]} */
export function toRows(boxes) {
  return boxes
    .filter((box) => box.proposal === null)
    .map((box) => ({ class_id: box.cls, xyxy: box.xyxy }));
}

/** @param {Box[]} boxes @returns {ProposalRow[]} */
export function toProposalRows(boxes) {
  return boxes.flatMap(({ cls, xyxy, proposal }) =>
    proposal ? [{ class_id: cls, xyxy, ...proposal }] : [],
  );
}

/** Pixels by which a box may differ after its way through a label file's decimals. */
const FILE_ROUNDING = 1e-3;

/** Whether two rows are the same box, but for the rounding of a label file. @param {Row} a @param {Row} b */
export function sameRow(a, b) {
  return (
    a.class_id === b.class_id &&
    a.xyxy.every((value, k) => Math.abs(value - b.xyxy[k]) <= FILE_ROUNDING)
  );
}

/**
 * A test whether a prediction is among others, fast where they are thousands.
 * @param {ProposalRow[]} rows @returns {(row: ProposalRow) => boolean}
 */
export function among(rows) {
  /** @type {Map<number, ProposalRow[]>} */
  const byLeft = new Map();
  for (const row of rows) {
    const at = Math.round(row.xyxy[0]);
    const near = byLeft.get(at) ?? [];
    near.push(row);
    byLeft.set(at, near);
  }
  return (row) => {
    const at = Math.round(row.xyxy[0]);
    return [at - 1, at, at + 1].some((left) =>
      byLeft.get(left)?.some((other) => row.source_id === other.source_id && sameRow(row, other)),
    );
  };
}

/** Whether two lists hold the same boxes in the same order. @param {Row[]} a @param {Row[]} b */
export function sameRows(a, b) {
  return a.length === b.length && a.every((row, i) => sameRow(row, b[i]));
}

/** @param {Box[]} boxes @param {Box} box */
export function withBox(boxes, box) {
  return [...boxes, box];
}

/** @param {Box[]} boxes @param {Set<number>} ids */
export function withoutBoxes(boxes, ids) {
  return boxes.filter((box) => !ids.has(box.id));
}

/** The same boxes, those with the given ids last: painted above the others. @param {Box[]} boxes @param {Set<number>} ids */
export function withLast(boxes, ids) {
  return [...withoutBoxes(boxes, ids), ...boxes.filter((box) => ids.has(box.id))];
}

/**
 * Change the boxes with the given ids. A proposal that a person reshapes or reclassifies
 * has been reviewed: it becomes a box.
 * @param {Box[]} boxes @param {Set<number>} ids @param {(box: Box) => Partial<Box>} change
 * @returns {Box[]}
 */
export function withChanged(boxes, ids, change) {
  return boxes.map((box) =>
    ids.has(box.id) ? Object.freeze({ ...box, proposal: null, ...change(box) }) : box,
  );
}

/** Turn proposals into boxes. @param {Box[]} boxes @param {Set<number>} ids */
export function withAccepted(boxes, ids) {
  return withChanged(boxes, ids, () => ({}));
}

/** IoU from which on a label does what a prediction proposes; as the kernel has it. */
const COVERED = 0.5;

/** @param {Xyxy} a @param {Xyxy} b */
function overlap(a, b) {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (width <= 0 || height <= 0) return 0;
  /** @param {Xyxy} box */
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);
  return (width * height) / (area(a) + area(b) - width * height);
}

/**
 * Leave out the kept predictions that labels cover, one of each source for each label, the best
 * overlaps first: where two models propose the same box, accepting one answers the other.
 * @param {Box[]} boxes @returns {Box[]}
 */
export function withoutCovered(boxes) {
  const labels = boxes.filter((box) => !box.proposal);
  const near = [];
  for (const box of boxes) {
    if (!box.proposal?.source_id) continue;
    for (const label of labels) {
      const iou = overlap(box.xyxy, label.xyxy);
      if (iou >= COVERED) near.push({ box, label, iou });
    }
  }
  near.sort((a, b) => b.iou - a.iou);
  /** @type {Set<number>} */
  const covered = new Set();
  /** @type {Set<string>} */
  const used = new Set();
  for (const { box, label } of near) {
    const mark = `${box.proposal?.source_id} ${label.id}`;
    if (covered.has(box.id) || used.has(mark)) continue;
    covered.add(box.id);
    used.add(mark);
  }
  return withoutBoxes(boxes, covered);
}

/**
 * Copies of boxes, set off by `offset` pixels unless that leaves the image.
 * @param {Box[]} boxes @param {number} offset @param {Size} image @returns {Box[]}
 */
export function copies(boxes, offset, image) {
  return boxes.map((box) => {
    const [left, top, right, bottom] = box.xyxy;
    const width = Math.min(right - left, image.width);
    const height = Math.min(bottom - top, image.height);
    const x = Math.max(Math.min(left + offset, image.width - width), 0);
    const y = Math.max(Math.min(top + offset, image.height - height), 0);
    return makeBox(box.cls, [x, y, x + width, y + height]);
  });
}

/**
 * The next box in reading order (top left first), for walking with Tab.
 * @param {Box[]} boxes @param {number|null} id of the present one @param {1|-1} step
 * @returns {number|null} id, or null when the walk leaves the boxes
 */
export function nextBox(boxes, id, step) {
  const order = [...boxes].sort((a, b) => a.xyxy[1] - b.xyxy[1] || a.xyxy[0] - b.xyxy[0]);
  const at = id === null ? (step > 0 ? -1 : order.length) : order.findIndex((b) => b.id === id);
  return order[at + step]?.id ?? null;
}
