"""Who vouches for an archive: a signature beside it, made and checked with local keys and without a network."""
