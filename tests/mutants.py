"""Good files made bad at random: bytes changed, moved and cut, and what is written in JSON replaced."""

import json

import numpy as np
from safetensors.numpy import load

from fastmlp.training import checkpoint

_BYTES = [0, 1, 2, 3, 7, 8, 31, 32, 64, 127, 128, 255]
_WORDS = [0, 1, 2**7, 2**8, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1]
_VALUES = [
    None, True, False, 0, 1, -1, 2, 3, 2**31, 2**63, 2**64, 10**400, -0.0, 0.5, 1e308, 1e-320,
    float("nan"), float("inf"), "", "x", "relu", "é\0", "mean", "1" * 5000, "BF16", "F64", "I8", "BOOL",
    [], [[]], {}, [0], [1, 2], [None], ["a", "b"], {"tensor": "x"}, {"tensor": "state.weights.0"},
    {"tensor": []}, {"seed": None},
]  # fmt: skip


def mutate(rng, content):
    """Change a few places of a file."""
    changed = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        at, end = sorted(rng.integers(0, len(changed) + 1, 2).tolist())
        end = min(end, at + int(rng.choice([1, 2, 4, 16, 10**9])))
        match rng.integers(7):
            case 0 if changed:
                changed[at % len(changed)] ^= 1 << int(rng.integers(8))
            case 1 if changed:
                changed[at % len(changed)] = _BYTES[rng.integers(len(_BYTES))]
            case 2:
                order = "little" if rng.integers(2) else "big"
                changed[at : at + 4] = _WORDS[rng.integers(len(_WORDS))].to_bytes(4, order)
            case 3:
                del changed[at:end]
            case 4:
                changed[at:at] = changed[at:end]
            case 5:
                changed[at:at] = rng.bytes(int(rng.integers(1, 9)))
            case 6:
                del changed[at:]
    return bytes(changed)


def mutate_value(rng, value):
    """Replace something, somewhere within a value of JSON."""
    if rng.random() < 0.2 or not isinstance(value, list | dict) or not value:
        return _VALUES[rng.integers(len(_VALUES))]
    changed = value.copy()
    keys = list(value) if isinstance(value, dict) else range(len(value))
    key = keys[rng.integers(len(keys))]
    if rng.random() < 0.1:
        del changed[key]
    else:
        changed[key] = mutate_value(rng, value[key])
    return changed


def mutate_header(rng, content):
    """Change what a file of safetensors says of its tensors, or of the model or the run."""
    end = 8 + int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8:end]), content[end:]
    if rng.random() < 0.2:
        return pack(mutate_value(rng, header), data)
    said = mutate_value(rng, json.loads(header["__metadata__"]["fastmlp"]))
    return forge(said, header, data)


def forge(said, header, data):
    """Make a file of what is said of a model or a run, with the digest that a checkpoint of it would have."""
    if isinstance(said, dict) and "digest" in said:
        del said["digest"]
        tensors = load(pack(header, data))
        parts = [checkpoint._to_json(said).encode(), *map(tensors.get, sorted(tensors))]
        said["digest"] = checkpoint._digest(parts)
    text = checkpoint._to_json(said)
    return pack({**header, "__metadata__": {"fastmlp": text}}, data)


def pack(header, data):
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def mutants(name, seeds, n, seed=0):
    """Give n bad files of a kind."""
    rng = np.random.default_rng([seed, len(name)])
    for _ in range(n):
        content = seeds[rng.integers(len(seeds))]
        if name in ("models", "checkpoints") and rng.random() < 0.7:
            yield mutate_header(rng, content)
        else:
            yield mutate(rng, content)
