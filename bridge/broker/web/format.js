/* Numbers as people read them: always with a unit, never more digits than they mean anything.
   Pure: a number in, a text out; nothing known is an en dash. */

const NOTHING = "–";
const whole = new Intl.NumberFormat("en");
const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;

export const isKnown = (value) => typeof value === "number" && Number.isFinite(value);

export function count(value) {
  return isKnown(value) ? whole.format(value) : NOTHING;
}

/** "1 ticket", "2,000 tickets". */
export function counted(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** A length of time: 0.8 ms, 12 ms, 1.2 s, 3 min 20 s, 2 h 5 min, 3 d 4 h. */
export function duration(ms) {
  if (!isKnown(ms)) return NOTHING;
  if (ms < 9.95) return `${round(ms, 1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 9.95 * SECOND) return `${round(ms / SECOND, 1)} s`;
  if (ms < 59.5 * SECOND) return `${Math.round(ms / SECOND)} s`;
  if (ms < HOUR) return parts(Math.max(ms, MINUTE), MINUTE, "min", SECOND, "s");
  return ms < DAY ? parts(ms, HOUR, "h", MINUTE, "min") : parts(ms, DAY, "d", HOUR, "h");
}

function parts(ms, large, largeUnit, small, smallUnit) {
  const units = Math.floor(ms / large), rest = Math.floor((ms % large) / small);
  return rest ? `${units} ${largeUnit} ${rest} ${smallUnit}` : `${units} ${largeUnit}`;
}

const round = (value, digits) => String(Number(value.toFixed(digits)));

/** The same in few characters, for lists: 12 s, 3 min, 2 h. */
export function brief(ms) {
  if (!isKnown(ms)) return NOTHING;
  if (ms < MINUTE) return duration(ms);
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  return ms < DAY ? `${Math.floor(ms / HOUR)} h` : `${Math.floor(ms / DAY)} d`;
}

/** Whole seconds are enough for what grows while one looks at it. */
export function age(ms) {
  return ms < SECOND ? "< 1 s" : brief(Math.floor(ms / SECOND) * SECOND);
}

export function ago(ms) {
  return ms < SECOND ? "now" : `${age(ms)} ago`;
}

/** Events a second: 0, 0.3, 12, 1,234. */
export function rate(perSecond) {
  if (!isKnown(perSecond)) return NOTHING;
  return perSecond < 9.95 ? round(perSecond, 1) : count(Math.round(perSecond));
}

export function bytes(size) {
  if (!isKnown(size)) return NOTHING;
  if (size < 1024) return `${size} B`;
  const power = Math.min(3, Math.floor(Math.log2(size) / 10));
  return `${round(size / 1024 ** power, 1)} ${["KiB", "MiB", "GiB"][power - 1]}`;
}

const two = (value) => String(value).padStart(2, "0");

/** A moment on this person's clock: 14:03:09.120. */
export function clockTime(ms, withMillis = true) {
  const at = new Date(ms);
  const seconds = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return withMillis ? `${seconds}.${String(at.getMilliseconds()).padStart(3, "0")}` : seconds;
}

/** The same with its day, and as the broker writes it. */
export function exactTime(ms) {
  const at = new Date(ms);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clockTime(ms)} here, ${at.toISOString()}`;
}
