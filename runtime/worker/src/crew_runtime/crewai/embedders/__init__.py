"""The embedders of a crew: which one it is, what its failures mean, and how a local one is made warm."""
