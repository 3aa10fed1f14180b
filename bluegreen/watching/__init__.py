"""What nginx tells of the requests of an app while a release of it goes on, and what follows."""
