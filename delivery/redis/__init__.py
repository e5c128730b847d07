"""How commands reach Redis on the hot road, and how it is known what its replicas have."""
