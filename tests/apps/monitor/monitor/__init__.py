"""A small server monitor: pages, a JSON API, a metrics stream and a terminal."""
