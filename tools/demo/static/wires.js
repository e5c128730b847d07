// The lines between phones, servers and Redis, and the dots that run along them.

const SVG = "http://www.w3.org/2000/svg";
const RUN_MS = 420;
const LANE = { a: 26, b: 14 }; // above the servers, in px
const GAP = 18; // between the columns, as in demo.css
const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class Wires {
  constructor(root, servers, redis) {
    this.root = root;
    this.servers = servers; // a ServersView
    this.redis = redis;
    this.svg = document.createElementNS(SVG, "svg");
    root.append(this.svg);
    this.paths = new Map(); // "a", "b" or a serverId -> path
  }

  // phones: {a: {serverId, isOut}, b: …}
  draw(phones, isRedisAway) {
    const base = this.root.getBoundingClientRect();
    const drawn = new Set();
    const redisTop = this.redis.getBoundingClientRect().top - base.top;
    for (const [serverId, card] of this.servers.cards) {
      const box = card.getBoundingClientRect();
      const x = box.left - base.left + box.width / 2;
      this.#path(serverId, `M ${x} ${redisTop} V ${box.bottom - base.top}`, isRedisAway ? "away" : "");
      drawn.add(serverId);
    }
    for (const [name, { serverId, isOut }] of Object.entries(phones)) {
      const card = this.servers.cards.get(serverId);
      if (!card) continue;
      const box = card.getBoundingClientRect();
      const top = box.top - base.top;
      const x = box.left - base.left + box.width * (name === "a" ? 0.4 : 0.6);
      const from = name === "a" ? -GAP : base.width + GAP;
      const path = this.#path(name, `M ${from} ${top - LANE[name]} H ${x} V ${top}`, isOut ? "out" : "");
      path.dataset.phone = name;
      drawn.add(name);
    }
    for (const [key, path] of this.paths) {
      if (drawn.has(key)) continue;
      path.remove();
      this.paths.delete(key);
    }
  }

  // A dot along a line: towards its end, or back.
  run(key, back, phone = "") {
    const path = this.paths.get(key);
    if (!path || calm.matches || document.hidden) return;
    const dot = document.createElement("i");
    dot.style.offsetPath = `path("${path.getAttribute("d")}")`;
    dot.style.offsetRotate = "0deg";
    if (phone) dot.dataset.phone = phone;
    this.root.append(dot);
    const steps = [
      { offsetDistance: "0%", opacity: 1 },
      { offsetDistance: "100%", opacity: 1 },
    ];
    const running = dot.animate(back ? steps.reverse() : steps, { duration: RUN_MS, easing: "ease-in-out" });
    running.onfinish = () => dot.remove();
  }

  #path(key, line, className) {
    let path = this.paths.get(key);
    if (!path) {
      path = document.createElementNS(SVG, "path");
      this.svg.append(path);
      this.paths.set(key, path);
    }
    path.setAttribute("d", line);
    path.setAttribute("class", className);
    return path;
  }
}
