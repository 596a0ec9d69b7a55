// A line chart over time, in an SVG, with axes. The pointer reads its values.

const SVG = "http://www.w3.org/2000/svg";
const STYLES = 6; // colours in page.css
const MARGIN = { top: 24, right: 14, bottom: 40 };
const LETTER = 6.6; // width of a letter in a label, in px
const DOTS = 60; // up to this many points, each has a dot
const TIME_STEPS_S = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400,
];
const seconds = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const minutes = new Intl.DateTimeFormat("en-GB", { timeStyle: "short" });
const days = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** Class of a line's colour, and its dashes: lines beyond the number of colours are dashed. */
export function lineStyle(at) {
  const round = Math.floor(at / STYLES);
  return { class: `s${at % STYLES}`, "stroke-dasharray": round ? "5 4" : "none" };
}

export function draw(name, attributes = {}, text = null) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== null) made.textContent = text;
  return made;
}

/** A short text for a number. */
export function short(value) {
  const size = Math.abs(value);
  if (size >= 1e15 || (size > 0 && size < 1e-4)) return value.toExponential(2);
  if (size >= 1e5) return new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 }).format(value);
  return new Intl.NumberFormat("en", { maximumSignificantDigits: Math.max(5, String(Math.floor(size)).length) }).format(value);
}

/**
 * A chart in an SVG that is as wide as the page allows.
 *   svg        the element
 *   onReading  called with the time at the pointer, or null
 */
export class Chart {
  #svg;
  #onReading;
  #data = { series: [], unit: "", empty: "", zero: false };
  #scale = null;
  #cursor = draw("line", { class: "cursor", visibility: "hidden" });

  constructor(svg, onReading) {
    this.#svg = svg;
    this.#onReading = onReading;
    svg.addEventListener("pointermove", (event) => this.#read(event));
    svg.addEventListener("pointerleave", () => {
      this.#cursor.setAttribute("visibility", "hidden");
      onReading(null);
    });
    new ResizeObserver(() => this.#redraw()).observe(svg);
  }

  /**
   * Draw data: { series: [{ style, points: [[at, value], …] }], unit, empty, zero }
   *   unit   of the values, for the axis
   *   empty  the text if there is nothing to draw
   *   zero   does the axis begin at 0?
   */
  draw(data) {
    this.#data = data;
    this.#redraw();
  }

  #redraw() {
    const { clientWidth: width, clientHeight: height } = this.#svg;
    if (!width) return;
    const { series, unit, empty, zero } = this.#data;
    const points = series.flatMap((one) => one.points);
    if (!points.length) {
      this.#scale = null;
      this.#svg.replaceChildren(draw("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, empty));
      return;
    }
    const values = valueTicks(points.map((point) => point[1]), zero, height);
    const labels = values.ticks.map(short);
    const left = Math.max(...labels.map((label) => label.length)) * LETTER + 12;
    const scale = scales(points, values, width, height, left);
    const parts = [...valueAxis(scale, values.ticks, labels, width, left), ...timeAxis(scale, width, height, left)];
    parts.push(draw("text", { x: 0, y: 11 }, unit));
    for (const one of series) parts.push(...line(one, scale, zero, height));
    this.#cursor.setAttribute("y1", MARGIN.top);
    this.#cursor.setAttribute("y2", height - MARGIN.bottom);
    this.#scale = scale;
    this.#svg.replaceChildren(...parts, this.#cursor);
  }

  /** Move the cursor to the time that is nearest to the pointer. */
  #read(event) {
    const scale = this.#scale;
    if (!scale) return;
    const x = event.clientX - this.#svg.getBoundingClientRect().left;
    const times = this.#data.series.flatMap((one) => one.points.map((point) => point[0]));
    const at = times.reduce((best, time) => (Math.abs(scale.x(time) - x) < Math.abs(scale.x(best) - x) ? time : best));
    this.#cursor.setAttribute("x1", scale.x(at));
    this.#cursor.setAttribute("x2", scale.x(at));
    this.#cursor.setAttribute("visibility", "visible");
    this.#onReading(at);
  }
}

function valueAxis(scale, ticks, labels, width, left) {
  return ticks.flatMap((tick, at) => {
    const y = scale.y(tick);
    return [
      draw("line", { class: "grid", x1: left, x2: width - MARGIN.right, y1: y, y2: y }),
      draw("text", { x: left - 7, y: y + 4, "text-anchor": "end" }, labels[at]),
    ];
  });
}

/** Round numbers for the axis of the values, and the ends of the axis. */
function valueTicks(values, zero, height) {
  let low = Math.min(...values);
  let high = Math.max(...values);
  if (zero) {
    low = 0;
    high = Math.max(high, 1);
  }
  if (low === high) {
    const room = Math.abs(low) * 0.05 || 1;
    low -= room;
    high += room;
  }
  const wanted = Math.max(2, Math.floor((height - MARGIN.top - MARGIN.bottom) / 38));
  const rough = high / wanted - low / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((digit) => digit * power).find((one) => one >= rough * 0.999) ?? rough;
  const from = Math.floor(low / step);
  const to = Math.ceil(high / step);
  const ticks = [];
  for (let at = from; at <= to && ticks.length < 20; at++) {
    const tick = Number((at * step).toPrecision(12));
    if (Number.isFinite(tick)) ticks.push(tick);
  }
  return { ticks, low: Math.min(low, ...ticks), high: Math.max(high, ...ticks) };
}

function scales(points, { low, high }, width, height, left) {
  const times = points.map((point) => point[0]);
  let from = Math.min(...times);
  let to = Math.max(...times);
  if (to - from < 4) {
    const middle = (from + to) / 2;
    from = middle - 2;
    to = middle + 2;
  }
  const right = width - MARGIN.right;
  const bottom = height - MARGIN.bottom;
  return {
    from,
    to,
    x: (at) => left + ((at - from) / (to - from)) * (right - left),
    // Halves, so that the difference of very large numbers is not infinite.
    y: (value) => bottom - ((value / 2 - low / 2) / (high / 2 - low / 2)) * (bottom - MARGIN.top),
  };
}

function timeAxis(scale, width, height, left) {
  const bottom = height - MARGIN.bottom;
  const right = width - MARGIN.right;
  const most = Math.max(2, Math.floor((right - left) / 78));
  const span = scale.to - scale.from;
  const step = TIME_STEPS_S.find((one) => span / one <= most) ?? Math.ceil(span / most / 86400) * 86400;
  const format = step < 60 ? seconds : step < 86400 ? minutes : days;
  const unit = step < 60 ? "time of day (h:min:s)" : step < 86400 ? "time of day (h:min)" : "day";
  const shift = new Date(scale.from * 1000).getTimezoneOffset() * 60;
  const parts = [draw("line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom })];
  for (let at = Math.ceil((scale.from - shift) / step) * step + shift; at <= scale.to; at += step) {
    const x = scale.x(at);
    parts.push(draw("line", { class: "axis", x1: x, x2: x, y1: bottom, y2: bottom + 4 }));
    const anchor = x > width - 30 ? "end" : "middle";
    parts.push(draw("text", { x, y: bottom + 17, "text-anchor": anchor }, format.format(at * 1000)));
  }
  parts.push(draw("text", { x: right, y: height - 4, "text-anchor": "end" }, unit));
  return parts;
}

function line({ style, points }, scale, zero, height) {
  const places = points.map(([at, value]) => `${scale.x(at).toFixed(1)},${scale.y(value).toFixed(1)}`);
  const parts = [];
  if (zero) {
    const bottom = height - MARGIN.bottom;
    const ends = [points[0], points.at(-1)].map(([at]) => scale.x(at).toFixed(1));
    parts.push(draw("polygon", {
      class: `area s${style % STYLES}`,
      points: [`${ends[0]},${bottom}`, ...places, `${ends[1]},${bottom}`].join(" "),
    }));
  }
  const { class: colour, ...dashes } = lineStyle(style);
  parts.push(draw("polyline", { class: `series ${colour}`, ...dashes, points: places.join(" ") }));
  const dots = zero ? [] : points.length <= DOTS ? points : points.slice(-1);
  for (const [at, value] of dots) {
    parts.push(draw("circle", { class: colour, cx: scale.x(at), cy: scale.y(value), r: 2.6, stroke: "none" }));
  }
  return parts;
}
