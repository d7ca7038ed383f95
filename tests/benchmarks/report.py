"""The figures of a run as a table, each beside its goal. Pure."""

from __future__ import annotations

from typing import Any


def table(results: dict[str, Any]) -> str:
    """Return lines of "measure, figure, goal"; what was not measured is left out."""
    rows: list[tuple[str, str, str]] = []
    for name, lines in ROWS.items():
        if results.get(name):
            rows += lines(results[name])
    rows += _machine(results)
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]}" for row in rows)


def _throughput(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    product, bare = found["product"], found["bare"]
    return [
        ("sustained, HTTP to visible in attainments", f"{product['events_per_second']:,}/s", "goal 30,000, aim 45,000"),
        ("  the bare script, in turn", f"{bare['events_per_second']:,}/s", ""),
        ("  ratio to the bare script", f"{found['ratio']:.2f}", "goal 0.7"),
        ("  CPU per event, all processes", f"{product['cpu_us_per_event']} us", "goal 40 us"),
        ("  the bare script's", f"{bare['cpu_us_per_event']} us", f"ratio {found['cpu_ratio']:.2f}"),
    ]


def _freshness(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (f"freshness at {found[who]['events_per_second']:,}/s, {who}", _ms(found[who]["fresh_ms"]), goal)
        for who, goal in (("product", "goal p50 25, p99 75 ms"), ("bare", ""))
    ]


def _inbox(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        ("one event a message, durable", f"{found['product_per_second']:,}/s", ""),
        ("  bare pipelined publish", f"{found['bare_per_second']:,}/s", ""),
        ("  ratio", f"{found['ratio']:.2f}", "goal 0.8"),
    ]


def _obvious(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [("the obvious way", f"{found['events_per_second']:,}/s", f"product x {found['product_is_times']}, goal 80")]


def _rebuild(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (f"rebuild from {found['activities']:,} activities", f"{found['seconds']:.1f} s", "goal 5 s a million"),
        ("  a million", f"{found['seconds_per_million']:.1f} s", f"bare: {found['bare']['seconds']} s"),
    ]


def _reads(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    names = {"table": "department table, 40 people", "person": "person page", "explain": "explain"}
    at = f"at {found['activities']:,}"
    return [(f"{label} {at}", _ms(found[name]), "goal p99 30 ms") for name, label in names.items()]


def _tickets(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    rate, cost = found["commands_per_second"], found["cpu_us_per_command"]
    return [
        ("commands on tickets, 16 clients", f"{rate:,}/s at {cost:,} us of CPU", "goal 500/s"),
        ("their answers", _ms(found["milliseconds"]), "goal p99 100 ms"),
        *((f"tickets: {name}", _ms(asked), "goal p99 50 ms") for name, asked in found["reads"].items()),
    ]


def _idle(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        ("idle after demo, resident", f"{found['resident_mb']} MB", "goal 900 MB"),
        ("idle after demo, CPU", f"{found['cpu_percent_of_a_core']} %", "goal 3 % of a core"),
        ("ready after `up`, new instance", f"{found['ready_seconds']} s", "goal 15 s"),
    ]


def _growth(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (f"CPU per event at {found['activities']:,}", f"x {found['cpu_ratio']}", "goal 1.1"),
        *_reads(found["reads"] | {"activities": found["activities"]}),
    ]


def _machine(results: dict[str, Any]) -> list[tuple[str, str, str]]:
    limits = results["limits"]
    return [
        (
            "limits: flush of 8 kB",
            f"{limits['flush_8kB_us']['p50']:.0f} us",
            f"p99 {limits['flush_8kB_us']['p99']:.0f}",
        ),
        ("limits: loopback", f"{limits['loopback_MB_per_s']} MB/s", f"{results['machine']['cores']} cores"),
    ]


def _ms(found: dict[str, float]) -> str:
    if not found["n"]:
        return "none"
    return f"p50 {found['p50']:.1f}  p99 {found['p99']:.1f} ms"


ROWS = {
    "throughput": _throughput,
    "freshness": _freshness,
    "inbox": _inbox,
    "obvious_way": _obvious,
    "rebuild": _rebuild,
    "reads": _reads,
    "tickets": _tickets,
    "idle": _idle,
    "growth": _growth,
}
