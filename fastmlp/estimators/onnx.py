"""Estimators as ONNX graphs: converters for skl2onnx, which `register` makes known to it.

The graph computes in the float type of its input, and in float32 for whole numbers. Its nodes are of old
kinds, so that any opset will do, and of such as onnxruntime has for float64 too.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastmlp.reference.activations import LEAK, SELU_ALPHA, SELU_SCALE

from .classifier import MLPClassifier
from .network import activations_of
from .regressor import MLPRegressor

_FLOAT, _INT64, _STRING, _DOUBLE = 1, 7, 8, 11  # as ONNX numbers its types
_NODES = {"relu": "Relu", "tanh": "Tanh", "logistic": "Sigmoid", "exp": "Exp"}
_ENOUGH = 30.0  # from where on mish(z) is z in float64; a square of its exponential is finite in float32


def register() -> None:
    """Make the converters known to skl2onnx, for both estimators, alone and in pipelines.

    Raises
    ------
    ImportError
        There is no skl2onnx: pip install "fastmlp[onnx]".

    Examples
    --------
    >>> import skl2onnx  # doctest: +SKIP
    >>> from fastmlp.estimators import onnx  # doctest: +SKIP
    >>> onnx.register()  # doctest: +SKIP
    >>> graph = skl2onnx.to_onnx(classifier, X[:1].astype(np.float32))  # doctest: +SKIP
    """
    try:
        from skl2onnx import update_registered_converter
        from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes
    except ImportError as error:
        raise ImportError('conversion to ONNX is by skl2onnx: pip install "fastmlp[onnx]"') from error
    options = {
        "zipmap": [True, False, "columns"],
        "output_class_labels": [False, True],
        "nocl": [True, False],
    }
    shapes = calculate_linear_classifier_output_shapes
    update_registered_converter(MLPClassifier, "FastmlpMLPClassifier", shapes, _classifier, options=options)
    update_registered_converter(MLPRegressor, "FastmlpMLPRegressor", _shape_of_regressor, _regressor)


class _Graph:
    """A graph that grows node by node; a value goes by its name."""

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        self.scope, self.container = scope, container
        self.kind = _DOUBLE if _is_double(operator) else _FLOAT

    def add(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node, and give the name of its output."""
        name = output or self.scope.get_unique_variable_name("value")
        attributes["name"] = self.scope.get_unique_operator_name(kind)
        self.container.add_node(kind, list(inputs), name, **attributes)
        return name

    def constant(self, values: ArrayLike, kind: int | None = None) -> str:
        """Add a constant, of the graph's float type unless another is named."""
        name, values = self.scope.get_unique_variable_name("constant"), np.asarray(values)
        self.container.add_initializer(name, kind or self.kind, values.shape, values.ravel().tolist())
        return name

    def with_number(self, kind: str, value: str, number: float) -> str:
        """Add a node of a value and a number."""
        return self.add(kind, value, self.constant([number]))

    def outputs(self, estimator: Any, x: str) -> str:
        """Add all layers, and the activation of the outputs."""
        x = self.add("Cast", x, to=self.kind)
        names = [*activations_of(estimator, estimator.n_layers_ - 2), estimator.out_activation_]
        for name, w, b in zip(names, estimator.coefs_, estimator.intercepts_, strict=True):
            z = self.add("MatMul", x, self.constant(w))
            x = self.activation(name, self.add("Add", z, self.constant(b[None])))
        return x

    def activation(self, name: str, z: str) -> str:
        """Add f(z)."""
        if name == "identity":
            return z
        if name in _NODES:
            return self.add(_NODES[name], z)
        return getattr(self, f"_{name}")(z)

    def _softmax(self, z: str) -> str:
        return self.add("Softmax", z, axis=1)

    def _leaky_relu(self, z: str) -> str:
        return self.add("Max", z, self.with_number("Mul", z, LEAK))

    def _selu(self, z: str) -> str:
        if self.kind == _FLOAT:
            return self.add("Selu", z)
        low = self.add("Exp", self.with_number("Min", z, 0.0))
        low = self.with_number("Mul", self.with_number("Sub", low, 1.0), SELU_ALPHA)
        return self.with_number("Mul", self.add("Add", self.add("Relu", z), low), SELU_SCALE)

    def _silu(self, z: str) -> str:
        # not z * Sigmoid(z), which onnxruntime replaces by a node that it lacks for float64
        low = self.add("Exp", self.add("Neg", z))
        return self.add("Div", z, self.with_number("Add", low, 1.0))

    def _gelu(self, z: str) -> str:
        if self.kind == _DOUBLE:
            raise ValueError("onnxruntime has gelu in float32 alone: convert for an input of floats")
        error = self.add("Erf", self.with_number("Mul", z, np.sqrt(0.5)))
        normal = self.with_number("Mul", self.with_number("Add", error, 1.0), 0.5)
        return self.add("Mul", z, normal)

    def _mish(self, z: str) -> str:
        # tanh(log(1 + e)) = n / (n + 2), where n = e (e + 2) and e = exp(z)
        e = self.add("Exp", self.with_number("Min", z, _ENOUGH))
        n = self.add("Mul", e, self.with_number("Add", e, 2.0))
        return self.add("Mul", z, self.add("Div", n, self.with_number("Add", n, 2.0)))


def _classifier(scope: Any, operator: Any, container: Any) -> None:
    """Add labels and probabilities."""
    from skl2onnx.common.utils_classifier import get_label_classes

    it, (labels, probabilities) = operator.raw_operator, operator.outputs
    labels, probabilities = labels.full_name, probabilities.full_name
    graph = _Graph(scope, operator, container)
    several = it._label_binarizer.y_type_ == "multilabel-indicator"
    classes, kind = get_label_classes(scope, it), _STRING  # numbers in place of names, if option nocl says so
    if classes.dtype.kind not in "OU":
        classes, kind = _whole(classes), _INT64
    if len(classes) < 2:
        raise ValueError(f"the classifier has seen one class alone, {classes[0]!r}")
    p = graph.outputs(it, operator.inputs[0].full_name)
    if several:
        graph.add("Cast", graph.with_number("Greater", p, 0.5), to=_INT64, output=labels)
    elif it.n_outputs_ == 1:
        p = graph.add("Concat", graph.add("Sub", graph.constant([1.0]), p), p, axis=1)
    graph.add("Identity", p, output=probabilities)
    if not several:
        likeliest = graph.add("ArgMax", p, axis=1, keepdims=0)
        graph.add("Gather", graph.constant(classes, kind), likeliest, axis=0, output=labels)


def _whole(classes: Any) -> Any:
    """Give classes that are numbers as integers."""
    whole = classes.astype(np.int64)
    if np.any(whole != classes):
        raise ValueError(f"classes_ is {classes}, but labels of ONNX are whole numbers or strings")
    return whole


def _regressor(scope: Any, operator: Any, container: Any) -> None:
    """Add predictions."""
    graph = _Graph(scope, operator, container)
    y = graph.outputs(operator.raw_operator, operator.inputs[0].full_name)
    graph.add("Identity", y, output=operator.outputs[0].full_name)


def _shape_of_regressor(operator: Any) -> None:
    """Say that predictions are (n, n_outputs), of the input's float type."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    kind = DoubleTensorType if _is_double(operator) else FloatTensorType
    n = operator.inputs[0].get_first_dimension()
    operator.outputs[0].set_type(kind([n, operator.raw_operator.n_outputs_]))


def _is_double(operator: Any) -> bool:
    from skl2onnx.common.data_types import DoubleTensorType

    return isinstance(operator.inputs[0].type, DoubleTensorType)
