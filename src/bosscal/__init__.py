"""How the BOSS pipeline turns detected electrons into calibrated flux, and how noisy the result is.

Pure functions with plain arguments; nothing in here knows about Snakemake. ``docs/calibration.md`` and
``docs/noise.md`` explain the physics, ``workflow/`` chains the functions into an analysis.
"""
