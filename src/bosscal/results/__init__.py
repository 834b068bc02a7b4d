"""What the steps of the workflow compute: prediction, comparison, summary, outliers, spCalib files."""
