"""The REST service: follows the production model and answers one forecast per upload."""
