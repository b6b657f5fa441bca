"""Runs TorchServe behind HAProxy: settings, instances, the edge before them, and who looks after all."""
