"""Rows on storage: the tables of a dataset, their formats, and how rows are merged by key."""
