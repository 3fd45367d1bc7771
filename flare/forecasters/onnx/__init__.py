"""Networks in ONNX: the export, and the sessions of ONNX Runtime."""
