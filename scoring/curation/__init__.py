"""Curation: the best candidates of a scored data set become a data set of their own."""
