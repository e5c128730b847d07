"""What travels between client and server: frames, errors, identifiers. Depends on nothing but its codec."""
