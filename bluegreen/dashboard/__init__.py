"""The dashboard: pages for people, served where the API listens over TCP."""
