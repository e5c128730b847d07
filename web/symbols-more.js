// Symbols that only the door and the settings have.

import { circle, drawing } from "./symbols.js";

export const Bell = drawing("18 18", ["M4 13h10l-1.4-2V8a3.6 3.6 0 0 0-7.2 0v3zM7.6 15.5h2.8"]);
export const Blocked = drawing("18 18", [circle(9, 9, 6.5), "m4.5 4.5 9 9"]);
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
