// Drawn symbols. They say nothing to a screen reader: what they mean is in words beside them.

import { html } from "./vendor/preact.js";

const drawing = (box, paths, name = "") => () => html`
  <svg class=${`symbol ${name}`} viewBox=${`0 0 ${box}`} aria-hidden="true" focusable="false">
    ${paths.map((path) => html`<path d=${path} />`)}
  </svg>
`;

const circle = (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;

export const Find = drawing("18 18", [circle(8, 8, 5), "m12 12 4 4"]);
export const Back = drawing("18 18", ["M15 9H3m6-6L3 9l6 6"], "mirror");
export const Forward = drawing("18 18", ["m7 4 5 5-5 5"], "mirror");
export const Down = drawing("18 18", ["m4 7 5 5 5-5"]);
export const Close = drawing("18 18", ["m4 4 10 10M14 4 4 14"]);
export const More = drawing("18 18", [circle(9, 3.5, 0.6), circle(9, 9, 0.6), circle(9, 14.5, 0.6)]);
export const Gear = drawing("18 18", [circle(9, 9, 2.4), "M7.3 3.7L7.7 1.7L10.3 1.7L10.7 3.7L11.6 4.0L13.3 3.0L15.0 4.7L14.0 6.4L14.3 7.3L16.3 7.7L16.3 10.3L14.3 10.7L14.0 11.6L15.0 13.3L13.3 15.0L11.6 14.0L10.7 14.3L10.3 16.3L7.7 16.3L7.3 14.3L6.4 14.0L4.7 15.0L3.0 13.3L4.0 11.6L3.7 10.7L1.7 10.3L1.7 7.7L3.7 7.3L4.0 6.4L3.0 4.7L4.7 3.0L6.4 4.0z"]);
export const Lock = drawing("18 18", ["M4 8h10v7H4zM6 8V6a3 3 0 0 1 6 0v2"]);
export const Send = drawing("18 18", ["m2 9 14-7-5 15-3-6z"], "mirror");
export const Bell = drawing("18 18", ["M4 13h10l-1.4-2V8a3.6 3.6 0 0 0-7.2 0v3zM7.6 15.5h2.8"]);
export const Blocked = drawing("18 18", [circle(9, 9, 6.5), "m4.5 4.5 9 9"]);
export const Waiting = drawing("18 18", [circle(9, 9, 7), "M9 5v4l3 2"], "tick");
export const Sent = drawing("18 14", ["m3 7 4 4 7-9"], "tick");
export const Delivered = drawing("18 14", ["m1 7 4 4 7-9M8 10.5l.8.5 7-9"], "tick");
export const Failed = drawing("18 18", [circle(9, 9, 7), "M9 5v5M9 12.8v.2"], "tick");

// For the door and the settings.
export const Show = drawing("18 18", ["M1.5 9s2.7-5 7.5-5 7.5 5 7.5 5-2.7 5-7.5 5-7.5-5-7.5-5z", circle(9, 9, 2.2)]);
export const Hide = drawing("18 18", ["M1.5 9s2.7-5 7.5-5 7.5 5 7.5 5-2.7 5-7.5 5-7.5-5-7.5-5z", circle(9, 9, 2.2), "m3 15 12-12"]);
export const Device = drawing("18 18", ["M5.5 2h7a1 1 0 0 1 1 1v12a1 1 0 0 1-1 1h-7a1 1 0 0 1-1-1V3a1 1 0 0 1 1-1zM8 13.6h2"]);
export const Person = drawing("18 18", [circle(9, 6, 3), "M3 15.5a6 6 0 0 1 12 0"]);
export const Key = drawing("18 18", [circle(5.5, 12.5, 3), "m7.7 10.3 7.3-7.3M12 6l2.5 2.5"]);
export const History = drawing("18 18", ["M3 9a6 6 0 1 0 1.8-4.3L3 6.5M3 3v3.5h3.5M9 6v3.2l2.2 1.3"]);
export const Shelf = drawing("18 18", ["M3 3.5h12v4H3zM3 10.5h12v4H3zM6 5.5h.1M6 12.5h.1"]);
export const Clock = drawing("18 18", [circle(9, 9, 7), "M9 5v4l3 2"]);
export const Hash = drawing("18 18", ["M7 3 5.5 15M12.5 3 11 15M3.5 7h11.5M3 11h11.5"]);
export const Info = drawing("18 18", [circle(9, 9, 7), "M9 8.5v4M9 5.5v.2"]);
export const Leave = drawing("18 18", ["M7 3H4v12h3M8 9h8m-3-3 3 3-3 3"], "mirror");
export const Switch = drawing("18 18", ["M3 6h11m-3-3 3 3-3 3M15 12H4m3-3-3 3 3 3"]);
export const Bin = drawing("18 18", ["M3 5h12M7 5V3h4v2M4.5 5l.7 10h7.6l.7-10M7.5 8v4.5M10.5 8v4.5"]);
export const Check = drawing("18 18", ["m3.5 9.5 3.8 3.8 7.2-8.6"]);
