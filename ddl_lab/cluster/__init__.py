"""A cluster as a cost model: what computing and messages take."""
