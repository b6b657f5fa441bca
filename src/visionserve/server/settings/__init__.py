"""How a server is run: what people write, read and checked."""
