"""The operations: what they must have, and the reference where nothing is compiled."""

import inspect

import numpy as np
import pytest
from idx_files import write_set
from trees import python

from fastmlp import kernels
from fastmlp.ops import Operations, check_ops


def own_functions(kind):
    return {name: f for name, f in vars(kind).items() if inspect.isfunction(f) and name[0] != "_"}


def test_the_protocol_names_every_operation():
    assert sorted(own_functions(Operations)) == kernels.__all__


@pytest.mark.parametrize("name", kernels.__all__)
def test_both_back_ends_satisfy_the_protocol(ops, name):
    assert ops.__name__ in ("fastmlp.kernels", "fastmlp.reference")
    _, *expected = inspect.signature(own_functions(Operations)[name]).parameters
    assert [*inspect.signature(getattr(ops, name)).parameters] == expected


def test_operations_are_taken_as_they_are(ops):
    assert check_ops(ops) is ops


def test_operations_that_lack_one_are_refused():
    for wrong in (None, "kernels", np):
        with pytest.raises(ValueError, match="^ops is .* has no .*; expected fastmlp.kernels or fastmlp.ref"):
            check_ops(wrong)


# With the reference nothing is compiled, whether Numba would or not.
USE = """
import sys, numpy as np
from numba.core import event
with event.install_recorder("numba:compile") as compiled:
    import fastmlp
    from fastmlp import DataLoader, MLP, accuracy, evaluate, fit, load_mnist, reference, train_epoch
    X, y, X_test, y_test = load_mnist()
    X, y = X[:300], y[:300]
    for data in (X, X / np.float32(255), np.asfortranarray(X, np.float64)):
        model = MLP([784, 8, 10], seed=0, scale=1 / 255, ops=reference)
        test = X_test[:50], y_test[:50]
        history = fit(model, data, y, epochs=2, lr=0.1, validation_data=test, score_train=True)
        loader = DataLoader(data, np.eye(10)[y], 32, shuffle=True, seed=0)
        train_epoch(model, loader, lr=0.1)
        for batch in loader:
            model.forward(*batch)
            model.backward()
            model.step(0.1)
        model.save(sys.argv[1])
        loaded = MLP.load(sys.argv[1], ops=reference)
        assert (loaded.predict(X) == model.predict(X)).all()
        evaluate(model, X, y), accuracy(model, X, y), model.predict_proba(X[0])
assert not compiled.buffer, compiled.buffer
for name, module in list(sys.modules.items()):
    if name.startswith("fastmlp."):
        for value in vars(module).values():
            dispatcher = getattr(value, "dispatcher", value)
            assert not getattr(dispatcher, "signatures", None), (name, value)
assert loader.masks.size
print(history[1].loss < history[0].loss)
"""


@pytest.mark.parametrize("jit_off", ["0", "1"])
def test_the_reference_needs_no_compiled_code(tmp_path, jit_off):
    child = python(
        "-W", "error", "-c", USE, tmp_path / "model", cache=tmp_path / "cache", NUMBA_DISABLE_JIT=jit_off
    )
    assert (child.returncode, child.stdout) == (0, "True\n"), child.stderr
    assert not (tmp_path / "cache" / "code").exists()


WITHOUT_JIT = """
import pickle, sys, warnings, numpy as np
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import fastmlp
    from fastmlp import DataLoader, DigitsClassifier, MLP, fit, kernels, reference
    X, y = np.eye(12, 6, dtype=np.uint8), np.arange(12) % 3
    loader = DataLoader(X, y, 4)
    assert not caught
    assert loader.facts.max_label == 2 and len(loader.masks) == 12
    models = [MLP([6, 5, 3], seed=0), DigitsClassifier(6, (5,), 3, seed=0, ops=kernels)]
    models.append(MLP([6, 5, 3], seed=0, ops=reference))
    models[0].save(sys.argv[1])
    models += [MLP.load(sys.argv[1]), pickle.loads(pickle.dumps(models[0]))]
    losses = {fit(model, loader, epochs=3, lr=0.1)[2].loss for model in models}
assert all(model.ops is reference for model in models)
assert len(losses) == 1, losses
print(*(warning.message for warning in caught))
"""


def test_without_the_jit_the_reference_stands_in_with_one_warning(tmp_path):
    child = python("-c", WITHOUT_JIT, tmp_path / "model", cache=tmp_path, NUMBA_DISABLE_JIT="1")
    assert child.returncode == 0, child.stderr
    assert child.stdout.startswith("NUMBA_DISABLE_JIT is set: fastmlp computes with fastmlp.reference")
    assert child.stdout.count("NUMBA_DISABLE_JIT") == 1


def test_the_warnings_remedies_work(tmp_path):
    for code, settings in (
        ("import fastmlp; fastmlp.MLP([3, 2])", {}),
        ("import fastmlp.reference; fastmlp.MLP([3, 2], ops=fastmlp.reference)", {"NUMBA_DISABLE_JIT": "1"}),
    ):
        child = python("-W", "error", "-c", code, cache=tmp_path, **settings)
        assert child.returncode == 0, child.stderr


def test_the_command_trains_without_the_jit(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    write_set(folder)
    command = ["train", "--data", folder, "--epochs", "2", "--hidden", "4", "--out", tmp_path / "run"]
    child = python("-m", "fastmlp", *command, cache=tmp_path, NUMBA_DISABLE_JIT="1")
    assert child.returncode == 0, child.stderr
    assert child.stderr.count("NUMBA_DISABLE_JIT is set") == 1 and "[Epoch 01]" in child.stdout
    assert (tmp_path / "run" / "model.safetensors").is_file()
