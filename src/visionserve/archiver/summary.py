"""A network layer by layer: output shapes, parameters, multiply-adds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torchinfo
from torch.utils.flop_counter import FlopCounterMode

from visionserve.archiver.models import catalog, labels
from visionserve.archiver.models.spec import HandlerSpec, ModelSpec
from visionserve.archiver.networks import architectures, sources
from visionserve.archiver.weights import checkpoints, entries, lookup
from visionserve.archiver.weights.serialization import one_line
from visionserve.project import Project
from visionserve.runtime import network
from visionserve.runtime.errors import SpecError, WeightsError

if TYPE_CHECKING:
    from pathlib import Path

_EVERY_DEPTH = 99


@dataclass(frozen=True)
class Layer:
    """One module of a network, as often as it is called.

    Attributes:
        name: Its dotted name in the network; empty for the network itself.
        kind: Its class.
        depth: How many modules it is inside of.
        output: The shape of what it puts out, batch included; of the first tensor where there are several.
        parameters: Its trained numbers, those of the modules inside it included.
        multiply_adds: Multiplications with an addition for one picture, those inside it included.
    """

    name: str
    kind: str
    depth: int
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Summary:
    """A network for one input size.

    Attributes:
        model: The name it was asked for by.
        architecture: A torchvision classifier or one's own.
        classes: The class count of its head.
        classes_from: Where that count is from.
        input: Channels, height and width in pixels.
        layers: Every module in the order of calling, the network itself first.
    """

    model: str
    architecture: str
    classes: int
    classes_from: str
    input: tuple[int, int, int]
    layers: tuple[Layer, ...]

    @property
    def parameters(self) -> int:
        """The network's trained numbers."""
        return self.layers[0].parameters

    @property
    def multiply_adds(self) -> int:
        """Multiplications with an addition for one picture."""
        return self.layers[0].multiply_adds


def summarize(
    root: Path,
    model: str,
    size: tuple[int, int, int] | None = None,
    weights_path: Path | None = None,
    *,
    classes: int | None = None,
    trust_pickle: bool = False,
) -> Summary:
    """Lay out a network; nothing is computed, so any input size is taken and no weights are needed.

    Args:
        root: The project's folder.
        model: A model of the project, or a torchvision classifier.
        size: Channels, height and width of the input; without it those the model is served with.
        weights_path: A weights file to take the class count from instead of the model's.
        classes: The class count, without looking at the model's own weights.
        trust_pickle: Unpickle weights that hold more than tensors.

    Raises:
        SpecError: There is no such model, or it cannot take this input.
        WeightsError: The weights are damaged or not this architecture's, or those at `weights_path` have another
            class count than `classes`.
    """
    spec = _spec(root, model)
    transform = entries.transform(spec.handler)
    architecture = spec.handler.architecture
    options = {**architectures.options(architecture, transform.crop), **spec.handler.options}
    with sources.importable(root):
        if classes is None or weights_path is not None:
            count, origin = _classes(root, spec, options, weights_path, trust_pickle=trust_pickle)
        else:
            count, origin = classes, "--classes"
        if classes not in (None, count):
            raise WeightsError(f"{origin} has {count} classes and --classes says {classes}; leave one of them out")
        net = network.build(architecture, count, options).eval()
    shape = size or (3, transform.crop, transform.crop)
    return Summary(model, architecture, count, origin, shape, _layers(net, shape, architecture))


def _spec(root: Path, model: str) -> ModelSpec:
    try:
        return catalog.read(catalog.find(root, model))
    except SpecError as error:
        if model not in network.names():
            of_a_file = f"; of a weights file: visionserve summary ARCHITECTURE --weights {model}"
            hint = of_a_file if "." in model else ""
            raise SpecError(f"{error}, and every torchvision classifier{hint}") from None
    return ModelSpec(name=model, handler=HandlerSpec(architecture=model))


def _classes(
    root: Path, spec: ModelSpec, options: dict[str, Any], weights_path: Path | None, *, trust_pickle: bool
) -> tuple[int, str]:
    """The class count of the weights if they are here, else of the labels that the model is to have."""
    handler = spec.handler
    if weights_path is not None or lookup.are_here(root, spec.name, handler):
        found = lookup.find(root, spec.name, handler, weights_path)
        read = checkpoints.read(found.path, handler.weights_key, trust_pickle=trust_pickle)
        return architectures.fit(handler.architecture, options, read.state_dict).classes, str(found.path)
    if handler.labels is not None:
        return len(labels.read(Project(root).find(handler.labels))), handler.labels
    entry = entries.of(handler)
    return len(entry.meta["categories"]), str(entry)


def _layers(net: Any, shape: tuple[int, int, int], architecture: str) -> tuple[Layer, ...]:
    # torchinfo counts a linear layer once however many tokens pass through it, 100 times too few in a transformer;
    # PyTorch's counter agrees with the numbers that torchvision publishes.
    counter = FlopCounterMode(display=False)
    try:
        with counter:
            rows = torchinfo.summary(
                net.to("meta"),
                input_size=(1, *shape),
                device="meta",
                verbose=0,
                depth=_EVERY_DEPTH,
                col_names=("output_size", "num_params"),
            ).summary_list
    except (RuntimeError, ValueError, TypeError) as error:
        wanted = "x".join(map(str, shape))
        cause = one_line(error.__cause__ or error)
        raise SpecError(f"{architecture} cannot take a {wanted} input: {cause}") from error
    flops = counter.get_flop_counts()
    return tuple(
        Layer(
            name=_name(row).partition(".")[2],
            kind=row.class_name,
            depth=row.depth,
            output=tuple(row.output_size),
            parameters=row.num_params,
            multiply_adds=sum(flops.get(_name(row), {}).values()) // 2,
        )
        for row in rows
    )


def _name(row: Any) -> str:
    return f"{_name(row.parent_info)}.{row.var_name}" if row.parent_info is not None else str(row.var_name)
