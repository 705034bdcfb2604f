/**
 * A selection of positions as sorted, disjoint, half-open ranges, so that "all of a
 * million" is one pair of numbers. Every function returns a new selection.
 *
 * @typedef {import("../../types.d.ts").Ranges} Ranges
 */

/** @type {Ranges} */
export const NOTHING = [];

/** Index of the first range that ends after a position. @param {Ranges} ranges @param {number} position */
function firstAfter(ranges, position) {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ranges[middle][1] > position) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** @param {Ranges} ranges @param {number} position */
export function contains(ranges, position) {
  const range = ranges[firstAfter(ranges, position)];
  return range !== undefined && range[0] <= position;
}

/** How many positions are selected. @param {Ranges} ranges */
export function countOf(ranges) {
  return ranges.reduce((sum, [from, to]) => sum + to - from, 0);
}

/** @param {Ranges} ranges @param {number} from @param {number} to exclusive @returns {Ranges} */
export function withRange(ranges, from, to) {
  if (from >= to) return ranges;
  const before = ranges.filter((range) => range[1] < from);
  const after = ranges.filter((range) => range[0] > to);
  const touched = ranges.slice(before.length, ranges.length - after.length);
  const start = Math.min(from, touched[0]?.[0] ?? from);
  const end = Math.max(to, touched.at(-1)?.[1] ?? to);
  return [...before, [start, end], ...after];
}

/** @param {Ranges} ranges @param {number} from @param {number} to exclusive @returns {Ranges} */
export function withoutRange(ranges, from, to) {
  /** @type {[number, number][]} */
  const parts = [];
  for (const [start, end] of ranges) {
    if (start < Math.min(end, from)) parts.push([start, Math.min(end, from)]);
    if (Math.max(start, to) < end) parts.push([Math.max(start, to), end]);
  }
  return parts;
}

/** @param {Ranges} ranges @param {number} position */
export function toggled(ranges, position) {
  const change = contains(ranges, position) ? withoutRange : withRange;
  return change(ranges, position, position + 1);
}

/** @param {number} total @returns {Ranges} */
export function everything(total) {
  return total > 0 ? [[0, total]] : NOTHING;
}

/** What is not selected. @param {Ranges} ranges @param {number} total @returns {Ranges} */
export function inverted(ranges, total) {
  /** @type {[number, number][]} */
  const parts = [];
  let from = 0;
  for (const [start, end] of ranges) {
    if (from < start) parts.push([from, start]);
    from = end;
  }
  if (from < total) parts.push([from, total]);
  return parts;
}

/**
 * What a click makes of a selection, as file managers do it: alone it selects one, with
 * Ctrl or Command it toggles one, with Shift it selects from the anchor to here.
 * @param {{ranges: Ranges, anchor: number}} selection
 * @param {number} position
 * @param {{toggle: boolean, extend: boolean}} held
 * @returns {{ranges: Ranges, anchor: number}}
 */
export function clicked(selection, position, { toggle, extend }) {
  if (extend) {
    const from = Math.min(selection.anchor, position);
    const to = Math.max(selection.anchor, position) + 1;
    return {
      ranges: withRange(toggle ? selection.ranges : NOTHING, from, to),
      anchor: selection.anchor,
    };
  }
  const alone = withRange(NOTHING, position, position + 1);
  return { ranges: toggle ? toggled(selection.ranges, position) : alone, anchor: position };
}
