// Which chat is open, in the browser's history: Back leads from a chat to the list, and a reload back into the chat.
// It is in the state of the history entry, not in its address: a number must not be in the list of visited pages.

export class Views {
  constructor(mobile) {
    this.mine = mobile; // this tab's history may contain chats of a person logged in before
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

  // Takes effect later, by an event: popstate.
  back() {
    history.back();
  }

  leave() {
    history.replaceState(null, "");
  }
}
