// Numbers and times in words that people read.

// "+91 98765 43210": the country code apart, the rest in groups.
export function readable(mobileNo) {
  const code = countryCode(mobileNo);
  const rest = mobileNo.slice(code.length);
  return [`+${code}`, ...grouped(rest, code)].join(" ");
}

const sameDay = (one, other) => one.toDateString() === other.toDateString();
const daysBetween = (one, other) =>
  Math.round((new Date(other).setHours(12, 0, 0, 0) - new Date(one).setHours(12, 0, 0, 0)) / 86_400_000);
const time = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "short" });
const longDay = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const dated = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });

// "19:42".
export const clock = (ms) => time.format(ms);

// For a list: "19:42", "Yesterday", "Mon", "3 May", "3 May 2024".
export function shortTime(ms, now = Date.now()) {
  const days = daysBetween(ms, now);
  if (days <= 0) return clock(ms);
  if (days === 1) return "Yesterday";
  if (days < 7) return weekday.format(ms);
  return (new Date(ms).getFullYear() === new Date(now).getFullYear() ? day : dated).format(ms);
}

// For a line between days: "Today", "Yesterday", "Monday, 3 May", "3 May 2024".
export function dayLine(ms, now = Date.now()) {
  const days = daysBetween(ms, now);
  if (days <= 0) return "Today";
  if (days === 1) return "Yesterday";
  return (new Date(ms).getFullYear() === new Date(now).getFullYear() ? longDay : dated).format(ms);
}

// "last seen 19:42", "last seen yesterday, 19:42", "last seen 3 May, 19:42".
export function lastSeenWords(ms, now = Date.now()) {
  if (sameDay(new Date(ms), new Date(now))) return `last seen ${clock(ms)}`;
  const when = daysBetween(ms, now) === 1 ? "yesterday" : shortTime(ms, now);
  return `last seen ${when}, ${clock(ms)}`;
}

// In a sentence: "today, 19:42", "yesterday, 19:42", "3 May, 19:42", "3 May 2024, 19:42".
export function sinceWords(ms, now = Date.now()) {
  const days = daysBetween(ms, now);
  const year = new Date(ms).getFullYear() === new Date(now).getFullYear() ? day : dated;
  const when = days <= 0 ? "today" : days === 1 ? "yesterday" : year.format(ms);
  return `${when}, ${clock(ms)}`;
}

// ITU-T E.164: 1 and 7 are country codes by themselves; these begin one of two digits; the others have three.
const TWO = new Set(
  "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 90 91 92 93 94 95 98".split(" "),
);

function countryCode(digits) {
  if (digits.startsWith("1") || digits.startsWith("7")) return digits[0];
  return digits.slice(0, TWO.has(digits.slice(0, 2)) ? 2 : 3);
}

// How people write ten digits there; elsewhere in 3, 3 and 4, and other lengths in threes.
const TEN = { 44: /^(.{4})(.{6})$/, 91: /^(.{5})(.{5})$/ };

function grouped(rest, code) {
  if (rest.length === 10) return rest.match(TEN[code] ?? /^(.{3})(.{3})(.{4})$/).slice(1);
  return rest.match(/.{1,3}(?=(.{3})*$)/g) ?? [];
}
