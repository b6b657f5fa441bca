"""How other commands speak to a running server."""
