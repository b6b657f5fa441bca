"""Runs TorchServe: finds Java, starts the server, waits until it truly answers, stops all of it."""
