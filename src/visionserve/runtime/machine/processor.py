"""What this processor computes natively."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")

# As Linux names them: x86's dot product and tile multiplication, then Arm's (FEAT_BF16).
_BF16 = ("amx_bf16", "avx512_bf16", "bf16")

# oneDNN's own limit and its older name, which it reads where the other says nothing; with one of these
# it multiplies no bf16, whatever the processor could (https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html).
_LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
_WITHOUT_BF16 = frozenset({"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI"})

# What compilers and torch's vector code use unasked; the rest of the list is for kernels and virtual machines.
_COMPILED = (
    "sse",
    "ssse",
    "pni",
    "avx",
    "amx",
    "fma",
    "f16c",
    "bmi",
    "abm",
    "popcnt",
    "movbe",
    "gfni",
    "vaes",
    "vpclmulqdq",
    "asimd",
    "sve",
    "bf16",
    "i8mm",
    "fp",
    "atomics",
)


# What tells one kind of processor from another, in x86's words and in Arm's.
_IDENTITY = (
    "vendor_id",
    "cpu family",
    "model",
    "model name",
    "stepping",
    "cache size",
    "CPU implementer",
    "CPU part",
)


@cache
def instructions() -> frozenset[str]:
    """The instruction sets that Linux lists for the first core; none where it lists none."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    listed = (line.partition(":")[2] for line in lines if line.startswith(("flags", "Features")))
    return frozenset(next(listed, "").split())


def native_bf16() -> str | None:
    """The instruction set that multiplies bf16 here, if there is one; without it bf16 is slower than fp32."""
    limit = next(filter(None, map(os.environ.get, _LIMITS)), "")
    if limit.upper() in _WITHOUT_BF16:
        return None
    return next((name for name in _BF16 if name in instructions()), None)


def compiler_instructions() -> frozenset[str]:
    """The instruction sets here that machine code compiled for this very processor may use."""
    return frozenset(name for name in instructions() if name.startswith(_COMPILED))


@cache
def identity() -> tuple[str, ...]:
    """What tells this kind of processor from others: its model, its instruction sets, and oneDNN's limit."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
    except OSError:
        lines = []
    fields = (tuple(part.strip() for part in line.split(":", 1)) for line in lines)
    named = sorted(": ".join(field) for field in fields if field[0] in _IDENTITY)
    limits = sorted(f"{name}={os.environ[name]}" for name in _LIMITS if name in os.environ)
    return (platform.machine(), *named, *sorted(instructions()), *limits)


def description() -> str:
    """The kind of processor, for messages: `x86_64 with avx512_bf16`."""
    bf16 = native_bf16()
    return f"{platform.machine()} with {bf16}" if bf16 else f"{platform.machine()} without native bf16"
