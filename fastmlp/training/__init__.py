"""Training: an epoch, or many of them."""

from .checkpoint import Checkpoint
from .epoch import train_epoch
from .fit import fit
from .history import History, Record
from .stopping import EarlyStopping

__all__ = ["Checkpoint", "EarlyStopping", "History", "Record", "fit", "train_epoch"]
