"""What a worker says of the model it serves, for people and for the management API."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING, Any

import PIL
import torch

import visionserve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from visionserve.runtime.engines.selection import Choice
    from visionserve.runtime.model import Model


def describe(model: Model, config: Mapping[str, Any], choice: Choice, device: torch.device) -> dict[str, Any]:
    """A JSON document: the model's settings, weights and engine, and the versions that run it.

    Args:
        model: What is served.
        config: The archive's `model-config.yaml`, parsed.
        choice: The engine that runs it, and why.
        device: Where it runs.
    """
    return {
        "model": model.name,
        "version": model.version,
        "weights": {"file": model.weights, "sha256": model.sha256},
        "engine": choice.engine.name,
        "precision": choice.engine.precision,
        "why": choice.why,
        "device": str(device),
        "classes": len(model.labels),
        "spec": config,
        "versions": {
            "python": platform.python_version(),
            **{module.__name__: module.__version__ for module in (visionserve, torch, PIL)},
            "torchvision": metadata.version("torchvision"),
        },
    }
