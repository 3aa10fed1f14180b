"""The demo: a load, its charts, and the releases it is played with."""
