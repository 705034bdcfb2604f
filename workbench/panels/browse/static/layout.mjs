/**
 * Where the cells of a gallery are. All numbers are CSS pixels. Every cell has the same
 * size, known before anything is loaded: nothing moves when a picture arrives.
 */

export const GAP = 8;
export const CAPTION = 44;
const ASPECT = 0.75;

/**
 * @param {{width: number, wish: number, total: number}} room
 *   inner width, the least width of a cell, number of items
 */
export function layoutOf({ width, wish, total }) {
  const columns = Math.max(1, Math.floor((width - GAP) / (wish + GAP)));
  const cellWidth = Math.max(40, Math.floor((width - GAP * (columns + 1)) / columns));
  const pictureHeight = Math.round(cellWidth * ASPECT);
  const rowHeight = pictureHeight + CAPTION + GAP;
  const rows = Math.ceil(total / columns);
  return {
    columns,
    cellWidth,
    pictureHeight,
    cellHeight: pictureHeight + CAPTION,
    rowHeight,
    rows,
    height: rows * rowHeight + GAP,
  };
}

/** Left and top of a cell in the whole gallery. @param {ReturnType<typeof layoutOf>} layout @param {number} position */
export function placeOf(layout, position) {
  const row = Math.floor(position / layout.columns);
  const column = position - row * layout.columns;
  return { left: GAP + column * (layout.cellWidth + GAP), top: GAP + row * layout.rowHeight };
}

/**
 * Positions of the rows that are in sight, and `overscan` rows beyond them on either side.
 * @param {ReturnType<typeof layoutOf>} layout
 * @param {{top: number, height: number, total: number, overscan?: number}} view
 * @returns {[number, number]} half-open
 */
export function positionsIn(layout, { top, height, total, overscan = 0 }) {
  const first = Math.max(0, Math.floor((top - GAP) / layout.rowHeight) - overscan);
  const last = Math.max(first, Math.ceil((top + height - GAP) / layout.rowHeight) + overscan);
  return [Math.min(first * layout.columns, total), Math.min(last * layout.columns, total)];
}

/**
 * Where to scroll so that a cell is in sight; `top` itself if it is.
 * @param {ReturnType<typeof layoutOf>} layout @param {{top: number, height: number}} view @param {number} position
 */
export function scrollToShow(layout, { top, height }, position) {
  const cell = placeOf(layout, position).top;
  if (cell - GAP < top) return cell - GAP;
  const below = cell + layout.cellHeight + GAP - height;
  return Math.max(top, below);
}

/**
 * Where a key moves the active cell, or null if it does not.
 * @param {number} position @param {string} key
 * @param {{columns: number, rowsInView: number, total: number}} grid
 */
export function moved(position, key, { columns, rowsInView, total }) {
  if (total === 0) return null;
  const page = columns * Math.max(1, rowsInView);
  const column = position % columns;
  const lastInColumn = Math.floor((total - 1 - column) / columns) * columns + column;
  switch (key) {
    case "ArrowLeft":
      return Math.max(0, position - 1);
    case "ArrowRight":
      return Math.min(total - 1, position + 1);
    case "ArrowUp":
      return position < columns ? position : position - columns;
    case "ArrowDown":
      return position + columns < total
        ? position + columns
        : Math.max(position, Math.min(total - 1, lastInColumn));
    case "PageUp":
      return Math.max(column, position - page);
    case "PageDown":
      return Math.min(lastInColumn, position + page);
    case "Home":
      return 0;
    case "End":
      return total - 1;
    default:
      return null;
  }
}
