"""From detected electrons to flux: the pipeline's exact steps, the tutorial's, the difference, and one measurement."""
