"""What TorchServe and its workers see of the environment: what they need by name, so that no secret reaches them.

A list of what is kept from them would have to know every secret's name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from visionserve.runtime.machine import cores
from visionserve.server.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NAMES = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TZ", "LANG", "LANGUAGE", "XDG_CACHE_HOME"),
        *("LD_LIBRARY_PATH", "LD_PRELOAD"),  # the libraries of CUDA, another allocator
        # Python's that change neither which code runs nor which modules are found.
        *("PYTHONUNBUFFERED", "PYTHONHASHSEED", "PYTHONUTF8", "PYTHONIOENCODING", "PYTHONWARNINGS"),
        *("PYTHONMALLOC", "PYTHONFAULTHANDLER", "PYTHONDONTWRITEBYTECODE", "PYTHONNOUSERSITE", "PYTHONDEVMODE"),
        *("TORCH_HOME", "TORCH_CPU", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
    }
)
# What tunes the network's run and memory: devices, threads, kernels, caches, logs.
_PREFIXES = (
    *("LC_", "MALLOC_", "VISIONSERVE_"),
    *("CUDA_", "NVIDIA_", "CUBLAS_", "CUDNN_", "NCCL_", "TRITON_"),
    *("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "TBB_", "ONEDNN_", "DNNL_", "ATEN_"),
    *("OPENVINO_", "OV_", "PYTORCH_", "TORCH_", "TORCHINDUCTOR_", "TORCHDYNAMO_"),
)
# A client's key and a signer's passphrase are not for the workers, though their names begin as ours do.
_NEVER = ("VISIONSERVE_API_KEY", "VISIONSERVE_KEY_PASSPHRASE")
_SECRET = re.compile(r".*(?:TOKEN|SECRET|PASSW|CREDENTIAL|API_?KEY|PRIVATE).*")
# Set for each instance, or such that they would beat what it is given.
_OURS = ("TEMP", "TMPDIR", "LOG_LOCATION", "METRICS_LOCATION", "PYTHONPATH", "PYTHONHOME", "TS_CONFIG_FILE")


def passed(
    environment: Mapping[str, str], named: Sequence[str] = (), withheld: str = "", instances: int = 1
) -> dict[str, str]:
    """The part of an environment that TorchServe is started with, and what tells workers who shares their cores.

    Args:
        environment: What there is.
        named: Further variables to pass, as `environment` in server.yaml names them.
        withheld: The pattern of those that TorchServe keeps from workers, its `blacklist_env_vars`.
        instances: How many TorchServes share this machine's cores.

    Raises:
        ServerError: One that is named, or that workers need, could not get there.
    """
    for name in named:
        _require_passable(name, withheld)
    if instances > 1 and _is_hidden(cores.SHARED_BY, withheld):
        raise ServerError(
            f"config.properties: blacklist_env_vars={withheld} keeps {cores.SHARED_BY} from workers, each of which"
            " would compute with all cores; let it pass, or serve with instances: 1"
        )
    chosen = {name: value for name, value in environment.items() if name in named or _is_harmless(name)}
    return {**chosen, cores.SHARED_BY: str(instances)}


def _is_harmless(name: str) -> bool:
    if name in _NEVER or _SECRET.fullmatch(name.upper()):
        return False
    return name in _NAMES or name.startswith(_PREFIXES)


def _require_passable(name: str, withheld: str) -> None:
    if name in _OURS or name.startswith("TS_"):
        raise ServerError(f"server.yaml: environment names {name}, which would change how TorchServe is run")
    if _is_hidden(name, withheld):
        raise ServerError(
            f"server.yaml: environment names {name}, which blacklist_env_vars={withheld} in config.properties"
            " keeps from workers; change one of them"
        )


def _is_hidden(name: str, withheld: str) -> bool:
    try:
        return bool(withheld) and re.fullmatch(withheld, name) is not None
    except re.error:
        return False  # a pattern of Java's
