"""What TorchServe 0.12 knows in `config.properties`, as its own ConfigManager reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visionserve.server.settings import kinds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from visionserve.server.settings.kinds import Kind

KINDS: Mapping[str, Kind] = {
    # Where it listens.
    "inference_address": kinds.ADDRESS,
    "management_address": kinds.ADDRESS,
    "metrics_address": kinds.ADDRESS,
    "grpc_inference_address": kinds.HOST,
    "grpc_management_address": kinds.HOST,
    "grpc_inference_port": kinds.ANY_PORT,
    "grpc_management_port": kinds.ANY_PORT,
    "grpc_inference_max_connection_age_ms": kinds.LONG,
    "grpc_management_max_connection_age_ms": kinds.LONG,
    "grpc_inference_max_connection_age_grace_ms": kinds.LONG,
    "grpc_management_max_connection_age_grace_ms": kinds.LONG,
    "ts_open_inference_protocol": kinds.FLAG,
    # Who may ask, and by what.
    "disable_token_authorization": kinds.FLAG,
    "token_expiration_min": kinds.NUMBER,
    "enable_grpc_ssl": kinds.FLAG,
    "keystore": kinds.FILE,
    "keystore_pass": kinds.TEXT,
    "keystore_type": kinds.TEXT,
    "private_key_file": kinds.FILE,
    "certificate_file": kinds.FILE,
    "cors_allowed_origin": kinds.TEXT,
    "cors_allowed_methods": kinds.TEXT,
    "cors_allowed_headers": kinds.TEXT,
    # What is served.
    "model_store": kinds.TEXT,
    "workflow_store": kinds.TEXT,
    "load_models": kinds.TEXT,
    "models": kinds.MODELS,
    "enable_model_api": kinds.FLAG,
    "allowed_urls": kinds.PATTERNS,
    "use_env_allowed_urls": kinds.FLAG,
    "install_py_dep_per_model": kinds.FLAG,
    "default_service_handler": kinds.TEXT,
    "service_envelope": kinds.TEXT,
    # Requests and answers.
    "max_request_size": kinds.COUNT,
    "max_response_size": kinds.COUNT,
    "limit_max_image_pixels": kinds.FLAG,
    "decode_input_request": kinds.FLAG,
    "ts_header_key_sequence_id": kinds.TEXT,
    "ts_header_key_sequence_start": kinds.TEXT,
    "ts_header_key_sequence_end": kinds.TEXT,
    # Workers.
    "default_workers_per_model": kinds.WHOLE,
    "job_queue_size": kinds.COUNT,
    "default_response_timeout": kinds.COUNT,
    "default_startup_timeout": kinds.COUNT,
    "unregister_model_timeout": kinds.COUNT,
    "number_of_gpu": kinds.WHOLE,
    "initial_worker_port": kinds.PORT,
    "initial_distribution_port": kinds.PORT,
    "blacklist_env_vars": kinds.PATTERN,
    "enable_envvars_config": kinds.FLAG,
    "cpu_launcher_enable": kinds.FLAG,
    "cpu_launcher_args": kinds.TEXT,
    "ipex_enable": kinds.FLAG,
    "ipex_gpu_enable": kinds.FLAG,
    # Java, its threads and its log.
    "vmargs": kinds.TEXT,
    "number_of_netty_threads": kinds.WHOLE,
    "netty_client_threads": kinds.WHOLE,
    "use_native_io": kinds.FLAG,
    "io_ratio": kinds.PERCENT,
    "prefer_direct_buffer": kinds.FLAG,
    "async_logging": kinds.FLAG,
    "cpp_log_config": kinds.FILE,
    "debug": kinds.FLAG,
    # Metrics.
    "enable_metrics_api": kinds.FLAG,
    "metrics_mode": kinds.one_of("log", "prometheus", "legacy"),
    "metrics_config": kinds.FILE,
    "metric_time_interval": kinds.COUNT,
    "model_metrics_auto_detect": kinds.FLAG,
    "disable_system_metrics": kinds.FLAG,
    "system_metrics_cmd": kinds.TEXT,
}

# What it knows too, and a server of ours never takes.
REFUSED: Mapping[str, str] = {
    "model_snapshot": "it would load models beside those that 'visionserve serve' is given",
    "tsConfigFile": "TorchServe writes it itself, into snapshots",
    "version": "TorchServe writes it itself, into snapshots",
    "python": "workers run with the Python that runs visionserve",
    "model_server_home": "it is where the installed TorchServe is",
    "plugins_path": "code beside TorchServe's own is not loaded into it",
}
