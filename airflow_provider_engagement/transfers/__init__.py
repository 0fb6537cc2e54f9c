"""Transfers: operators that copy a dataset to another system."""
