"""What a browser and Prometheus see: probes and metrics. Reads only; nothing secret is ever there."""
