"""Work that repeats by itself beside the requests, and never ends unnoticed."""
