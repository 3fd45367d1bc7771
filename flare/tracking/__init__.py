"""Everything that uses MLflow: runs, packaging, registry."""
