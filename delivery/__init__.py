"""How a chat gets from its sender into a mailbox, and from the mailbox to every device of its owner."""
