"""Threads of a parallel region: the barrier, who does which share, and how a region starts, waits and ends.

A region is one run of a compiled body by n threads; each gets the words that they share, its number and n.

ARRIVALS  counts who has come to a barrier; all add to it. Barrier b is open once n * b have come. What a
          thread wrote before it arrived is seen by all who pass. BROKEN is written by a thread that fails and
          by whoever calls threads off: from then on no barrier holds, and a body leaves at the next one that
          it looks at.
ACTIVE    how many threads go on; thread 0 alone writes it, before the barrier at a batch's start, and the
          others read it behind that barrier. So all leave an epoch together, between two batches.
STALLS    counts waits that no share explains; any thread may add, thread 0 reads.
PATIENCE  cycles from which a wait is a stall; thread 0 alone writes it.
STOP      belongs to the caller, who may write it at any time; thread 0 alone reads it, once a batch.

In Python, `_fates` says of each thread that it has begun or is called off: who sets it first decides, in one
uninterruptible step, and nobody changes it. `_outcomes` has an entry for each thread that has ended; a region
has ended when every thread is called off or has one. An interrupt may come on any line of the caller's: it
sets STOP, calls off who has not begun and waits for the others, who finish their batch; if anybody was called
off nobody can have passed the first barrier, which is then broken. No lock is held while threads run.
"""

import ctypes
import os
import queue
import sys
import threading
import time
from _thread import start_new_thread

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from . import machine
from .jit import entry, kernel
from .machine import ARCHITECTURE, ARM, X86
from .matrix import address
from .memory import SHARE_UNIT

# Looks at a barrier, with a pause of 20 to 140 cycles after each, before a waiting thread gives its processor
# away: 0.3 to 1.5 µs. Giving it away takes as long where nobody wants it; with 20 µs, four threads on two
# processors took twice as long.
SPINS = 30
# A wait longer than the quickest batch and this, about 1 ms, is a stall: another program had the processor.
STALL_CYCLES = 3_000_000
# Multiplications that a further thread must find to do, by default: 60 µs of one thread for a single kernel,
# whose threads take up to 30 µs to wake; 1 µs for a batch of an epoch, whose barriers take 0.1 µs.
CALL_WORK, BATCH_WORK = 8_000_000, 100_000

# The same before a parked thread, or its caller, sleeps: 30 to 150 µs.
SPINS_AWAKE = 3000
SECONDS_TO_SIGNALS = 0.1

ARRIVALS, ACTIVE, STALLS, PATIENCE = 0, 8, 16, 24  # words that threads share, each on its own cache line
BROKEN = 1 << 62


# --- inside compiled code --------------------------------------------------------------------------------


@intrinsic
def _add_shared(typingctx, counter):
    """Add 1 to an int64 that others add to at the same time; what it was before."""

    def generate(context, builder, signature, args):
        return builder.atomic_rmw("add", args[0], ir.IntType(64)(1), "acq_rel")

    return types.int64(counter), generate


@intrinsic
def read_shared(typingctx, pointer):
    """Read an int64 that another thread writes."""
    return types.int64(pointer), lambda context, builder, signature, args: builder.load_atomic(
        args[0], "acquire", 8
    )


@intrinsic
def write_shared(typingctx, pointer, value):
    """Write an int64 that another thread reads."""

    def generate(context, builder, signature, args):
        builder.store_atomic(args[1], args[0], "release", 8)
        return context.get_dummy_value()

    return types.void(pointer, types.int64), generate


@intrinsic
def _yield_processor(typingctx):
    """Let another thread have this processor."""

    def generate(context, builder, signature, args):
        name = "SwitchToThread" if sys.platform == "win32" else "sched_yield"
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def cycles(typingctx):
    """Processor cycles that have passed, of 3 GHz where only a clock tells; 0 where none does."""
    return types.int64(), lambda context, builder, signature, args: emit_cycles(builder, ARCHITECTURE)


def emit_cycles(builder, architecture):
    """Emit code that reads cycles: on x86 its own, elsewhere the system's clock, which counts nanoseconds."""
    word, long = ir.IntType(64), ir.IntType(8 * ctypes.sizeof(ctypes.c_long))
    if architecture in X86:
        kind = ir.FunctionType(word, [])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.readcyclecounter"), [])
    if not hasattr(time, "CLOCK_MONOTONIC"):
        return word(0)
    now = cgutils.alloca_once(builder, ir.ArrayType(long, 2))
    kind = ir.FunctionType(ir.IntType(32), [ir.IntType(32), now.type])
    clock = cgutils.get_or_insert_function(builder.module, kind, "clock_gettime")
    builder.call(clock, [ir.IntType(32)(time.CLOCK_MONOTONIC), now])
    seconds, rest = (builder.sext(builder.extract_value(builder.load(now), i), word) for i in range(2))
    return builder.mul(builder.add(builder.mul(seconds, word(10**9)), rest), word(3))


@intrinsic
def _pause(typingctx):
    """Let the processor rest for some cycles."""

    def generate(context, builder, signature, args):
        emit_pause(builder, ARCHITECTURE)
        return context.get_dummy_value()

    return types.void(), generate


def emit_pause(builder, architecture):
    """Emit what a processor has for loops that wait; on most of ARM's `yield` does nothing, `isb` does."""
    name, args = "llvm.x86.sse2.pause", []
    if architecture in ARM:
        name, args = "llvm.aarch64.isb", [ir.IntType(32)(15)]
    if architecture in X86 + ARM:
        kind = ir.FunctionType(ir.VoidType(), [arg.type for arg in args])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


@kernel
def barrier(sync, n_threads):
    """Wait until all threads are here; what each wrote before is then seen by all. False if it is broken."""
    if n_threads == 1:
        return True
    counter = address(sync, ARRIVALS, 0)
    before = _add_shared(counter)
    goal = (before // n_threads + 1) * n_threads
    spins = 0
    while read_shared(counter) < goal and before < BROKEN:
        _pause()
        spins += 1
        if spins > SPINS:
            _wait_politely(counter, goal, sync)
    return read_shared(counter) < BROKEN


@kernel
def _wait_politely(counter, goal, sync):
    """Wait for the counter while others use this processor."""
    start = cycles()
    while read_shared(counter) < goal:
        _yield_processor()
    if cycles() - start > read_shared(address(sync, PATIENCE, 0)):
        _add_shared(address(sync, STALLS, 0))


@kernel
def thread_range(n, thread, n_threads):
    """First and last + 1 of this thread's share of n rows."""
    units = (n + SHARE_UNIT - 1) // SHARE_UNIT
    first = units * thread // n_threads * SHARE_UNIT
    return first, min(n, units * (thread + 1) // n_threads * SHARE_UNIT)


@entry()
def _await_change(words, index, before):
    """Wait, not for long, until a word that another thread writes is no longer what it was before."""
    word = address(words, index, 0)
    for _ in range(SPINS_AWAKE):
        if read_shared(word) != before:
            return True
        _pause()
    return False


# --- outside ---------------------------------------------------------------------------------------------


def thread_count(work):
    """Threads of a single kernel: one for each CALL_WORK of the work, as many as are granted at most."""
    if work < 2 * CALL_WORK:  # what the machine grants takes a while to find out
        return 1
    return min(machine.explicit_threads() or machine.default_threads(), work // CALL_WORK)


def epoch_thread_count(work, units):
    """Threads of an epoch, whose batches have so much work, in units that no two threads share.

    By default one for each BATCH_WORK, and a share of the processors beside other epochs that run.
    """
    asked = machine.explicit_threads()
    if asked or work < 2 * BATCH_WORK:
        return min(asked or 1, units)
    shared = max(1, machine.default_threads() // (len(_running) + 1))
    return min(shared, work // BATCH_WORK, units)


def parallel(body, n_threads, *args):
    """Run a kernel's body on this thread and on parked ones; on this one alone while others have those."""
    if n_threads == 1:
        return body(*args, _alone, 0, 1)
    return _run(_Region(body, args, n_threads, np.zeros(1, np.int64), by_caller=True), _parked.start)


def parallel_epoch(body, n_threads, stop, *args):
    """Run a body from start to end on threads of its own, and return what thread 0 returned.

    The caller waits in Python, so that Ctrl-C arrives: it sets `stop`, waits for the threads and goes on up.
    """
    region = _Region(body, args, n_threads, stop)
    try:
        _running.add(region)
        return _run(region, _Region.spawn)
    finally:
        _running.discard(region)


def _run(region, start):
    """Start a region, wait for its end, and give what came of it or raise; then nothing of it runs."""
    try:
        try:
            start(region)
            region.wait()
        finally:  # an interrupt may come on any line,
            region.cancel()
    finally:  # and another on any line of that
        region.cancel()
    return region.result()


class _Region:
    """One run of a body by n threads; with `by_caller`, thread 0 is the calling thread."""

    def __init__(self, body, args, n_threads, stop, by_caller=False):
        self.body, self.args, self.n_threads = body, args, n_threads
        self.stop, self.by_caller = stop, by_caller
        self.sync = _new_sync()
        self.done = np.zeros(8 * n_threads, np.int64)  # a word a thread, each on its own cache line
        self._fates, self._outcomes = {}, {}
        self._bell, self._interruption = queue.SimpleQueue(), None
        body.compile(*args, self.sync, 0, n_threads)  # here, since other threads may have little stack

    def run(self, thread):
        """Do a thread's share, unless it was called off; if it fails, all leave."""
        if self._fates.setdefault(thread, True) is False:
            return
        try:
            outcome = self.body(*self.args, self.sync, thread, self.n_threads), None
        except BaseException as error:
            self._call_off()
            self.sync[ARRIVALS] = BROKEN
            outcome = None, error
        self._outcomes[thread] = outcome
        self.done[8 * thread] = 1
        self._bell.put(thread)

    def spawn(self):
        """Start all threads."""
        for thread in range(self.n_threads):
            start_new_thread(self.run, (thread,))

    def _call_off(self):
        """Call off who has not begun; whether there was anybody."""
        return False in [self._fates.setdefault(thread, False) for thread in range(self.n_threads)]

    @property
    def ended(self):
        """Whether every thread has ended or was called off."""
        return all(t in self._outcomes or self._fates.get(t) is False for t in range(self.n_threads))

    def wait(self):
        """Wait for all threads; an interrupt stops the epoch after its batch, and is raised in the end."""
        while True:
            try:
                if self.ended:
                    return
                # not for ever: a signal that another thread took is seen here between two waits
                self._bell.get(timeout=SECONDS_TO_SIGNALS)
            except queue.Empty:
                pass
            except BaseException as interruption:
                self._interruption, self.stop[0] = interruption, 1

    def cancel(self):
        """Stop what still runs, call off what has not begun, and wait for the end."""
        if self.ended:
            return
        self.stop[0] = 1
        if self._call_off() or self.by_caller:
            self.sync[ARRIVALS] = BROKEN
        if self.by_caller:  # who is here, and so not in its share
            self._outcomes.setdefault(0, (None, None))
        self.wait()

    def result(self):
        """What thread 0 returned; raises the interrupt, or the first error."""
        for error in (self._interruption, *(error for _, error in self._outcomes.values())):
            if error is not None:
                raise error
        return self._outcomes[0][0]


class _Parked:
    """Threads that wait in Python between regions, lent to one at a time."""

    def __init__(self):
        self._line, self._inboxes, self._calls = {}, [], np.zeros(1, np.int64)

    def start(self, region):
        """Run a region: thread 0 here, the others on the parked threads; all of it here if those are lent."""
        try:
            if self._lend(region):
                self._hand_out(region)
            else:
                region.n_threads = 1
            region.run(0)
            for thread in range(1, region.n_threads):  # as long as a waking thread would take
                _await_change(region.done, 8 * thread, 0)
        finally:
            self._line.pop(region, None)

    def _lend(self, region):
        """Whether the threads are this region's: the first in the line that has not ended has them."""
        self._line[region] = None
        for other in list(self._line):
            if other is region:
                return True
            if not other.ended:
                break
            self._line.pop(other, None)
        self._line.pop(region)  # it has no turn later
        return False

    def _hand_out(self, region):
        """Give parked threads their numbers in a region; those that are missing are made."""
        _await_change(self._calls, 0, -1)  # compiled here, since parked threads may have little stack
        while len(self._inboxes) < region.n_threads - 1:
            inbox = queue.SimpleQueue()
            threading.Thread(target=self._work, args=(inbox,), daemon=True, name="fastmlp").start()
            self._inboxes.append(inbox)
        for thread in range(1, region.n_threads):
            self._inboxes[thread - 1].put((region, thread))
        self._calls[0] += 1

    def _work(self, inbox):
        while True:
            seen = self._calls[0]
            if inbox.empty():  # the next region often comes at once, and waking takes longer than looking
                _await_change(self._calls, 0, seen)
            region, thread = inbox.get()
            region.run(thread)
            del region  # a waiting thread holds nobody's arrays


def _new_sync():
    return np.zeros(32, np.int64)


def _park_anew():
    global _parked
    _parked = _Parked()  # threads do not survive a fork
    _running.clear()


_alone = _new_sync()
_parked = _Parked()
_running = set()  # epochs of this process, now

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_park_anew)
