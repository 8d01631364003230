"""Threads that march together: the barrier, and who does which share."""

import os
import queue
import sys
import threading

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from . import machine
from .jit import entry, kernel
from .simd import address

# Spins before a waiting member gives its processor away: about 20 µs, some two hundred barriers.
SPINS = 1000
# A wait this long, about 1 ms, is a stall: another program had the processor of a member.
STALL_CYCLES = 3_000_000
# Rows are shared out in multiples of this, the height of the tallest tile.
SHARE_UNIT = 8
# Multiplications that a further member must find to do, by default: 60 µs of one thread for a call of a
# parked team, which takes up to 30 µs to wake; 1 µs for a batch of an epoch, whose barriers take 0.1 µs.
CALL_WORK, BATCH_WORK = 8_000_000, 100_000

# Looks at a word before a worker of a parked team, or its caller, sleeps: about 100 µs.
SPINS_AWAKE = 3000
SECONDS_TO_SIGNALS = 0.1

ON_X86 = llvm.get_default_triple().startswith(("x86_64", "i686"))

ARRIVALS, ORDERS, STALLS = 0, 8, 16  # words that a team shares, each on its own cache line
BROKEN = 1 << 62  # arrivals from which on no barrier holds, because a member has failed


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
def _give_way(typingctx):
    """Let another thread have this processor."""

    def generate(context, builder, signature, args):
        name = "SwitchToThread" if sys.platform == "win32" else "sched_yield"
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def _cycles(typingctx):
    """Processor cycles that have passed; 0 where a program may not read them."""

    def generate(context, builder, signature, args):
        if not ON_X86:
            return ir.IntType(64)(0)
        kind = ir.FunctionType(ir.IntType(64), [])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.readcyclecounter"), [])

    return types.int64(), generate


@kernel
def barrier(sync, members):
    """Wait until all members have come here; what each wrote before is then seen by all."""
    if members == 1:
        return
    counter = address(sync, ARRIVALS, 0)
    before = _add_shared(counter)
    goal = (before // members + 1) * members
    spins = 0
    while read_shared(counter) < goal and before < BROKEN:
        spins += 1
        if spins > SPINS:
            _wait_politely(counter, goal, address(sync, STALLS, 0))


@kernel
def _wait_politely(counter, goal, stalls):
    """Wait for the counter while others use this processor."""
    start = _cycles()
    while read_shared(counter) < goal:
        _give_way()
    if _cycles() - start > STALL_CYCLES:
        _add_shared(stalls)


@kernel
def share(n, member, members):
    """First and last + 1 of this member's part of n rows."""
    units = (n + SHARE_UNIT - 1) // SHARE_UNIT
    first = units * member // members * SHARE_UNIT
    return first, min(n, units * (member + 1) // members * SHARE_UNIT)


@entry()
def _await_change(words, index, before):
    """Wait, not for long, until a word that another thread writes is no longer what it was before."""
    word = address(words, index, 0)
    for _ in range(SPINS_AWAKE):
        if read_shared(word) != before:
            return True
        _pause()
    return False


@intrinsic
def _pause(typingctx):
    """Let the processor rest for some cycles."""

    def generate(context, builder, signature, args):
        if ON_X86:
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), generate


# --- outside ---------------------------------------------------------------------------------------------


def _new_sync():
    return np.zeros(24, np.int64)


_alone = _new_sync()


class _Call:
    """One run of a body by all members of a team."""

    def __init__(self, body, args, members):
        self.body, self.args, self.members = body, args, members
        self.sync = _new_sync()
        self._outcomes = [None] * members
        self._done = np.zeros(8 * members, np.int64)  # a word a member, each on its own cache line
        self._bell = queue.SimpleQueue()
        body.compile(*args, self.sync, 0, members)

    def take_part(self, member):
        """Do a member's share; a member that fails lets the others through all barriers."""
        try:
            self._outcomes[member] = self.body(*self.args, self.sync, member, self.members), None
        except BaseException as error:
            self.break_up()
            self._outcomes[member] = None, error
        self._done[8 * member] = 1
        self._bell.put(member)

    def break_up(self):
        """Have no member wait for another any more."""
        self.sync[ORDERS], self.sync[ARRIVALS] = 0, BROKEN

    def expect(self):
        """Wait for all members as long as a waking thread would take."""
        for member in range(self.members):
            _await_change(self._done, 8 * member, 0)

    def wait(self, interrupt=lambda: None):
        """Wait for all members, through Ctrl-C too; what member 0 returned, or the first error."""
        errors = []
        while None in self._outcomes:
            try:
                # not for ever: a signal that another thread took is seen here between two waits
                self._bell.get(timeout=SECONDS_TO_SIGNALS)
            except queue.Empty:
                pass
            except BaseException as interruption:
                errors.append(interruption)
                interrupt()
        errors += [error for _, error in self._outcomes if error]
        if errors:
            raise errors[0]
        return self._outcomes[0][0]


class _Parked:
    """Workers that wait in Python between calls, lent to one caller at a time."""

    def __init__(self):
        self.lent = threading.Lock()
        self._inboxes = []
        self._calls = np.zeros(1, np.int64)

    def run(self, call):
        """Have a call done by the workers, its caller as member 0."""
        while len(self._inboxes) < call.members - 1:
            inbox = queue.SimpleQueue()
            threading.Thread(target=self._work, args=(inbox,), daemon=True, name="fastmlp").start()
            self._inboxes.append(inbox)
        for member in range(1, call.members):
            self._inboxes[member - 1].put((call, member))
        self._calls[0] += 1
        call.take_part(0)
        call.expect()
        return call.wait()

    def _work(self, inbox):
        while True:
            seen = self._calls[0]
            if inbox.empty():  # the next call often comes at once, and waking takes longer than looking
                _await_change(self._calls, 0, seen)
            call, member = inbox.get()
            call.take_part(member)
            del call  # a waiting worker holds nobody's arrays


_parked = _Parked()


def _park_anew():
    global _parked
    _parked = _Parked()  # threads do not survive a fork


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_park_anew)


def size(work, unit):
    """Members of a team: what the user asked for, else at most one for each `unit` of the work."""
    asked = machine.explicit_threads()
    if asked or work < 2 * unit:  # what the machine grants takes a while to find out
        return asked or 1
    return min(machine.default_threads(), work // unit)


def share_out(body, work, *args):
    """Run a kernel's body: as member 0 of 1 on the caller's thread where work is small, else on the team."""
    members = size(work, CALL_WORK)
    parked = _parked
    if members == 1 or not parked.lent.acquire(blocking=False):
        return body(*args, _alone, 0, 1)
    try:
        return parked.run(_Call(body, args, members))
    finally:
        parked.lent.release()


def march(body, args, batch_work, stop):
    """Run a body from start to end on threads of its own, and return what member 0 returned.

    The caller waits in Python, so that Ctrl-C arrives: it sets `stop`, waits for the members and goes on up.
    """
    call = _Call(body, args, size(batch_work, BATCH_WORK))
    members = [
        threading.Thread(target=call.take_part, args=(member,), daemon=True, name="fastmlp")
        for member in range(call.members)
    ]

    def interrupt():
        stop[0] = 1

    try:
        for thread in members:
            thread.start()
        return call.wait(interrupt)
    except BaseException:
        interrupt()
        call.break_up()  # some may wait for one that was never started
        raise
    finally:
        for thread in members:
            if thread.ident is not None:  # it was started
                thread.join()
