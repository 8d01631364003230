"""The reference's generator against numbers of its sources."""

import numpy as np

from fastmlp.reference.dropout import _MIX_32, _mixed, _next_key


def test_keys_are_those_of_split_mix_64():
    # the first outputs for the seed 1234567, as other implementations publish them
    key = _next_key(np.array([1234567], np.uint64), np.arange(3))
    assert key.tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_the_last_number_is_mixed_as_in_murmur_hash_3():
    assert _mixed(np.array([0, 1], np.uint32), _MIX_32).tolist() == [0, 0x514E28B7]
