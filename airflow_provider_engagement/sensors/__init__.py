"""Sensors: tasks that wait for the Engagement API."""
