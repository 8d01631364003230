"""Histories and records: what they print, write, and how old ones load."""

import base64
import csv
import pickle
import zlib

import numpy as np
import pytest
from cut_runs import RUNS, X, Y, cut, make_model, outcome, slowing, train
from models import bits

import fastmlp
from fastmlp import SGD, DataLoader, plot_training_results, schedules
from fastmlp import train as old_name
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
    old = old_name.History, old_name.Record, old_name.fit, old_name.train_epoch
    assert old == (History, Record, fit, train_epoch)
    assert fastmlp.History is History


# --- runs that go on -------------------------------------------------------------------------------------

OF_ANY_LENGTH = ["sgd", "momentum", "adam, ema", "of the epoch"]


@pytest.mark.parametrize("run", OF_ANY_LENGTH)
def test_twice_five_epochs_are_ten(ops, run):
    model, twin = make_model(ops), make_model(ops)
    first = train(model, run, 5, seed=None)
    both = train(model, run, 5, seed=None, history=first)
    assert outcome(model, both) == outcome(twin, train(twin, run, 10, seed=first.seed))
    assert len(first) == 5 and both.seed == first.seed and both.records[:5] == first.records
    third = train(model, run, 1, seed=both.seed, history=both)  # the same seed may be given
    assert [record.epoch for record in third] == list(range(11))


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_loader_goes_on_whatever_it_did_meanwhile(shuffle):
    model, twin = make_model(), make_model()
    loader, other = (DataLoader(X, Y, 16, shuffle=shuffle, seed=3) for _ in range(2))
    list(loader), list(other)
    first = fit(model, loader, epochs=2)
    list(loader)
    both = fit(model, loader, epochs=2, history=first)
    assert outcome(model, both) == outcome(twin, fit(twin, other, epochs=4))
    assert both.first_pass == 1 and both.seed == ((3,) if shuffle else None)


def test_the_orders_of_a_generator_go_on():
    model, twin = make_model(), make_model()
    first = train(model, "sgd", 2, seed=(rng := np.random.default_rng(0)))
    both = train(model, "sgd", 2, seed=rng, history=first)
    assert outcome(model, both) == outcome(twin, train(twin, "sgd", 4, seed=np.random.default_rng(0)))


def test_rates_start_anew_where_they_depend_on_the_length(ops):
    model, twin = make_model(ops), make_model(ops)
    run = "nesterov, one_cycle"
    both = train(model, run, 3, history=train(model, run, 2))
    train(twin, run, 2)
    cycle = RUNS[run]["optimizer"]
    for e in range(3):
        loader = DataLoader(X[:50], Y[:50], 16, shuffle=True, seed=4)
        loader.go_to(2 + e)
        losses, rates = np.zeros(4), schedules.rates(cycle, 4 * e, 4, 12)
        twin.run_epoch(loader, loader.next_order(), rates, losses, cycle)
        assert both[2 + e].loss == losses.sum() and both[2 + e].rate == rates[-1, 0]
    assert bits(model) == bits(twin)


def test_rates_that_depend_on_the_step_alone_run_on():
    model, twin = make_model(), make_model()
    options = {"optimizer": SGD(schedules.inverse_scaling(0.2, 0.5))}
    both = train(model, "sgd", 2, **options, history=train(model, "sgd", 3, **options))
    assert outcome(model, both) == outcome(twin, train(twin, "sgd", 5, **options))


def test_an_interrupted_run_goes_on_and_the_new_one_is_not_interrupted():
    def interrupt(record):
        if record.epoch == 1:
            raise KeyboardInterrupt

    model, twin = make_model(), make_model()
    with pytest.raises(KeyboardInterrupt) as caught:
        train(model, "adam, ema", callbacks=[interrupt])
    both = train(model, "adam, ema", 2, history=caught.value.history)
    assert outcome(model, both) == outcome(twin, train(twin, "adam, ema", 4)) and not both.interrupted


def test_a_history_of_nothing_begins_a_run(tmp_path):
    model, twin = make_model(), make_model()
    expected = outcome(twin, train(twin, "sgd", 3))
    assert outcome(model, train(model, "sgd", 3, history=History())) == expected
    model = make_model()
    before = outcome(model, train(model, "sgd", 3))
    assert outcome(model, train(model, "sgd", 0, history=train(make_model(), "sgd", 3))) == before


def test_errors_of_a_run_that_goes_on_have_all_of_its_history(tmp_path):
    model = make_model()
    first = train(model, "of the epoch", 2)
    history = cut(model, "of the epoch", tmp_path / "c", 4, history=first)
    assert [record.epoch for record in history] == [0, 1, 2, 3] and history[3].rate == slowing(3)


def test_the_plot_runs_on():
    model = make_model()
    both = train(model, "momentum", 3, history=train(model, "momentum", 2))
    curves = plot_training_results(both).axes[0].lines
    for curve in curves:
        np.testing.assert_array_equal(curve.get_xdata(), range(5))


def test_another_seed_than_the_historys_is_refused():
    model = make_model()
    first = train(model, "sgd", 1)
    with pytest.raises(ValueError, match=r"seed is \(5,\), expected \(4,\), which history has, or None"):
        train(model, "sgd", 1, seed=5, history=first)
    with pytest.raises(ValueError, match=r"seed is a Generator, expected \(4,\)"):
        train(model, "sgd", 1, seed=np.random.default_rng(0), history=first)
    with pytest.raises(ValueError, match="history is of type list, expected a History, or None"):
        train(model, "sgd", 1, history=first.records)
