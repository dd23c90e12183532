"""Two noisy classes in a plane. What the scripts beside it train on, so that they need no download."""

import numpy


def load(count=400, seed=0):
    draw = numpy.random.default_rng(seed)
    x = draw.normal(size=(count, 2)).astype("float32")
    y = (x[:, 0] * x[:, 1] > 0).astype("int64")
    x += 0.2 * draw.normal(size=x.shape).astype("float32")
    cut = count * 3 // 4
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])
