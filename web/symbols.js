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
export const Gear = drawing("18 18", [circle(9, 9, 2.6), "M9 1.8v2M9 14.2v2M1.8 9h2M14.2 9h2M3.9 3.9l1.4 1.4M12.7 12.7l1.4 1.4M3.9 14.1l1.4-1.4M12.7 5.3l1.4-1.4"]);
export const Lock = drawing("18 18", ["M4 8h10v7H4zM6 8V6a3 3 0 0 1 6 0v2"]);
export const Send = drawing("18 18", ["m2 9 14-7-5 15-3-6z"], "mirror");
export const Bell = drawing("18 18", ["M4 13h10l-1.4-2V8a3.6 3.6 0 0 0-7.2 0v3zM7.6 15.5h2.8"]);
export const Blocked = drawing("18 18", [circle(9, 9, 6.5), "m4.5 4.5 9 9"]);
export const Waiting = drawing("18 18", [circle(9, 9, 7), "M9 5v4l3 2"], "tick");
export const Sent = drawing("18 14", ["m3 7 4 4 7-9"], "tick");
export const Delivered = drawing("18 14", ["m1 7 4 4 7-9M8 10.5l.8.5 7-9"], "tick");
export const Failed = drawing("18 18", [circle(9, 9, 7), "M9 5v5M9 12.8v.2"], "tick");
