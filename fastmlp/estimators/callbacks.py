"""Callbacks as scikit-learn has them since 1.9: around each fit, and each of its epochs or iterations."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing, with an older scikit-learn."""


class Watch:
    """The callbacks of one call of `fit` or `partial_fit`; does nothing where there are none.

    Parameters
    ----------
    estimator : whose callbacks they are
    X, y, sample_weight : as the user gave them
    n_tasks : the most epochs or iterations that there will be
    """

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any, n_tasks: int) -> None:
        metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
        self.given = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self.fit: Any = None
        self.task: Any = None
        self.scanned: tuple[Any, Any] = None, None  # an X that was scanned, and what was found
        # a meta-estimator's tree of tasks is to show this fit even if nobody watches it
        if hasattr(estimator, "_skl_callbacks") or hasattr(estimator, "_parent_callback_ctx"):
            self.fit = estimator._init_callback_context(max_subtasks=n_tasks)
            self.fit.call_on_fit_task_begin(**self.given)
        self.is_on = self.fit is not None and hasattr(estimator, "_skl_callbacks")

    def begin(self, name: str) -> None:
        """Tell of an epoch or iteration that begins, unless it has begun."""
        if self.is_on and self.task is None:
            self.task = self.fit.subcontext(task_name=name).call_on_fit_task_begin(**self.given)

    def end(self, state: Callable[[], dict[str, Any]]) -> bool:
        """Tell of its end; whether a callback wants training to stop.

        `state` gives the attributes of the estimator that training would end with here; it is called if a
        callback asks for them.
        """
        if not self.is_on:
            return False
        task, self.task = self.task, None
        return bool(task.call_on_fit_task_end(**self.given, reconstruction_attributes=state))

    def close(self) -> None:
        """Tell of the end of the fit, and of that of an epoch that was cut short."""
        if self.task:
            self.task.call_on_fit_task_end(estimator=self.given["estimator"])
        if self.fit:
            self.fit.call_on_fit_task_end(**self.given, reconstruction_attributes={})


@contextmanager
def watched(estimator: Any, X: Any, y: Any, sample_weight: Any, n_tasks: int) -> Iterator[None]:
    """Have an estimator's `_watch` while it is fitted."""
    estimator._watch = Watch(estimator, X, y, sample_weight, n_tasks)
    try:
        yield
        estimator._watch.close()
    finally:
        del estimator._watch
