"""Bytes on a path: files written completely or not at all, temporary files, locks."""
