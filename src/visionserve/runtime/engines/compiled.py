"""PyTorch compiled ahead of time (AOTInductor) into the archive; it needs no library but torch.

Chosen over `torch.compile` with freezing, which answers single pictures faster but would compile for half a
minute whenever a worker starts. The machine code is made for the builder's processor, so it is built only when
the model's YAML asks for it, and refused on a processor that lacks an instruction it may use.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from visionserve.runtime.engines.pixels import FromPixels
from visionserve.runtime.errors import EngineError, first_line
from visionserve.runtime.machine import processor

if TYPE_CHECKING:
    from torch import nn

    from visionserve.runtime.engines import Source
    from visionserve.runtime.model import Transform

NAME = "compiled"
PACKAGE_FILE = "compiled.pt2"
TARGET_FILE = "compiled.json"

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
_LARGEST_BATCH = 1024


class CompiledEngine:
    """Machine code with its weights in it, for batches of any size."""

    name = NAME
    one_by_one = False

    def __init__(self, package: Path, precision: str) -> None:
        """Load what `compile_package` made for this kind of processor."""
        from torch._inductor import aoti_load_package

        self.precision = precision
        self._run: Any = aoti_load_package(str(package))

    @torch.inference_mode()
    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        """See `Engine.logits`."""
        answer: torch.Tensor = self._run(pixels)
        return answer


def target(precision: str) -> dict[str, Any]:
    """What a package made here runs on: this torch, and processors with at least these instructions."""
    return {
        "precision": precision,
        "torch": torch.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "instructions": sorted(processor.compiler_instructions()),
    }


def lacks(source: Source, precision: str) -> str | None:
    """Why this engine cannot run the archive's network here, if it cannot."""
    if source.device.type != "cpu":
        return f"it runs on the CPU, and this worker runs on {source.device}"
    if not (source.folder / PACKAGE_FILE).exists():
        return "the archive has no compiled package: write 'engine: compiled' and build it again"
    made_for = json.loads((source.folder / TARGET_FILE).read_text(encoding="utf-8"))
    here = target(precision)
    if made_for["precision"] != precision:
        return f"the archive's package is compiled for {made_for['precision']}"
    missing = sorted(set(made_for["instructions"]) - set(here["instructions"]))
    if missing or made_for["capability"] != here["capability"]:
        return (
            f"its package is compiled for a processor with {made_for['capability']}"
            f"; this one has {here['capability']}{' and lacks ' + ', '.join(missing) if missing else ''}"
            ": build the archive again on one like this"
        )
    if made_for["torch"] != here["torch"]:
        return f"its package is compiled for torch {made_for['torch']}, this is {here['torch']}: build it again"
    return None


def load(source: Source, precision: str) -> CompiledEngine:
    """The archive's package."""
    return CompiledEngine(source.folder / PACKAGE_FILE, precision)


def compile_package(network: nn.Module, transform: Transform, precision: str) -> dict[str, bytes]:
    """Compile a network for this processor, as archive members.

    The same network gives the same bytes on one machine; they hold the path of torch's compiler cache.

    Args:
        network: In eval mode, on the CPU, in fp32; it is converted in place.
        transform: How pictures become its input.
        precision: `fp32` or `bf16`.

    Raises:
        EngineError: torch cannot compile it; the message says why.
    """
    from torch._inductor import aoti_compile_and_package

    model = FromPixels(network.to(_DTYPES[precision]), transform).eval()
    # Two pictures, for torch.export takes a size of 1 to be a constant.
    example = torch.zeros(2, transform.crop, transform.crop, 3, dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1, max=_LARGEST_BATCH)
    with tempfile.TemporaryDirectory(prefix="visionserve-") as folder, torch.no_grad():
        path = Path(folder) / PACKAGE_FILE
        try:
            exported = torch.export.export(model, (example,), dynamic_shapes=({0: batch},))
            aoti_compile_and_package(
                exported,
                package_path=str(path),
                # Freezing folds batch norms and lays weights out for this processor; the threads are the worker's.
                inductor_configs={"freezing": True, "cpp.dynamic_threads": True},
            )
        except Exception as error:  # torch raises whatever its compilers do
            cause = first_line(error)
            raise EngineError(f"engine compiled: torch cannot compile this network: {cause}") from error
        package = path.read_bytes()
    return {PACKAGE_FILE: package, TARGET_FILE: json.dumps(target(precision), indent=1).encode()}
