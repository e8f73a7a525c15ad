"""The annotator's way in: consent, guidelines, viewing check, training, qualification; and the pages of its author."""
