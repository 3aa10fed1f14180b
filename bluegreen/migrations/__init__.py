"""The app's own migrations: their names, and the commands that look at them, run and undo them."""
