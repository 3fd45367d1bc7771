"""Networks exported to ONNX, and the sessions of ONNX Runtime that run them."""
