// Tabs of one account: one of them leads, which means that it holds the socket. When it goes, another one takes over.
// Leading is a lock of the browser's, so there is no moment at which a tab that crashed still leads.

export class Tabs {
  // name: what the tabs have in common, the account. onLead(): this tab leads from now on. onTold(message): another
  // tab said something by tell().
  constructor(name, { onLead, onTold }) {
    this.channel = new BroadcastChannel(name);
    this.channel.onmessage = (event) => onTold(event.data);
    this.ended = new AbortController();
    this.leads = false;
    this._lead(name, onLead);
  }

  tell(message) {
    if (!this.ended.signal.aborted) this.channel.postMessage(message);
  }

  // Another tab may lead from now on.
  end() {
    this.ended.abort();
    this.channel.close();
    this.letGo?.();
  }

  async _lead(name, onLead) {
    const lead = () => {
      if (this.ended.signal.aborted) return undefined;
      this.leads = true;
      onLead();
      return new Promise((resolve) => (this.letGo = resolve));
    };
    // Where a page is served without TLS there are no locks: there each tab leads, and the server lets one of them be
    // connected.
    if (!navigator.locks) return lead();
    try {
      return await navigator.locks.request(name, { signal: this.ended.signal }, lead);
    } catch (error) {
      if (error.name !== "AbortError") throw error;
      return undefined;
    }
  }
}
