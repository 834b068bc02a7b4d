"""stand-in until the real one lands"""
import numpy as np


def spec_rows(loglam, band, two_phase):
    n = len(loglam)
    return np.arange(n) + 800, False
