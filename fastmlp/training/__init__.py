"""Training: an epoch, or many of them."""

from .epoch import train_epoch
from .fit import fit
from .history import History, Record
from .stopping import EarlyStopping

__all__ = ["EarlyStopping", "History", "Record", "fit", "train_epoch"]
