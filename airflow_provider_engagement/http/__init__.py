"""One request on the wire: credentials, signatures, bounded bodies and rate limits. Knows no API."""
