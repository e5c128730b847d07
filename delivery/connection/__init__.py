"""One socket, and all that is done for it: hear its client, carry his entries, hold his lease."""
