"""Answers on storage: parts, the tables made of them, and the report of a run."""
