"""A run as Markdown: what is shown in the README, and the whole of it beside the JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import plan
from benchmarks.results import Workload
from benchmarks.targets import TARGETS
from visionserve.archiver.models.spec import HandlerSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.results import Entry, Results, Spread

_BRIEF_LOADS = [Workload(plan.RESNET50, "500x375", clients) for clients in (1, 32)]
MODELS = {plan.RESNET50: "ResNet-50", plan.VGG16: "VGG-16"}


def summary(results: Results, model: str = plan.RESNET50) -> str:
    """Requests a second of every contender under each of a model's workloads, one row per contender."""
    loads = [load for load in results.workloads() if load.model == model]
    head = [MODELS[model], *(_load(load) for load in loads), "p50 at 1 client"]
    rows = []
    for entry in _entries(results, model):
        if entry.not_run:
            rows.append([entry.title, *("not run" for _ in loads), ""])
            continue
        cells = [_plain(results.rate(entry.name, load)) for load in loads]
        rows.append([entry.title, *cells, _latency(results, entry, loads)])
    return table(head, rows)


def brief(results: Results) -> str:
    """Requests a second on ResNet-50 of stock TorchServe, of LitServe as documented, and of ours, and the p50."""
    shown = (plan.STOCK, plan.LITSERVE, *plan.OURS.values())
    loads = [load for load in results.workloads() if load.model == plan.RESNET50 and load in _BRIEF_LOADS]
    head = [MODELS[plan.RESNET50], *(_load(load) for load in loads), "p50 at 1 client"]
    rows = [
        [entry.title, *(_plain(results.rate(entry.name, load)) for load in loads), _latency(results, entry, loads)]
        for entry in _entries(results, plan.RESNET50)
        if entry.name in shown and not entry.not_run
    ]
    return table(head, rows)


def leniency(results: Results) -> str:
    """Which variants were built with less agreement than builds ask for by default, and what theirs is."""
    lines = []
    for entry in results.entries:
        bound = entry.settings.get("minAgreement")
        if bound is None or entry.name not in plan.OURS.values():
            continue
        agreed = ", ".join(
            f"{one.agreed} of {one.count} ({one.pictures})"
            for one in results.agreements
            if (one.model, plan.OURS[one.variant]) == (entry.model, entry.name)
        )
        lines.append(
            f"{MODELS[entry.model]}, {entry.title}: built with `minAgreement: {bound}`, for"
            f" {HandlerSpec.min_agreement} refuses it; it names the class that torch in fp32 names for {agreed}."
        )
    return " ".join(lines)


def setting(results: Results) -> str:
    """One sentence: where, with what and how the numbers were measured."""
    about = results.about
    hardware, versions = about["hardware"], about["versions"]
    software = ", ".join(
        f"{name} {versions[name]}" for name in ("torch", "torchserve", "openvino", "litserve") if name in versions
    )
    instructions = ", ".join(hardware["instructions"]) or "no vector instructions known here"
    return (
        f"{about['date']}, {hardware['cpu']}, {hardware['cores']} cores ({instructions}); {software}. Median of"
        f" {about['plan']['rounds']} interleaved rounds of {about['plan']['seconds']:g} s, photograph-like JPEGs,"
        " keep-alive clients that each wait for their answer, load generator on the same cores, every answer"
        " checked."
    )


def report(results: Results, chart: str) -> str:
    """The whole run: rates, ratios, targets, memory, agreement, contenders, and what disturbed it.

    Args:
        results: The run.
        chart: The Markdown that shows the chart.
    """
    about = results.about
    parts = [
        "# visionserve beside its peers",
        f"Written by `{about['command']}` at commit {about['commit']}. {setting(results)}",
        chart,
    ]
    faults = results.faulty()
    if faults:
        parts += [
            "## Failed: wrong answers or errors",
            table(
                ["contender", "wrong", "errors", "examples"],
                [
                    [f"{name}, {MODELS[model]}", str(wrong), str(errors), "; ".join(examples)]
                    for (model, name), (wrong, errors, examples) in faults.items()
                ],
            ),
        ]
    for model in dict.fromkeys(load.model for load in results.workloads()):
        loads = [load for load in results.workloads() if load.model == model]
        parts += [
            f"## {MODELS[model]}: requests a second, median (lowest to highest round)",
            _rates(results, model, loads),
        ]
        parts += ["Over stock with 1 worker, in the same round:", _ratios(results, model, loads)]
    parts += ["## Targets", _targets(results)]
    parts += ["## Start, memory, idling", _resources(results)]
    parts += [
        "## Answers compared with torch fp32",
        table(
            ["variant", "pictures", "same top-1"],
            [
                [f"{MODELS[one.model]}, {one.variant}", one.pictures, f"{one.agreed} of {one.count}"]
                for one in results.agreements
            ],
        ),
    ]
    parts += ["## The load generator and the rest of the machine", _disturbance(results)]
    parts += ["## What each contender is", *_contenders(results)]
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table: the first column to the left, the others to the right."""
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _entries(results: Results, model: str) -> list[Entry]:
    return [entry for entry in results.entries if entry.model == model]


def _load(load: Workload) -> str:
    return f"{load.pictures}, {load.clients} client{'s' if load.clients > 1 else ''}"


def _plain(value: Spread | None) -> str:
    return f"{value.median:.1f}" if value else ""


def _spread(value: Spread | None, digits: int = 1, unit: str = "") -> str:
    if value is None:
        return ""
    shown = f"{value.median:.{digits}f}{unit}"
    return shown if value.low == value.high else f"{shown} ({value.low:.{digits}f} to {value.high:.{digits}f})"


def _latency(results: Results, entry: Entry, loads: Sequence[Workload]) -> str:
    alone = next((load for load in loads if load.clients == 1), None)
    found = results.p50(entry.name, alone) if alone else None
    return f"{found.median:.1f} ms" if found else ""


def _rates(results: Results, model: str, loads: Sequence[Workload]) -> str:
    rows = []
    for entry in _entries(results, model):
        if entry.not_run:
            rows.append([entry.title, *("not run" for _ in loads)])
        else:
            rows.append([entry.title, *(_spread(results.rate(entry.name, load)) for load in loads)])
    reasons = [f"- {entry.title}: not run: {entry.not_run}" for entry in _entries(results, model) if entry.not_run]
    rates = table(["", *(_load(load) for load in loads)], rows)
    return "\n\n".join([rates, "\n".join(reasons)]) if reasons else rates


def _ratios(results: Results, model: str, loads: Sequence[Workload]) -> str:
    rows = [
        [entry.title, *(_spread(results.ratio(entry.name, plan.STOCK, load), 2, "x") for load in loads)]
        for entry in _entries(results, model)
        if not entry.not_run and entry.name != plan.STOCK and entry.name not in plan.ENGINES.values()
    ]
    return table(["", *(_load(load) for load in loads)], rows)


def _targets(results: Results) -> str:
    rows = []
    for target in TARGETS:
        bound = f"{'>=' if target.least else '<='} {target.bound:g}{target.unit}"
        measured = target.measure(results)
        verdict = "not measured" if measured is None else "reached" if target.met(measured) else "missed"
        limit = target.limit(results)
        alone = f"{limit.median:.2f}{target.unit}" if limit else ""
        rows.append([target.what, bound, _spread(measured, 2, target.unit), verdict, alone])
    return table(["ResNet-50 unless said", "asked", "measured", "", "the engine alone"], rows)


def _resources(results: Results) -> str:
    rows = []
    for entry in results.entries:
        if entry.not_run:
            continue
        largest = entry.workers[0] if entry.workers else {}
        memory = [f"{largest[key]:.0f}" if largest else "" for key in ("rss", "pss", "uss")]
        starts = f"{min(entry.ready):.1f}" + (f" to {max(entry.ready):.1f}" if len(entry.ready) > 1 else "")
        count = str(len(entry.workers)) if entry.workers else ""
        rows.append([f"{entry.title}, {MODELS[entry.model]}", starts, count, *memory, f"{entry.idle_cpu:.2f}"])
    head = [
        "",
        "start to first answer, s",
        "processes with torch",
        "largest: RSS, MB",
        "PSS",
        "USS",
        "cores when idle",
    ]
    return table(head, rows)


def _disturbance(results: Results) -> str:
    served = [one for one in results.rounds if one.server_cpu]
    others = max((one.other_cpu for one in served), default=0.0)
    lines = [
        f"- {one.pictures}: at most {one.rate:.0f} requests/s from {one.clients} clients against a server that"
        f" does nothing, {one.cpu_ms_per_request:.2f} ms of CPU each"
        for one in results.ceilings
    ]
    generators = max((one.generator_cpu for one in served), default=0.0)
    lines.append(f"- it kept at most {generators:.2f} cores busy in any window")
    lines.append(f"- everything else on the machine kept at most {others:.2f} cores busy in any turn")
    return "\n".join(lines)


def _contenders(results: Results) -> list[str]:
    seen: dict[str, Entry] = {}
    for entry in results.entries:
        seen.setdefault(entry.name, entry)
    return [
        f"**{entry.title}** (`{entry.name}`): {entry.what}. Settings: "
        + (", ".join(f"`{key}: {value}`" for key, value in entry.settings.items()) or "none")
        + "."
        for entry in seen.values()
    ]
