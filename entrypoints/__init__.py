"""One module per MLproject entry point: parse the config, call one workflow, print the result."""
