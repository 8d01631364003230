"""What is known of a run, epoch by epoch."""

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, fields

from fastmlp.atomic import safe_write


@dataclass(frozen=True)
class Record:
    """What is known of one epoch: its losses, the scores asked for, and the seconds that training took."""

    epoch: int
    loss: float  # sum of the batches' mean losses
    mean_loss: float  # their mean
    f1_train: float | None
    f1_test: float | None
    seconds: float
    validation_loss: float | None = None  # mean over the samples
    score_train: float | None = None  # whatever `evaluate` gives; f1_* where that is F1
    score_test: float | None = None
    rate: float | None = None  # learning rate of the last step
    metric: str | None = None  # what the scores are: f1, r2 or d2

    def __str__(self) -> str:
        """Give the line of an epoch: `[Epoch 00] loss: 964.216, f1 train: 0.807, f1 test: 0.808`."""
        parts = [f"[Epoch {self.epoch:02d}] loss: {self.loss:.3f}"]
        scores = ("train", self.f1_train, self.score_train), ("test", self.f1_test, self.score_test)
        for name, f1, score in scores:
            if f1 is not None:
                parts.append(f"f1 {name}: {f1:.3f}")
            elif score is not None:
                parts.append(f"{self.metric or 'r2'} {name}: {score:.3f}")
        return ", ".join(parts)


@dataclass
class History:
    """The records of a run, an epoch each; `interrupted` where Ctrl-C ended it.

    Epoch e visited the samples in the order of pass first_pass + e of a `DataLoader` with this seed, given or
    drawn; the seed is None where samples came as they stand, or in the orders of a Generator.
    """

    records: list[Record] = field(default_factory=list)
    interrupted: bool = False
    seed: tuple[int, ...] | None = None
    first_pass: int = 0

    @property
    def next_epoch(self) -> int:
        """Number of the epoch that would come next."""
        return self.records[-1].epoch + 1 if self.records else 0

    def __len__(self) -> int:
        """Return the number of epochs."""
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        """Iterate over the epochs' records."""
        return iter(self.records)

    def __getitem__(self, epoch: int) -> Record:
        """Give the record of an epoch."""
        return self.records[epoch]

    def to_csv(self, path: str | os.PathLike) -> None:
        """Write a header and a line of numbers for each epoch; scores not asked for stay empty."""
        names = [column.name for column in fields(Record) if column.name != "metric"]
        with safe_write(path) as temporary, open(temporary, "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(names)
            writer.writerows([getattr(record, name) for name in names] for record in self.records)
