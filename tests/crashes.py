"""Runs that are killed at random moments, with their disk if asked, and what their checkpoints then hold.

    python -m crashes RUN THREADS CRASHES FOLDER [IMAGE]

trains in processes that write a checkpoint after every epoch, to a file in a folder, and go on from it after
each crash. With the name of an image, to be made, the folder is where that disk is mounted, and it fails
first: what had not been synced is lost. Prints as JSON the crashes, those within a write, and the runs that
were completed.
"""

import dataclasses
import errno
import fcntl
import json
import os
import random
import signal
import struct
import subprocess
import sys
import time
import traceback
from pathlib import Path

import cut_runs as t

from fastmlp import Checkpoint, set_num_threads
from fastmlp.training import checkpoint as module

LOST = errno.EIO, errno.EROFS  # what a disk says that has failed
EXT4_SHUTDOWN, NO_FLUSH = 0x8004587D, struct.pack("I", 2)


def content(path):
    """All that a checkpoint holds but times; an error where it is not whole."""
    found = module._read(path)
    records = [dataclasses.replace(record, seconds=0) for record in found["history"]]
    rest = {name: t.repr_of(found[name]) for name in ("state", "watch", "facts", "first", "ended")}
    return len(records), (records, rest)


def train(run, path, seed=0, **options):
    model = t.make_model(seed=seed)
    resume = path if path.exists() else None
    return t.train(model, run, checkpoint=Checkpoint(path, seconds=0), resume=resume, **options)


def never_stopped(run, path):
    """What a run's checkpoint holds after each number of epochs."""
    after = {}
    train(run, path, callbacks=[lambda record: after.update([content(path)])])
    path.unlink()
    return after


def tell(pipe, n):
    os.write(pipe, bytes([n]))


class Runner:
    """Starts a run in a process of its own, and hears of each epoch whose checkpoint has been written."""

    def __init__(self, run, path, threads):
        self._heard, told = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            try:
                set_num_threads(threads)
                # the weights that the model begins with are others where there is something to go on from
                seed = 9 if path.exists() else 0
                train(run, path, seed, callbacks=[lambda record: tell(told, record.epoch + 1)])
                os._exit(0)
            except BaseException as error:
                if getattr(error, "errno", None) in LOST:
                    os._exit(error.errno)
                traceback.print_exc()
            finally:
                os._exit(255)
        os.close(told)
        os.set_blocking(self._heard, False)

    def crash(self, disk):
        """Kill it, after its disk if there is one: what was heard of until then, and whether it had ended."""
        heard = self._hear()
        if disk:
            disk.fail()
        os.kill(self._pid, signal.SIGKILL)
        later, ended = self.wait()
        return (heard if disk else max(heard, later)), ended  # a folder that cannot be synced is no error

    def wait(self):
        _, status = os.waitpid(self._pid, 0)
        code = os.waitstatus_to_exitcode(status)
        assert code in (0, -signal.SIGKILL, *LOST), code
        heard = self._hear()
        os.close(self._heard)
        return heard, code == 0

    def _hear(self):
        try:
            return max(os.read(self._heard, 1000), default=0)
        except BlockingIOError:
            return 0


class Disk:
    """A disk in a file, which can fail as if the power had."""

    def __init__(self, image, folder):
        self._mount = ["mount", "-o", "loop,noauto_da_alloc", image, folder]
        self._folder = folder
        with open(image, "wb") as file:
            file.truncate(16 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
        subprocess.run(self._mount, check=True)

    def fail(self):
        descriptor = os.open(self._folder, os.O_RDONLY)
        fcntl.ioctl(descriptor, EXT4_SHUTDOWN, NO_FLUSH)
        os.close(descriptor)

    def come_back(self):
        subprocess.run(["umount", self._folder], check=True)
        subprocess.run(self._mount, check=True)


def main(run, threads, crashes, folder, image=None):
    draw, disk = random.Random(f"{run} {threads}"), Disk(image, folder) if image else None
    path, threads = Path(folder) / "run.safetensors", int(threads)
    set_num_threads(1)  # so that this process may be forked
    expected = never_stopped(run, path)
    start = time.monotonic()
    Runner(run, path, threads).wait()
    whole = time.monotonic() - start
    completed, within, last = 0, 0, 0
    path.unlink()
    for _ in range(int(crashes)):
        runner = Runner(run, path, threads)
        time.sleep(draw.uniform(0, whole / 2))
        heard, ended = runner.crash(disk)
        if disk:
            disk.come_back()
        left = [*Path(folder).glob(".fastmlp-*")]
        within += bool(left)
        for each in left:
            each.unlink()
        assert path.exists() or not max(heard, last)
        if path.exists():
            n, found = content(path)
            assert n >= max(heard, last) and found == expected[n], (n, heard, last)
            last = n
        if ended or last == len(expected):
            completed, last = completed + 1, 0
            path.unlink()
    Runner(run, path, threads).wait()
    assert content(path) == (len(expected), expected[len(expected)])
    print(json.dumps({"crashes": int(crashes), "within a write": within, "completed": completed + 1}))


if __name__ == "__main__":
    main(*sys.argv[1:])
