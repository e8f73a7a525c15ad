"""Hard cases: what the editor does perfectly already is taken out of a scored data set."""
