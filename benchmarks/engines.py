"""Which engine wins where: `make engines`, or `python -m benchmarks.engines`.

Networks of torchvision with random weights, for how fast one runs does not depend on them. Each kind of processor
has a file of results, which stays when another machine adds its own.
"""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
import torchvision
import typer
from rich.console import Console
from torch import nn

from benchmarks import machine
from benchmarks.markers import Markers
from benchmarks.tables import table
from visionserve import progress
from visionserve.archiver import builder
from visionserve.archiver.engines import survey
from visionserve.archiver.models import catalog
from visionserve.runtime.model import Transform
from visionserve.runtime.pictures.fit import stack
from visionserve.runtime.proof import agreement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NETWORKS = (
    *("resnet18", "resnet50", "vgg16", "mobilenet_v3_large"),
    *("efficientnet_b0", "convnext_tiny", "vit_b_16"),
)
BATCHES = (1, 8)
MARKERS = Markers("engines", "make engines")

_ROOT = Path(__file__).parents[1]
_WORK = _ROOT / ".visionserve" / "engines"
_RESULTS = _ROOT / "benchmarks" / "results" / "engines"
_PAGE = _ROOT / "docs" / "performance.md"
_YAML = """\
handler:
  architecture: {name}
  engine: eager
  precision: fp32
  weights: weights/{name}.pth
  labels: labels.txt
  input: {{resize: 256, crop: 224, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}}
"""


def main(
    names: Annotated[
        list[str] | None,
        typer.Option("--network", help="Only this one, beside what was measured before; repeatable."),
    ] = None,
    seconds: Annotated[float, typer.Option(help="How long an engine runs at a time.")] = 0.4,
) -> None:
    """Run every network by every engine, write benchmarks/results/engines/, refresh docs/performance.md."""
    console = Console(stderr=True)
    if unknown := set(names or ()) - set(NETWORKS):
        raise typer.BadParameter(f"no network {', '.join(sorted(unknown))}; there are {', '.join(NETWORKS)}")
    hardware = machine.hardware()
    path = _RESULTS / f"{machine.kind(hardware)}.json"
    about = {"hardware": hardware, "versions": machine.versions(), "commit": machine.commit(_ROOT)}
    for name in names or NETWORKS:
        console.print(name, highlight=False)
        found = survey.make(
            archive(name, _WORK), BATCHES, seconds, lambda steps, doing: iter(progress.bar(steps, doing))
        )
        date = datetime.now(UTC).strftime("%Y-%m-%d")
        keep(path, name, {"date": date, **about, **found.document()})
    console.print(f"wrote {path.relative_to(_ROOT)}", soft_wrap=True)
    if MARKERS.put(_PAGE, section(sorted(_RESULTS.glob("*.json")))):
        console.print(f"refreshed {_PAGE.relative_to(_ROOT)}", soft_wrap=True)


def keep(path: Path, name: str, document: Mapping[str, Any]) -> None:
    """Put a network's result into a file, in the place of its earlier one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**results, name: document}, indent=1) + "\n", encoding="utf-8")


def archive(name: str, root: Path) -> Path:
    """An archive of a network with random weights, in a project made for it."""
    shutil.rmtree(root, ignore_errors=True)
    for folder in ("models", "weights", "model_store"):
        (root / folder).mkdir(parents=True)
    (root / "handlers").symlink_to(_ROOT / "handlers")
    source = root / "models" / f"{name}.yaml"
    source.write_text(_YAML.format(name=name), encoding="utf-8")
    network = torchvision.models.get_model(name)
    (root / "labels.txt").write_text("".join(f"class {index}\n" for index in range(1000)), encoding="utf-8")
    spec = catalog.read(source)
    torch.save(_lively(network).state_dict(), root / "weights" / f"{name}.pth")
    return builder.build(root, spec, source).archive.path


def _lively(network: nn.Module) -> nn.Module:
    """Random weights with which pictures make a difference: batch norms have seen some, and no head is zero."""
    torch.manual_seed(0)
    transform = Transform(resize=256, crop=224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
        if isinstance(module, nn.Linear) and not module.weight.any():
            nn.init.normal_(module.weight, std=0.02)
    pixels = stack(agreement.pixels(transform)).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        network.train()((pixels - 0.45) / 0.225)
    return network.eval()


def section(paths: Iterable[Path]) -> str:
    """All results as Markdown, one table for each kind of processor."""
    parts = []
    for path in paths:
        results = json.loads(path.read_text(encoding="utf-8"))
        parts += [_about(results), _table(results), f"[Raw](../benchmarks/results/engines/{path.name})."]
    return "\n\n".join(
        [*parts, "`make engines` measures it again on your machine, and leaves the others as they are."]
    )


def _about(results: Mapping[str, Any]) -> str:
    newest = max(results.values(), key=lambda one: str(one["date"]))
    hardware, versions = newest["hardware"], newest["versions"]
    libraries = ", ".join(f"{name} {versions[name]}" for name in ("torch", "openvino", "ncnn") if name in versions)
    peaks = ", ".join(f"{name} {most / 1e9:.0f}" for name, most in newest["peaks"].items())
    instructions = ", ".join(hardware["instructions"])
    return (
        f"**{hardware['cpu']}, {hardware['cores']} cores** ({instructions}), {newest['date']};"
        f" {libraries}; billions of multiplications a second in torch's multiplication of matrices: {peaks}:"
    )


def _table(results: Mapping[str, Any]) -> str:
    ways = list(dict.fromkeys(one["way"] for name in NETWORKS for one in _measured(results, name)))
    rows = []
    for name in NETWORKS:
        measured = {one["way"]: one for one in _measured(results, name)}
        if measured:
            counted = results[name]["multiplications"]
            share = f"{counted['total'] / 1e9:.2f}, {counted['winograd'] / counted['total']:.0%}"
            rows.append([name, share, *_cells([measured.get(way) for way in ways])])
    return table(["network", "billion multiplications, in 3x3 convolutions", *ways], rows)


def _measured(results: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = results[name]["measured"] if name in results else []
    return found


def _cells(measured: Sequence[Mapping[str, Any] | None]) -> list[str]:
    """Pictures a second alone / in batches, the fastest of each in bold."""
    sizes = [str(size) for size in BATCHES]
    rates = [[one["rates"][size]["median"] for size in sizes] if one else [0.0] * len(sizes) for one in measured]
    best = [max(column) for column in zip(*rates, strict=True)]
    return [" / ".join(map(_cell, row, best)) if any(row) else "" for row in rates]


def _cell(rate: float, most: float) -> str:
    return f"**{rate:.3g}**" if rate == most else f"{rate:.3g}"


if __name__ == "__main__":
    typer.run(main)
