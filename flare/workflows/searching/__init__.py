"""The parts of ``search``: spaces, objectives, the shared study, its trials, and the winner."""
