"""Training: an epoch, or many of them."""

from .epoch import train_epoch
from .fit import fit
from .history import History, Record

__all__ = ["History", "Record", "fit", "train_epoch"]
