"""Work that goes on by itself beside the requests: supervised, so that none of it ends unseen."""
