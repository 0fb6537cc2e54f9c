"""Reports: what a dataset says, as figures and as one HTML file."""
