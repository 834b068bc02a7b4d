"""How the BOSS pipeline turns detected electrons into calibrated flux, and how noisy the result is.

Pure functions with plain arguments; nothing in here knows about Snakemake. ``docs/calibration.md`` and
``docs/noise.md`` explain the physics, ``workflow/`` chains the functions into an analysis.

A room imports only from those before it: base < survey < calibration < noise < results < figures < report.
``run`` stands on base and survey, ``simulation`` on the rooms up to noise, and no room on either of them.
"""
