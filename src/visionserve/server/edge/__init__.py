"""HAProxy, which is all that clients see."""
