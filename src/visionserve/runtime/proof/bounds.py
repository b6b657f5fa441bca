"""How far an engine's answers may be from the recorded ones and still be the same, by what it computes in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bounds:
    """What is allowed on the golden pictures.

    Attributes:
        picture: The largest error of a picture's logits; see `golden.error`.
        of_class: The largest deviation of a class's logits; see `deviation.of_classes`.
        lone_class: The same, of a class that strays far more than the others do; see `deviation.LONE`.
    """

    picture: float
    of_class: float
    lone_class: float


# What is allowed of a picture and a class is about twice what right engines of trained networks do on the golden
# pictures, or more. `make precision` measures that: EfficientNet-Lite0 of ImageNet, ResNet-18 and ResNet-50 of
# colours, to which these pictures are like nothing they know. Those of random weights round far more coarsely the
# deeper they are; tests/runtime/proof/test_margins.py measures all of torchvision's, in batches of 1 to 8.

# Between torch and OpenVINO: a picture at most 5e-5, a class 3e-5; random ones 7e-5 and 2e-4.
FP32 = Bounds(picture=0.01, of_class=0.02, lone_class=0.02)

# A picture 0.05 (EfficientNet-Lite0), 0.07 (ResNet-18), 0.21 (ResNet-50; 0.26 on another processor). A class 0.07,
# 0.06 and 0.14. Rounding the weights alone is most of it. EfficientNet-B7's with random weights 0.36, and 1.1.
# A class that is another's strays by about 1.4, the square root of 2, if the two are unlike. Where the class in
# the middle strays by less than 0.15, as it did with all that are trained, `deviation.LONE` decides first.
BF16 = Bounds(picture=0.5, of_class=1.2, lone_class=0.1)

# From int8's own answers where the archive was built, to other processors with the same kind of product, by
# tiles or by vectors: a picture 0.03, a class 0.04. One without VNNI adds products in 16 bits, which overflow: a
# picture 0.12 to 0.37, a class 0.08 to 0.65 (docs/performance.md has one such run), and one in five of
# EfficientNet-Lite0's photographs is another class; so that kind of processor refuses what differs so much.
INT8 = Bounds(picture=0.2, of_class=0.2, lone_class=0.1)

_OF = {"fp32": FP32, "bf16": BF16, "int8": INT8}


def of(precision: str) -> Bounds:
    """The bounds of `fp32`, `bf16` or `int8`."""
    return _OF[precision]
