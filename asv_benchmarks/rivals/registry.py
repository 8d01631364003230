"""Who is compared: where each rival's code is, what it needs installed, and what holds it to some threads."""

import importlib.metadata
import importlib.util
import os
from dataclasses import dataclass

import fastmlp

OWN = "fastmlp"
HERE = "asv_benchmarks.rivals"
BLAS = "OPENBLAS_NUM_THREADS"
TORCH = "torch.set_num_threads"
AFFINITY = "os.sched_setaffinity"  # XLA takes as many threads as there are processors that it may use


@dataclass(frozen=True)
class Entry:
    """A rival under the name that the command line and the results use.

    Parameters
    ----------
    name, title : for the command line, and for people
    versioned : the title with places for the versions of `needs`
    code : module:class, imported in a process of its own
    needs : importable name -> distribution
    limit : what holds it to n threads
    lacks : why it cannot train by the recipe; empty where it can
    """

    name: str
    title: str
    versioned: str
    code: str
    needs: dict[str, str]
    limit: str
    lacks: str = ""

    def missing(self) -> list[str]:
        """Distributions that are not installed."""
        return [needed for name, needed in self.needs.items() if importlib.util.find_spec(name) is None]

    def missing_message(self) -> str:
        """Say that it is left out, and the command that changes that."""
        missing = self.missing()
        return (
            f"{self.title} is left out, as {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not installed: pip install {' '.join(missing)}"
        )

    def with_versions(self) -> str:
        """Title with the versions that are installed."""
        if self.name == OWN:  # a clone is not installed
            return self.versioned.format(fastmlp.__version__)
        return self.versioned.format(*map(importlib.metadata.version, self.needs.values()))


LACKS = {
    "sklearn": "no rates step by step, no smoothing of labels",
    "notebook": "plain gradient descent alone",
}
_NUMPY, _TORCH = {"numpy": "numpy"}, {"torch": "torch"}
_JAX = {"jax": "jax"}
_SKLEARN = {"sklearn": "scikit-learn"}
ENTRIES = {
    name: Entry(name, title, versioned, f"{HERE}.{code}", needs, limit, LACKS.get(name, ""))
    for name, title, versioned, code, needs, limit in (
        (OWN, "fastmlp", "fastmlp {}", "rival_fastmlp:Fastmlp", {}, "fastmlp.set_num_threads"),
        ("jax", "JAX", "JAX {}", "rival_jax:Jax", _JAX, AFFINITY),
        (
            "keras",
            "Keras on JAX",
            "Keras {} on JAX {}",
            "rival_keras:Keras",
            {"keras": "keras", **_JAX},
            AFFINITY,
        ),
        ("torch-compile", "PyTorch compiled", "PyTorch {} compiled", "rival_torch:Compiled", _TORCH, TORCH),
        ("torch", "PyTorch eager", "PyTorch {} eager", "rival_torch:Eager", _TORCH, TORCH),
        ("sklearn", "scikit-learn", "scikit-learn {}", "rival_sklearn:ScikitLearn", _SKLEARN, BLAS),
        ("reference", "NumPy float32", "NumPy {} in float32", "rival_fastmlp:Reference", _NUMPY, BLAS),
        ("notebook", "notebook float64", "the notebook on NumPy {}", "rival_notebook:Notebook", _NUMPY, BLAS),
    )
}


def thread_counts(entry: Entry, available: int) -> list[int]:
    """Give the numbers of threads to try, the most first: two and one, where the machine has them."""
    if entry.limit == AFFINITY and not hasattr(os, "sched_setaffinity"):
        return [available]  # nothing holds it to fewer on this system
    return [n for n in (2, 1) if n <= available]


def limits(threads: int) -> dict[str, str]:
    """Give the variables that hold libraries to so many threads; they are read when one is loaded."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    return dict.fromkeys(names, str(threads))


def confine(threads: int) -> None:
    """Let this process run on so many of its processors; to be called before XLA counts them."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
