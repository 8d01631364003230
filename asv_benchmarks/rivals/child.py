"""One rival on one workload, in a process of its own: a job comes on stdin, its result goes to stdout."""

import json
import sys

from .jobs import Job
from .measure import Child, check, predict, train
from .reach import grid, reach
from .recipe import recipe
from .registry import confine

JOBS = {what.__name__: what for what in (check, train, predict, reach, grid, recipe)}


def main() -> None:
    """Do the job on stdin; the last line of stdout is its result."""
    job = Job(**json.load(sys.stdin))
    if job.affinity:
        confine(job.threads)
    print(json.dumps(JOBS[job.what](Child(job))))


if __name__ == "__main__":
    main()
