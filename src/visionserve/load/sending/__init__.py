"""Sends the traffic: what is sent and when, by whom, how much a machine can send, and what the processes took."""
