"""What all benchmarks share: medians, a table, JSON in target/bench."""

import json
import os
import statistics
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
KUBESTEP = os.environ.get("KUBESTEP", os.path.join(ROOT, "target/release/kubestep"))


def wall(command, **options):
    """Seconds from start to end of a command that must succeed; its output goes nowhere."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    return time.perf_counter() - start


def first_byte(command, **options):
    """Seconds from start to the first byte on the command's stdout; then it may end."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **options)
    first = os.read(child.stdout.fileno(), 1)
    took = time.perf_counter() - start
    child.stdout.read()
    if child.wait() != 0 or not first:
        raise SystemExit(f"{command[0]} failed")
    return took


def alternate(count, **measures):
    """Medians of several measures that take turns, so that what disturbs the machine disturbs all of them."""
    taken = {name: [] for name in measures}
    for _ in range(count):
        for name, measure in measures.items():
            taken[name].append(measure())
    return {name: statistics.median(values) for name, values in taken.items()}


def report(name, rows):
    """Prints rows of (what, value, unit, ratio, goal) and keeps them. A goal that is missed is said, not hidden."""
    width = max(len(row[0]) for row in rows)
    print(f"{'':{width}}  {'median':>12}  {'ratio':>7}  goal")
    for what, value, unit, ratio, goal in rows:
        ratio_text = "" if ratio is None else f"{ratio:.2f}"
        verdict = ""
        if goal is not None:
            held = (ratio if ratio is not None else value) <= goal
            verdict = f"<= {goal:g} {'holds' if held else 'MISSED'}"
        print(f"{what:{width}}  {value:>9.2f} {unit:<2}  {ratio_text:>7}  {verdict}")
    folder = os.environ.get("BENCH", os.path.join(ROOT, "target/bench"))
    os.makedirs(folder, exist_ok=True)
    keys = ("what", "value", "unit", "ratio", "goal")
    with open(os.path.join(folder, f"{name}.json"), "w", encoding="utf-8") as file:
        json.dump([dict(zip(keys, row)) for row in rows], file, indent=1)
