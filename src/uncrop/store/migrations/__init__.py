"""The history of the tables, applied by ``uncrop.store.migration``."""
