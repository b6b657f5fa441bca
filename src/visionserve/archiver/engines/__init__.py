"""What each engine needs in the archive, made on the machine that builds it."""
