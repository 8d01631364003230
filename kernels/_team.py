"""Threads that march together: the barrier, and who does which share."""

import sys
import threading

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from . import machine
from ._jit import kernel
from ._simd import address

# Spins before a waiting member gives its processor away: about 20 µs, some two hundred barriers.
SPINS = 1000
# Rows are shared out in multiples of this, the height of the tallest tile.
SHARE_UNIT = 8


# --- inside compiled code --------------------------------------------------------------------------------


@intrinsic
def _arrive(typingctx, counter):
    """Add 1 to an int64 that others add to at the same time; what it was before."""

    def generate(context, builder, signature, args):
        return builder.atomic_rmw("add", args[0], ir.IntType(64)(1), "acq_rel")

    return types.int64(counter), generate


@intrinsic
def read_shared(typingctx, pointer):
    """Read an int64 that another thread writes."""
    return types.int64(pointer), lambda context, builder, signature, args: builder.load_atomic(args[0], "acquire", 8)


@intrinsic
def write_shared(typingctx, pointer, value):
    """Write an int64 that another thread reads."""

    def generate(context, builder, signature, args):
        builder.store_atomic(args[1], args[0], "release", 8)
        return context.get_dummy_value()

    return types.void(pointer, types.int64), generate


@intrinsic
def _give_way(typingctx):
    """Let another thread have this processor."""

    def generate(context, builder, signature, args):
        name = "SwitchToThread" if sys.platform == "win32" else "sched_yield"
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])
        return context.get_dummy_value()

    return types.void(), generate


@kernel
def barrier(sync, members):
    """Wait until all members have come here; what each wrote before is then seen by all."""
    if members == 1:
        return
    counter = address(sync, 0, 0)
    goal = (_arrive(counter) // members + 1) * members
    spins = 0
    while read_shared(counter) < goal:
        spins += 1
        if spins > SPINS:
            _give_way()


@kernel
def share(n, member, members):
    """First and last + 1 of this member's part of n rows."""
    units = (n + SHARE_UNIT - 1) // SHARE_UNIT
    first = units * member // members * SHARE_UNIT
    return first, min(n, units * (member + 1) // members * SHARE_UNIT)


# --- outside ---------------------------------------------------------------------------------------------


def new_sync():
    """Shared words of a team: [0] arrivals at the barrier, [8] the published stop flag, each on its own line."""
    return np.zeros(16, np.int64)


_alone = new_sync()


def share_out(body, *args):
    """Run a kernel's body on these arguments, as member 0 of 1."""
    return body(*args, _alone, 0, 1)


def march(body, args, members, stop):
    """Run a body on `members` threads of its own, from start to end, and return what member 0 returned.

    The caller waits in Python, so that Ctrl-C arrives: it sets `stop`, waits for the members and goes on up.
    """
    sync = new_sync()
    body.compile(*args, sync, 0, members)
    results: list = [None] * members
    go, called_off = threading.Event(), []

    def work(member):
        go.wait()
        if not called_off:
            results[member] = body(*args, sync, member, members)

    threads = [threading.Thread(target=work, args=(member,), daemon=True) for member in range(members)]
    try:
        for thread in threads:
            thread.start()
    except BaseException:
        called_off.append(True)
        raise
    finally:
        go.set()
    while any(thread.is_alive() for thread in threads):
        try:
            for thread in threads:
                thread.join()
        except KeyboardInterrupt:
            stop[0] = 1
            for thread in threads:
                thread.join()
            raise
    return results[0]


def size():
    """Members of a team for an epoch or for inference."""
    return machine.get_num_threads()
