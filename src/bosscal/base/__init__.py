"""What every room stands on: errors, files, arrays, tables, statistics, logs, provenance. Nothing of astronomy."""
