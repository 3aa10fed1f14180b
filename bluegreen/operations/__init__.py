"""The state machine: what is done to an app, phase by phase, and how it is undone or resumed."""
