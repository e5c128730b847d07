// Which chat is open, in the browser's history: Back leads from a chat to the list, and a reload back into the chat.
// It is kept in the state of the entry, not in its address: a number does not belong into the list of pages visited.

export class Views {
  constructor(mobile) {
    this.mine = mobile; // this tab's history may hold chats of somebody who was logged in before
  }

  // The mobile number of the chat, or "" for the list.
  current() {
    const { mine, chat } = history.state ?? {};
    return mine === this.mine ? chat : "";
  }

  open(mobile) {
    const state = { mine: this.mine, chat: mobile };
    if (this.current()) history.replaceState(state, "");
    else history.pushState(state, "");
  }

  // Shows later, by an event: popstate.
  back() {
    history.back();
  }

  leave() {
    history.replaceState(null, "");
  }
}
