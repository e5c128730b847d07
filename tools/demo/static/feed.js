// What the servers tell of Redis and of themselves: the feed of /demo/feed. It connects again by itself, since the
// server that it comes from may be the one that is killed.

const SILENT_MS = 2_000; // without the feed for so long, nobody knows what is in the mailboxes

export class Feed {
  // on.seen({redis, servers, mailboxes}), on.news([{what, whose?, entry?, serverId?, word?}])
  constructor(on) {
    this.seen = null;
    this.lostAt = 0;
    this.source = new EventSource("/demo/feed");
    this.source.onmessage = ({ data }) => {
      const { seen, news } = JSON.parse(data);
      if (this.lostAt && seen && this.seen) news.unshift(...meanwhile(this.seen.servers, seen.servers));
      this.lostAt = 0;
      if (seen) this.seen = seen;
      if (news.length) on.news(news);
      if (seen) on.seen(seen);
    };
    this.source.onerror = () => (this.lostAt ||= Date.now());
  }

  // What waits for a phone, for the counter; null while that is not known.
  mailbox(phone) {
    const isKnown = this.seen?.redis && (!this.lostAt || Date.now() - this.lostAt < SILENT_MS);
    const box = isKnown ? this.seen.mailboxes[phone] : undefined;
    if (!box) return null;
    const waiting = box.entries.filter(({ kind }) => kind === "chat").flatMap(({ messageIds }) => messageIds);
    return { waiting: new Set(waiting), withheld: new Set(box.withheld) };
  }
}

// Which servers went and came while the feed was lost: the one that told it begins anew, and knows nothing of before.
function meanwhile(before, after) {
  const missing = (from, among) => from.filter(({ serverId }) => !among.some((one) => one.serverId === serverId));
  const news = (what) => ({ serverId }) => ({ what, serverId });
  return [...missing(after, before).map(news("came")), ...missing(before, after).map(news("went"))];
}
