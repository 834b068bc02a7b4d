"""The noise of extracted electrons: variance laws (one file each in ``laws/``), sky term, comparison and fit."""
