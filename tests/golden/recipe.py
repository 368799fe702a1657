"""A published key and shape -> its weight, a seed and size -> a picture: the inputs behind published.json."""

import zlib

import numpy as np


def weight(key, shape):
    """Float32 weight under a published state-dict key: normal numbers seeded by the key's checksum, then scaled."""
    values = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode()))).standard_normal(tuple(shape))
    values = values.astype(np.float32)
    if key.endswith("bias"):
        return 0.02 * values
    if "norm" in key and len(shape) == 1:
        return 1 + 0.1 * values
    if len(shape) >= 2 and "embed" not in key.split(".")[-2]:
        return (values / np.sqrt(int(np.prod(shape[1:])))).astype(np.float32)
    return 0.5 * values


def picture(seed, width, height):
    """``(3, height, width)`` uint8, blocks of 16 x 16 pixels of random colours."""
    blocks = np.random.default_rng(seed).integers(0, 256, (height // 16 + 1, width // 16 + 1, 3), dtype=np.uint8)
    pixels = np.kron(blocks, np.ones((16, 16, 1), dtype=np.uint8))[:height, :width]
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))
