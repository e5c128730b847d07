// Drawn symbols. They say nothing to a screen reader: what they mean is in words beside them.

import { html } from "./vendor/preact.js";

export const drawing = (box, paths, name = "") => () => html`
  <svg class=${`symbol ${name}`} viewBox=${`0 0 ${box}`} aria-hidden="true" focusable="false">
    ${paths.map((path) => html`<path d=${path} />`)}
  </svg>
`;

export const circle = (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;

export const Find = drawing("18 18", [circle(8, 8, 5), "m12 12 4 4"]);
export const Back = drawing("18 18", ["M15 9H3m6-6L3 9l6 6"], "mirror");
export const Down = drawing("18 18", ["m4 7 5 5 5-5"]);
export const Close = drawing("18 18", ["m4 4 10 10M14 4 4 14"]);
export const More = drawing("18 18", [circle(9, 3.5, 0.6), circle(9, 9, 0.6), circle(9, 14.5, 0.6)]);
export const Gear = drawing("18 18", [circle(9, 9, 2.4), "M7.3 3.7L7.7 1.7L10.3 1.7L10.7 3.7L11.6 4.0L13.3 3.0L15.0 4.7L14.0 6.4L14.3 7.3L16.3 7.7L16.3 10.3L14.3 10.7L14.0 11.6L15.0 13.3L13.3 15.0L11.6 14.0L10.7 14.3L10.3 16.3L7.7 16.3L7.3 14.3L6.4 14.0L4.7 15.0L3.0 13.3L4.0 11.6L3.7 10.7L1.7 10.3L1.7 7.7L3.7 7.3L4.0 6.4L3.0 4.7L4.7 3.0L6.4 4.0z"]);
export const Lock = drawing("18 18", ["M4 8h10v7H4zM6 8V6a3 3 0 0 1 6 0v2"]);
export const Send = drawing("18 18", ["m2 9 14-7-5 15-3-6z"], "mirror");
export const Waiting = drawing("18 18", [circle(9, 9, 7), "M9 5v4l3 2"], "tick");
export const Sent = drawing("18 14", ["m3 7 4 4 7-9"], "tick");
export const Delivered = drawing("18 14", ["m1 7 4 4 7-9M8 10.5l.8.5 7-9"], "tick");
export const Failed = drawing("18 18", [circle(9, 9, 7), "M9 5v5M9 12.8v.2"], "tick");
