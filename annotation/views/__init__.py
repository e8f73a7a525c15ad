"""work: what annotators see. library: data sets, cases, editors, images. studies: making and running studies."""
