/**
 * Colours of classes: distinct, also for the colour-blind as far as a palette can be.
 *
 * The first eight follow the idea of Okabe and Ito (Color Universal Design, 2008):
 * hues that stay apart for the common kinds of colour blindness, made a little lighter
 * because they are drawn over pictures. Later classes step round the hue circle by the
 * golden angle and alternate in lightness. Every label also carries the class name:
 * colour is never the only sign.
 */

const BASE = [
  "#f0a30a",
  "#56b4e9",
  "#00b88a",
  "#f5e642",
  "#3b8beb",
  "#e8622c",
  "#dd8ac0",
  "#c9c9c9",
];
const GOLDEN_ANGLE = 137.508;
const LIGHTNESS = [0.62, 0.45, 0.75];

/** @type {Map<number | string, {fill: string, ink: string}>} */
const known = new Map();

/**
 * Colour of a class, and the ink that is readable on it.
 * @param {number} cls
 * @param {string[]} [chosen] the colours that classes of the dataset have of their own, as
 *   `#ff8800`; empty for the others
 */
export function classColour(cls, chosen) {
  const key = chosen?.[cls] || cls;
  let colour = known.get(key);
  if (!colour) {
    const rgb = typeof key === "string" ? fromHex(key) : standard(key);
    colour = { fill: toHex(rgb), ink: luminance(rgb) > 0.22 ? "#101010" : "#ffffff" };
    known.set(key, colour);
  }
  return colour;
}

/** @param {number} cls */
function standard(cls) {
  return cls < BASE.length ? fromHex(BASE[Math.max(cls, 0)]) : generated(cls - BASE.length);
}

/** @param {number} index */
function generated(index) {
  const hue = (20 + index * GOLDEN_ANGLE) % 360;
  return fromHsl(hue, 0.72, LIGHTNESS[index % LIGHTNESS.length]);
}

/** @param {string} hex */
function fromHex(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

/** @param {number[]} rgb */
function toHex(rgb) {
  return `#${rgb.map((value) => Math.round(value).toString(16).padStart(2, "0")).join("")}`;
}

/** @param {number} hue @param {number} saturation @param {number} lightness */
function fromHsl(hue, saturation, lightness) {
  const reach = saturation * Math.min(lightness, 1 - lightness);
  /** @param {number} n */
  const channel = (n) => {
    const k = (n + hue / 30) % 12;
    return 255 * (lightness - reach * Math.max(-1, Math.min(k - 3, 9 - k, 1)));
  };
  return [channel(0), channel(8), channel(4)];
}

/** Relative luminance, 0..1 (WCAG 2.2). @param {number[]} rgb 0..255 */
function luminance(rgb) {
  const [r, g, b] = rgb.map((value) => {
    const c = value / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
