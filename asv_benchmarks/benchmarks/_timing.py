"""How long asv measures a cell, and the ratio of both back ends that a noisy machine leaves as it is."""

import math
import time

OPS = ["reference", "kernels"]
SAMPLE = 2e-3  # seconds: short beside what disturbs, long beside the clock
SECONDS = 1.5  # of a ratio


class Timed:
    """Attributes of benchmarks in one process a cell: asv would start two, for as long again."""

    rounds = 1
    warmup_time = 0  # setup has called already what is timed
    repeat = (5, 50, 0.5)  # samples at least, at most, and seconds in between


def ratio_over(*params):
    """Mark a benchmark as a ratio of both back ends over parameters of its own."""

    def mark(function):
        function.params = params
        function.unit = "kernels/reference"
        return function

    return mark


def ratio_of(pair):
    """Least time of the second of a pair over that of the first.

    Both run by turns in one process, for as long, so that whatever slows the machine finds both; and of many
    short samples the least is one that nothing disturbed.

    Parameters
    ----------
    pair : what is called, by name: for each of OPS, or of theirs and ours
    """
    calls = {name: calls_a_sample(call) for name, call in pair.items()}
    turn = max(calls[name] * seconds(call, calls[name]) for name, call in pair.items())
    best = dict.fromkeys(pair, math.inf)
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        for name, call in pair.items():
            best[name] = min(best[name], least(call, calls[name], turn))
    first, second = best.values()
    return second / first


def calls_a_sample(call):
    """Calls that fill a sample."""
    return max(1, round(SAMPLE / min(seconds(call, 1) for _ in range(5))))


def least(call, times, duration):
    """Least of the samples that begin within so many seconds, one at least."""
    end = time.perf_counter() + duration
    best = seconds(call, times)
    while time.perf_counter() < end:
        best = min(best, seconds(call, times))
    return best


def seconds(call, times):
    """Mean seconds of a call, of so many in a row."""
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times
