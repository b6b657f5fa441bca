"""A plain ASGI app around our worker: what leaving TorchServe would cost, and gain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.contenders.program import Program

if TYPE_CHECKING:
    from benchmarks.deployment import Deployment
    from benchmarks.traffic import Form


class Asgi(Program):
    """FastAPI and uvicorn with our worker.

    Args:
        deployment: The model.
        variant: One of `deployment.VARIANTS`.
    """

    module = "benchmarks.contenders.asgi_program"
    library = "fastapi"
    form: Form = "body"

    def __init__(self, deployment: Deployment, variant: str) -> None:
        super().__init__(deployment)
        self._variant = variant
        self.name = f"asgi-{variant}"
        self.title = f"FastAPI with our worker, {variant}"
        self.what = (
            "FastAPI and uvicorn around visionserve.runtime's Worker, with every default: the same archive, one"
            " process, requests that came while a batch was answered make the next"
        )
        self.settings: dict[str, object] = {}

    def arguments(self, port: int) -> list[str]:
        """See `Program.arguments`."""
        return [str(self._deployment.unpacked(self._variant)), str(port)]

    def greeting(self) -> tuple[bytes, str]:
        """See `Program.greeting`."""
        return self._deployment.greeting, "application/octet-stream"
