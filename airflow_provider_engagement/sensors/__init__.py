"""Sensors: tasks that wait for the API."""
