// What this browser is called in a person's list of devices: "Firefox on Windows".

// Each names itself besides those that it descends from, so the order matters.
const BROWSERS = [
  [/\bEdg(?:e|A|iOS)?\//, "Edge"],
  [/\b(?:OPR|OPT)\//, "Opera"],
  [/\bSamsungBrowser\//, "Samsung Internet"],
  [/\b(?:Firefox|FxiOS)\//, "Firefox"],
  [/\b(?:Chrome|CriOS|Chromium|HeadlessChrome)\//, "Chrome"],
  [/\bSafari\//, "Safari"],
];
const SYSTEMS = [
  [/\bAndroid\b/, "Android"],
  [/\biPhone\b/, "iPhone"],
  [/\biPad\b/, "iPad"],
  [/\bCrOS\b/, "ChromeOS"],
  [/\bWindows\b/, "Windows"],
  [/\bMac OS X\b|\bMacintosh\b/, "Mac"],
  [/\bLinux\b/, "Linux"],
];

const first = (table, text) => table.find(([sign]) => sign.test(text))?.[1];

export function deviceName({ userAgent, maxTouchPoints } = navigator) {
  const system = first(SYSTEMS, userAgent);
  // An iPad says that it is a Mac; no Mac has a touch screen.
  const known = system === "Mac" && maxTouchPoints > 1 ? "iPad" : system;
  return [first(BROWSERS, userAgent) ?? "Browser", known].filter(Boolean).join(" on ");
}
