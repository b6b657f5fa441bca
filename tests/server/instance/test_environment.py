"""What of the environment reaches TorchServe."""

from __future__ import annotations

import pytest

from visionserve.server.errors import ServerError
from visionserve.server.instance import environment

NEEDED = {
    "PATH": "/usr/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "LC_ALL": "C",
    "CUDA_VISIBLE_DEVICES": "0",
    "NVIDIA_VISIBLE_DEVICES": "all",
    "OMP_NUM_THREADS": "2",
    "MKL_NUM_THREADS": "2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "OPENVINO_LOG_LEVEL": "1",
    "TORCHINDUCTOR_CACHE_DIR": "/var/cache/torch",
    "PYTORCH_CUDA_ALLOC_CONF": "x",
    "LD_LIBRARY_PATH": "/usr/local/cuda/lib64",
    "PYTHONUNBUFFERED": "1",
    "VISIONSERVE_ROOT": "/srv",
}
# Any name at all, names that look like no secret, and such as begin like something harmless.
SECRETS = {
    "DATABASE_URL": "postgres://user:pass@db",
    "OPENAI_KEY": "1",
    "STRIPE_LIVE": "2",
    "GH_PAT": "3",
    "xyzzy": "4",
    "AWS_ACCESS_KEY_ID": "5",
    "SSH_AUTH_SOCK": "6",
    "KUBECONFIG": "7",
    "VISIONSERVE_API_KEY": "8",
    "VISIONSERVE_KEY_PASSPHRASE": "9",
    "TORCH_HUB_TOKEN": "10",
    "NVIDIA_API_KEY": "11",
    "OV_SECRET": "12",
}
# What would change which code runs, or how.
MEDDLING = dict.fromkeys(
    (
        *("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONINSPECT", "TS_CONFIG_FILE", "TS_ALLOWED_URLS"),
        *("LOG4J_CONFIGURATION_FILE", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH"),
    ),
    "x",
)


def test_what_is_needed_arrives_and_nothing_else() -> None:
    assert environment.passed({**NEEDED, **SECRETS, **MEDDLING}) == {**NEEDED, "VISIONSERVE_INSTANCES": "1"}


def test_what_server_yaml_names_arrives() -> None:
    named = ("DATABASE_URL", "VISIONSERVE_API_KEY", "NOT_THERE")
    arrived = environment.passed({**NEEDED, **SECRETS}, named)
    assert arrived == {**NEEDED, "VISIONSERVE_INSTANCES": "1", **{name: SECRETS[name] for name in named[:2]}}


@pytest.mark.parametrize("name", ["PYTHONPATH", "TS_CONFIG_FILE", "TS_DEBUG", "TMPDIR", "LOG_LOCATION"])
def test_a_name_that_changes_how_torchserve_is_run_is_refused(name: str) -> None:
    with pytest.raises(ServerError, match=f"environment names {name}, which would change how TorchServe is run"):
        environment.passed({}, [name])


def test_a_name_that_torchserve_keeps_from_workers_is_told() -> None:
    with pytest.raises(ServerError, match=r"names HF_TOKEN, which blacklist_env_vars=\(.*TOKEN.*\) .* keeps"):
        environment.passed({"HF_TOKEN": "x"}, ["HF_TOKEN"], "(AWS_.*|.*TOKEN.*)")


@pytest.mark.parametrize("withheld", ["VISIONSERVE_.*", ".*"])
def test_what_workers_need_to_share_the_cores_cannot_be_hidden(withheld: str) -> None:
    assert environment.passed({}, withheld=withheld) == {"VISIONSERVE_INSTANCES": "1"}
    with pytest.raises(ServerError, match="instances: 1"):
        environment.passed({}, withheld=withheld, instances=2)
