"""The only door: FastAPI, one module per resource; serves the web console."""
