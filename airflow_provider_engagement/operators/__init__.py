"""Operators: pulls of engagement metrics as tasks."""
