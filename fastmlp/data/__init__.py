"""Data sets: inputs, labels, the loader, and files of the IDX format."""

from .datasets import load_idx_dataset
from .idx import load_mnist_images, load_mnist_labels, read_idx
from .inputs import prepare_inputs
from .labels import class_weights, labels_for, prepare_labels, prepare_weights, to_one_hot
from .loader import DataLoader, Facts, Seed, create_batches, epoch_order
from .mnist import load_mnist

__all__ = [
    "DataLoader",
    "Facts",
    "Seed",
    "class_weights",
    "create_batches",
    "epoch_order",
    "labels_for",
    "load_idx_dataset",
    "load_mnist",
    "load_mnist_images",
    "load_mnist_labels",
    "prepare_inputs",
    "prepare_labels",
    "prepare_weights",
    "read_idx",
    "to_one_hot",
]
