from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
import torchvision

from visionserve.runtime import network
from visionserve.runtime.errors import SpecError, WeightsError
from visionserve.runtime.machine import device

if TYPE_CHECKING:
    from pathlib import Path

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def state_dict() -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = torchvision.models.resnet18(num_classes=3).state_dict()
    return weights


def test_a_loaded_network_is_in_eval_mode_on_its_device_with_exactly_its_weights(
    state_dict: dict[str, torch.Tensor],
) -> None:
    loaded = network.load("resnet18", {}, state_dict, 3, CPU)
    assert not any(module.training for module in loaded.modules())
    assert {tensor.device for tensor in loaded.state_dict().values()} == {CPU}
    assert all(torch.equal(tensor, state_dict[key]) for key, tensor in loaded.state_dict().items())
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


@pytest.mark.parametrize("architecture", ["resnet18", "swin_v2_t", "mnasnet0_5", "regnet_y_400mf"])
def test_a_loaded_network_answers_as_torchvisions_own(architecture: str) -> None:
    torch.manual_seed(0)
    own = torchvision.models.get_model(architecture, num_classes=3).eval()
    loaded = network.load(architecture, {}, own.state_dict(), 3, CPU)
    images = torch.rand(2, 3, 224, 224)
    with torch.inference_mode():
        assert torch.equal(loaded(images), own(images))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_the_network_answers_as_on_the_cpu(state_dict: dict[str, torch.Tensor]) -> None:
    images = torch.randn(4, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    gpu = device.best()
    with torch.inference_mode():
        on_cpu = network.load("resnet18", {}, state_dict, 3, CPU)(images)
        on_gpu = network.load("resnet18", {}, state_dict, 3, gpu)(images.to(gpu))
    assert on_gpu.device == gpu
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, atol=1e-2, rtol=1e-2)


def test_a_built_network_costs_no_memory_and_leaves_others_alone() -> None:
    built = network.build("vgg16", 1000, {})
    assert {parameter.device.type for parameter in built.parameters()} == {"meta"}
    with pytest.raises(SpecError, match="resnet18 cannot be built with widht=3"):
        network.build("resnet18", 3, {"widht": 3})
    assert torch.nn.Linear(2, 2).weight.device == CPU


def test_an_unknown_architecture_lists_what_there_is() -> None:
    with pytest.raises(SpecError, match=r"no classifier 'resnet5'; it has .*resnet50"):
        network.build("resnet5", 3, {})


def test_missing_and_unexpected_keys_are_named(state_dict: dict[str, torch.Tensor]) -> None:
    wrong = {("head.weight" if key == "fc.weight" else key): value for key, value in state_dict.items()}
    with pytest.raises(WeightsError, match=r"1 missing, first 'fc\.weight'; 1 unexpected, first 'head\.weight'"):
        network.load("resnet18", {}, wrong, 3, CPU)


def test_a_head_of_another_size_is_named_with_both_shapes(state_dict: dict[str, torch.Tensor]) -> None:
    with pytest.raises(WeightsError, match=r"'fc\.weight' has shape \[3, 512\], the network wants \[5, 512\]"):
        network.load("resnet18", {}, state_dict, 5, CPU)


def test_an_architecture_of_ones_own_may_be_a_method_of_a_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_heads.py").write_text(
        "import torch\n"
        "class Head(torch.nn.Linear):\n"
        "    @classmethod\n"
        "    def from_width(cls, width, num_classes):\n"
        "        return cls(width, num_classes)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    built = network.build("own_heads:Head.from_width", 3, {"width": 5})
    assert built.weight.shape == (3, 5)
    with pytest.raises(SpecError, match=r"module own_heads has no function 'Head\.from_depth'"):
        network.build("own_heads:Head.from_depth", 3, {})
