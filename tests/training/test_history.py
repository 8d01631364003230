"""Histories and records: what they print, write, and how old ones load."""

import base64
import csv
import pickle
import zlib

import fastmlp
from fastmlp import train
from fastmlp.training import History, Record, fit, train_epoch


def test_a_record_prints_as_the_notebooks_line():
    line = "[Epoch 00] loss: 964.216, f1 train: 0.807, f1 test: 0.808"
    assert str(Record(0, 964.2161, 2.05, 0.8071, 0.8079, 0.1)) == line
    assert str(Record(12, 1.5, 0.1, None, 0.5, 0.1)) == "[Epoch 12] loss: 1.500, f1 test: 0.500"
    assert str(Record(7, 1.5, 0.1, None, None, 0.1)) == "[Epoch 07] loss: 1.500"
    assert (
        str(Record(7, 1.5, 0.1, None, None, 0.1, score_test=0.5)) == "[Epoch 07] loss: 1.500, r2 test: 0.500"
    )


def test_a_history_is_written_as_csv(tmp_path):
    records = [Record(0, 1 / 3, 0.1, None, 0.5, 2.0), Record(1, 0.25, 0.05, 0.75, None, 1e-9)]
    History(records).to_csv(tmp_path / "h.csv")
    text = (tmp_path / "h.csv").read_text()
    assert text.splitlines()[0] == (
        "epoch,loss,mean_loss,f1_train,f1_test,seconds,validation_loss,score_train,score_test,rate"
    )
    rows = list(csv.DictReader(text.splitlines()))
    back = [
        Record(int(row.pop("epoch")), **{k: float(v) if v else None for k, v in row.items()}) for row in rows
    ]
    assert back == records
    assert list(tmp_path.iterdir()) == [tmp_path / "h.csv"]


# A pickle of version 0.1, compressed: a history of two epochs, interrupted.
PICKLE = (
    "eNprYJn6lQECenjTEotLcnMK9EqKEjPzpvSwe2QWl+QXVU6ZPEWzcUrtFI0e9qLU5PyilOIpsVM0Mhh62ILAXIQ8a2pBfnLGFG+G"
    "Hpac/OLiKe72P6Bmc+amJubFQwVfQAU50gzjIXb59bCD2KnFJUDpB1Bp9mKg8XkpIB0HIEKlSRkcEKsyuL0ZM3jc7b9AJDJ43e2f"
    "QJl8fhn8cDsyBNztL8A0p/ZwZ+aVpBYVlRaUpKZM6ShN0gMA7pNPwQ=="
)


def test_an_old_pickle_loads():
    records = [Record(0, 1.5, 0.75, None, 0.5, 0.125), Record(1, 1.25, 0.625, None, 0.75, 0.25)]
    history = pickle.loads(zlib.decompress(base64.b64decode(PICKLE)))
    assert type(history) is History and history == History(records, interrupted=True)
    assert pickle.loads(pickle.dumps(history)) == history


def test_the_old_name_of_the_package_is_the_same():
    assert (train.History, train.Record, train.fit, train.train_epoch) == (History, Record, fit, train_epoch)
    assert fastmlp.History is History
