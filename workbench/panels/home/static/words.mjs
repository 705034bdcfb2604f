/** What cards say, in words; pure. */

const UNITS = ["B", "KB", "MB", "GB", "TB"];
/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const SPANS = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];

/** @param {number} bytes */
export function sizeText(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit && value < 10 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

/** How long ago something was. @param {string} iso @param {number} [now] milliseconds */
export function agoText(iso, now = Date.now()) {
  const seconds = (now - Date.parse(iso)) / 1000;
  if (Number.isNaN(seconds)) return "at an unknown time";
  const found = SPANS.find(([, length]) => seconds >= length);
  if (!found) return "just now";
  const [span, length] = found;
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  return words.format(-Math.floor(seconds / length), span);
}

/** @param {{images: number, labelled: number, boxes: number, splits: [string, number][]}} card */
export function progressText({ images, labelled, boxes, splits }) {
  if (!images) return "No images yet";
  const parts = splits.filter(([, count]) => count).map(([split, count]) => `${split} ${count}`);
  const all = (/** @type {number} */ count) => count.toLocaleString("en");
  return `${all(labelled)} of ${all(images)} labelled · ${all(boxes)} boxes · ${parts.join(", ")}`;
}
