"""What travels: frames on the socket, refusals everywhere. Knows nothing but its codec."""
