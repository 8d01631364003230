"""The old name of `fastmlp.training`, for pickles made under it."""

from .training import History, Record, fit, train_epoch  # noqa: F401
